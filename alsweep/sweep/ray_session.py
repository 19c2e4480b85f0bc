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

_log = logging.getLogger(__name__)

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
    variables = {name: str(resources.threads) for name in _THREAD_VARIABLES}
    _connect(address, {"env_vars": variables})
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


_STOPS = (signal.SIGINT, signal.SIGTERM)
_THREAD_VARIABLES = (
    "OMP_NUM_THREADS",
    "MKL_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "NUMEXPR_NUM_THREADS",
)


def _interrupt(number: int, frame: FrameType | None) -> NoReturn:
    raise KeyboardInterrupt


def _connect(address: str | None, runtime_env: dict[str, dict[str, str]]) -> None:
    quiet = {
        "logging_level": logging.ERROR,
        "log_to_driver": False,
        "runtime_env": runtime_env,
    }
    if address is None:
        ray.init(
            address="local",
            include_dashboard=False,
            object_store_memory=_OBJECT_STORE_BYTES,
            **quiet,
        )
        return
    try:
        ray.init(address=address, **quiet)
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
