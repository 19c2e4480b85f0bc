"""What a worker's environment says of the machine's CPUs and cards."""

from alsweep.config.sweep import ResourcesConfig
from alsweep.errors import ConfigError


def worker_environment(resources: ResourcesConfig) -> dict[str, str]:
    """Variables that must be set before numpy, torch and ray are imported in a worker.

    Numerical libraries keep to the worker's threads. A worker that asks for no GPU sees none: it
    would otherwise compute on the first one, whoever holds it.
    """
    libraries = ("OMP", "MKL", "OPENBLAS", "NUMEXPR")
    threads = {f"{library}_NUM_THREADS": str(resources.threads) for library in libraries}
    return {"RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "1", **threads}


def refuse_too_many_cpus(resources: ResourcesConfig) -> None:
    """A worker that asks for more CPUs than a private Ray would have here could never begin.

    Raises:
        ConfigError: It does.
    """
    # Every machine has one; Ray, which knows of a container's limits, takes seconds to import.
    most = _cpus_of_ray() if resources.cpus > 1 else 1
    if resources.cpus > most:
        raise ConfigError(
            f"resources.cpus: a worker needs {resources.cpus:g}, but this machine has {most:g}; "
            "write less, or use a cluster (--address)"
        )


def _cpus_of_ray() -> float:
    from ray._private.utils import get_num_cpus

    return float(get_num_cpus(override_docker_cpu_warning=True))


def unused_cards(resources: ResourcesConfig, cards: float) -> str | None:
    """What to say where there are GPUs, but a worker sees none; None where all is as it should."""
    if not cards or resources.gpus or resources.device != "auto":
        return None
    return (
        "resources.gpus is 0, so that all is computed on CPUs, but there are GPUs "
        f"({cards:g}); write gpus: 1, or a fraction to let trajectories share one"
    )


def refuse_cards_without_gpus(resources: ResourcesConfig) -> None:
    """A worker sees the cards that it asked for, and no others.

    Raises:
        ConfigError: It asked for none, but is to compute on one.
    """
    if resources.device == "cuda" and not resources.gpus:
        raise ConfigError(
            "resources.device: cuda needs a card, but resources.gpus is 0; write gpus: 1, or a "
            "fraction"
        )
