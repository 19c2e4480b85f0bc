"""How many threads the numerical libraries of a worker may use."""

from alsweep.config.sweep import ResourcesConfig


def thread_variables(resources: ResourcesConfig) -> dict[str, str]:
    """What a worker's environment must say before numpy and torch are imported in it."""
    libraries = ("OMP", "MKL", "OPENBLAS", "NUMEXPR")
    return {f"{library}_NUM_THREADS": str(resources.threads) for library in libraries}
