"""Ray for one sweep: a private one on this machine, or a cluster that is there already."""

import logging
import os
import shutil
import socket
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, redirect_stdout, suppress
from pathlib import Path

import psutil
import ray
from ray._private import ray_constants
from ray._private.services import canonicalize_bootstrap_address

from alsweep.config.sweep import ResourcesConfig
from alsweep.disk import require_room
from alsweep.errors import ConfigError, RayGoneError
from alsweep.sweep.environment import (
    cluster_environment,
    refuse_cards_without_gpus,
    set_variable,
    unused_cards,
)
from alsweep.sweep.ray_guard import RayGuard
from alsweep.sweep.stops import ignore, listen

_log = logging.getLogger(__name__)

_OBJECT_STORE_BYTES = 200 * 1024**2
"""No volume travels through Ray: its default, a share of all memory, would crowd /dev/shm."""

_SECONDS_TO_ANSWER = 10.0

_LONGEST_TEMPORARY = 35
"""Bytes of a path: a socket may have 107 (103 on a Mac), of which Ray takes 68."""

_SHORT_PLACES = ("/tmp", "/var/tmp", "/dev/shm")

_TOO_LATE = "timed out during startup"

_WAITS_FOR_NO_WORKER = {"prestart_worker_first_driver": False}
"""Ray starts workers ahead, and ``init`` waits for them, for ever where one is killed then."""


@contextmanager
def ray_session(resources: ResourcesConfig, address: str | None = None) -> Iterator[None]:
    """Connect to Ray, and leave nothing of it behind, also after Ctrl-C.

    To be used within :func:`~alsweep.sweep.stops.stops_raise`.

    Args:
        resources: What one worker needs.
        address: Of a running cluster; None starts a private Ray.

    Raises:
        ConfigError: There is no such cluster, this machine can never give what a worker needs, or
            it has no place for Ray's sockets.
        DiskFullError: There is no room for Ray's files.
        RayGoneError: Ray was there, and is gone; the caller may begin anew.
    """
    with _quiet_stdout(), ExitStack() as stack:
        if address is None:
            folder = stack.enter_context(_short_temporary())
        try:
            if address is None:
                _start_private(folder)
            else:
                _connect(address, resources)
            listen()
            _check_resources(resources, local=address is None)
            with _guarded():
                yield
        finally:
            ignore()
            ray.shutdown()
            listen()


@contextmanager
def _guarded() -> Iterator[None]:
    """Tell a Ray that is gone from a Ctrl-C."""
    with RayGuard() as guard:
        try:
            yield
        except BaseException as error:
            if guard.gone is None:
                raise
            raise RayGoneError(
                f"the Ray on this machine is gone ({guard.gone}); finished loops are safe, and the "
                "same command goes on"
            ) from error


@contextmanager
def _quiet_stdout() -> Iterator[None]:
    """Keep what Ray says off stdout, which is for results; --debug shows it on stderr."""
    with ExitStack() as stack:
        if _log.isEnabledFor(logging.DEBUG):
            stack.enter_context(redirect_stdout(sys.stderr))
        else:
            nothing = stack.enter_context(Path(os.devnull).open("w", encoding="utf-8"))
            stack.enter_context(redirect_stdout(nothing))
        yield


@contextmanager
def _short_temporary() -> Iterator[str | None]:
    """A folder for Ray's files where the usual one is too long for its sockets; None elsewhere.

    Raises:
        ConfigError: There is no shorter one.
    """
    usual = tempfile.gettempdir()
    if len(os.fsencode(usual)) <= _LONGEST_TEMPORARY:
        yield None
        return
    folder = _short_folder(usual)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _short_folder(usual: str) -> str:
    for place in _SHORT_PLACES:
        if Path(place).is_dir() and os.access(place, os.W_OK | os.X_OK):
            return tempfile.mkdtemp(prefix="alsweep-", dir=place)
    raise ConfigError(
        f"TMPDIR: {usual} is too long for the sockets of Ray, which may have 107 bytes with all "
        f"folders, and none of {', '.join(_SHORT_PLACES)} can be written; let TMPDIR name a "
        f"folder of at most {_LONGEST_TEMPORARY} bytes"
    )


def _keep_to_loopback(wanted: bool) -> None:
    """Let Ray listen on this machine's loopback alone, or be reached from its cluster's nodes.

    For Ray that is whether there are clusters at all, which it reads when it is imported; the
    processes that it starts read the variable.
    """
    ray_constants.ENABLE_RAY_CLUSTER = not wanted
    set_variable(ray_constants.ENABLE_RAY_CLUSTERS_ENV_VAR, "0" if wanted else "1")


def _start_private(folder: str | None) -> None:
    require_room(Path(folder or tempfile.gettempdir()))  # Ray dies of it without a word
    _keep_to_loopback(True)
    _log.info("starting Ray on this machine")
    with _busy_machine_told():
        # Workers inherit this process's environment, which the command line has prepared; a
        # runtime_env would do the same, but then each worker starts seconds later.
        ray.init(
            address="local",
            include_dashboard=False,
            object_store_memory=_OBJECT_STORE_BYTES,
            logging_level=logging.ERROR,
            log_to_driver=False,
            _temp_dir=folder,
            _system_config=_WAITS_FOR_NO_WORKER,
        )


@contextmanager
def _busy_machine_told() -> Iterator[None]:
    """Tell a start that took Ray too long from others, and leave nothing of it.

    Raises:
        RayGoneError: It did; Ray waits for 30 s, which a busy machine may need.
    """
    before = {one.pid for one in psutil.Process().children()}
    try:
        yield
    except Exception as error:  # Ray's has no class of its own
        if _TOO_LATE not in str(error):
            raise
        _end([one for one in psutil.Process().children() if one.pid not in before])
        raise RayGoneError(
            "Ray did not start on this machine within its half minute, as happens where it is busy"
        ) from error


def _end(processes: Sequence[psutil.Process]) -> None:
    for parent in processes:
        with suppress(psutil.Error):
            for one in (*parent.children(recursive=True), parent):
                with suppress(psutil.Error):
                    one.kill()
    psutil.wait_procs(processes, timeout=_SECONDS_TO_ANSWER)


def _connect(address: str, resources: ResourcesConfig) -> None:
    if "://" in address and not address.startswith("ray://"):
        raise ConfigError(
            f"--address {address}: is no address of a Ray cluster; write HEAD:6379, or auto on one "
            "of its nodes (http://HEAD:8265, its job server, is for 'alsweep submit')"
        )
    _log.info("connecting to Ray at %s", address)
    try:
        _keep_to_loopback(False)
        _knock((canonicalize_bootstrap_address(address) or "") if address == "auto" else address)
        ray.init(
            address=address,
            logging_level=logging.ERROR,
            log_to_driver=False,
            runtime_env=cluster_environment(resources),
        )
    except (ConnectionError, ValueError) as error:
        reason = str(error).splitlines()[0]
        raise ConfigError(
            f"--address {address}: no Ray cluster answers there ({reason}); "
            "leave --address out for a local run"
        ) from None


def _knock(address: str) -> None:
    """See whether anybody listens, since Ray tries for long and says much before it gives up.

    By ``auto`` it also finds what keeps to its loopback: private ones, which it asks for ever.

    Raises:
        ConnectionError: Nobody does. What is no address of a port is left to Ray.
    """
    host, _, port = address.removeprefix("ray://").rpartition(":")
    if not host or not port.isdecimal():
        return
    try:
        socket.create_connection((host.strip("[]"), int(port)), _SECONDS_TO_ANSWER).close()
    except OSError as error:
        raise ConnectionError(error.strerror or str(error)) from None


def _check_resources(resources: ResourcesConfig, *, local: bool) -> None:
    """A worker that asks for more than there is would wait for ever, without a word."""
    refuse_cards_without_gpus(resources)
    there = ray.cluster_resources()
    for key, name, wanted in (("cpus", "CPU", resources.cpus), ("gpus", "GPU", resources.gpus)):
        most = there.get(name, 0)
        if wanted <= most:
            continue
        lack = f"resources.{key}: a worker needs {wanted:g}, but Ray has {most:g} in all"
        if local:
            raise ConfigError(f"{lack}; write less, or use a cluster (--address)")
        _log.warning("warning: %s; waiting for nodes to join", lack)
    idle = unused_cards(resources, there.get("GPU", 0))
    if idle is not None:
        _log.warning("warning: %s", idle)
