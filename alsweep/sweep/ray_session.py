"""Ray for one sweep: a private one on this machine, or a cluster that is there already."""

import logging
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import NoReturn

import ray

from alsweep.config.sweep import ResourcesConfig
from alsweep.errors import ConfigError
from alsweep.sweep.threads import thread_variables

_log = logging.getLogger(__name__)

_STOPS = (signal.SIGINT, signal.SIGTERM)
_OBJECT_STORE_BYTES = 200 * 1024**2
"""No volume travels through Ray, so the default share of all memory would only crowd /dev/shm."""


@contextmanager
def ray_session(resources: ResourcesConfig, address: str | None = None) -> Iterator[None]:
    """Connect to Ray, and leave nothing of it behind; SIGTERM stops the sweep as Ctrl-C does.

    Args:
        resources: What one worker needs.
        address: Of a running cluster; None starts a private Ray.

    Raises:
        ConfigError: There is no such cluster, or this machine can never give a worker what it needs.
    """
    _connect(resources, address)
    # ray.init has just put its own handler here, which would leave by SystemExit.
    previous = {number: signal.signal(number, _interrupt) for number in _STOPS}
    try:
        _check_resources(resources, local=address is None)
        yield
    finally:
        for number in _STOPS:
            signal.signal(
                number, signal.SIG_IGN
            )  # an impatient second Ctrl-C must not leave workers
        ray.shutdown()
        for number, handler in previous.items():
            signal.signal(number, handler)


def _interrupt(number: int, frame: FrameType | None) -> NoReturn:
    raise KeyboardInterrupt


def _connect(resources: ResourcesConfig, address: str | None) -> None:
    if address is None:
        # Workers inherit this process's environment, which the command line has prepared; a runtime_env would do
        # the same, but then each worker starts seconds later.
        ray.init(
            address="local",
            include_dashboard=False,
            object_store_memory=_OBJECT_STORE_BYTES,
            logging_level=logging.ERROR,
            log_to_driver=False,
        )
        return
    try:
        ray.init(
            address=address,
            logging_level=logging.ERROR,
            log_to_driver=False,
            runtime_env={"env_vars": thread_variables(resources)},
        )
    except (ConnectionError, ValueError) as error:
        reason = str(error).splitlines()[0]
        raise ConfigError(
            f"--address {address}: no Ray cluster answers there ({reason}); leave --address out for a local run"
        ) from None


def _check_resources(resources: ResourcesConfig, *, local: bool) -> None:
    """A worker that asks for more than there is would wait for ever, without a word."""
    there = ray.cluster_resources()
    for key, name, wanted in (("cpus", "CPU", resources.cpus), ("gpus", "GPU", resources.gpus)):
        if wanted <= there.get(name, 0):
            continue
        lack = (
            f"resources.{key}: a worker needs {wanted:g}, but Ray has {there.get(name, 0):g} in all"
        )
        if local:
            raise ConfigError(f"{lack}; write less, or use a cluster (--address)")
        _log.warning("warning: %s; waiting for nodes to join", lack)
