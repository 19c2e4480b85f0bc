"""What workers that have no driver refuse to work on."""

import os

from alsweep.config.sweep import ResourcesConfig, SweepConfig
from alsweep.errors import ConfigError


def refuse_without_driver(sweep: SweepConfig) -> None:
    """Refuse a sweep in which somebody has to decide while it runs.

    Raises:
        ConfigError: It is one; names the key.
    """
    key = "search" if sweep.search is not None else "schedule.kind"
    if sweep.search is not None or sweep.schedule.decides:
        raise ConfigError(
            f"{key}: decides what comes next while the sweep runs, which workers without a driver "
            "cannot; use 'alsweep run' or 'alsweep submit'"
        )


def refuse_too_few_cpus(resources: ResourcesConfig) -> None:
    """Refuse to compute on fewer CPUs than a worker is to have.

    Raises:
        ConfigError: This process may use fewer.
    """
    count = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    if resources.cpus > (count or 1):
        raise ConfigError(
            f"resources.cpus: a worker needs {resources.cpus:g}, but may use {count} here; ask the "
            "batch system for as many (Slurm: --cpus-per-task), or write less"
        )
