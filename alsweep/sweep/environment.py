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
