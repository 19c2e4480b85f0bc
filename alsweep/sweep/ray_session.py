"""Ray for one sweep: a private one on this machine, or a cluster that is there already."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager

import ray

from alsweep.config.sweep import ResourcesConfig
from alsweep.errors import ConfigError
from alsweep.sweep.environment import (
    refuse_cards_without_gpus,
    unused_cards,
    worker_environment,
)
from alsweep.sweep.stops import ignore, listen

_log = logging.getLogger(__name__)

_OBJECT_STORE_BYTES = 200 * 1024**2
"""No volume travels through Ray: its default, a share of all memory, would crowd /dev/shm."""


@contextmanager
def ray_session(resources: ResourcesConfig, address: str | None = None) -> Iterator[None]:
    """Connect to Ray, and leave nothing of it behind, also after Ctrl-C.

    To be used within :func:`~alsweep.sweep.stops.stops_raise`.

    Args:
        resources: What one worker needs.
        address: Of a running cluster; None starts a private Ray.

    Raises:
        ConfigError: There is no such cluster, or this machine can never give what a worker needs.
    """
    try:
        if address is None:
            _start_private()
        else:
            _connect(address, resources)
        listen()
        _check_resources(resources, local=address is None)
        yield
    finally:
        ignore()
        ray.shutdown()
        listen()


def _start_private() -> None:
    # Workers inherit this process's environment, which the command line has prepared; a
    # runtime_env would do the same, but then each worker starts seconds later.
    ray.init(
        address="local",
        include_dashboard=False,
        object_store_memory=_OBJECT_STORE_BYTES,
        logging_level=logging.ERROR,
        log_to_driver=False,
    )


def _connect(address: str, resources: ResourcesConfig) -> None:
    try:
        ray.init(
            address=address,
            logging_level=logging.ERROR,
            log_to_driver=False,
            runtime_env={"env_vars": worker_environment(resources)},
        )
    except (ConnectionError, ValueError) as error:
        reason = str(error).splitlines()[0]
        raise ConfigError(
            f"--address {address}: no Ray cluster answers there ({reason}); "
            "leave --address out for a local run"
        ) from None


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
