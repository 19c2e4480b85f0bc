"""What is made of a plan: everything, or what a schedule leaves of it and a search adds."""

from __future__ import annotations

from typing import TYPE_CHECKING

from alsweep.sweep.parting import part
from alsweep.sweep.starts import prepare_starts
from alsweep.sweep.tuner import run_trajectories

if TYPE_CHECKING:
    from alsweep.sweep.job import Job


def make_scheduled(job: Job) -> Job:
    """Make what is missing, but for what the sweep's schedule stops; and what its search adds.

    Returns:
        The job with what is stopped and added now.
    """
    schedule = job.plan.sweep.schedule
    if schedule.kind == "race":
        from alsweep.sweep.race import run_race

        return run_race(job)
    if schedule.kind == "asha":
        from alsweep.sweep.asha import run_asha

        return run_asha(job)
    if job.plan.sweep.search is not None:
        from alsweep.sweep.search import run_search

        return run_search(job)
    make(job)
    return job


def configurations_left(job: Job) -> int:
    """How many configurations a sweep's search still has to tell of; 0 where nothing is searched.

    Raises:
        ConfigError: The storage of the search cannot be read.
    """
    if job.plan.sweep.search is None:
        return 0
    # Optuna comes along with it; most sweeps search nothing.
    from alsweep.sweep.search import left

    return left(job)


def make(job: Job, until: int | None = None, prepared: set[str] | None = None) -> None:
    """Make what is missing of a job's plan.

    Args:
        job: Its plan may be a part of the sweep's.
        until: The last loop that is made now; None makes all.
        prepared: Starts that are not prepared again; those of this plan are added to them.
    """
    known = set() if prepared is None else prepared
    lost = prepare_starts(part(job, (p for p in job.plan.trajectories if p.start not in known)))
    known.update(planned.start for planned in job.plan.trajectories)
    run_trajectories(job, excluded=lost | job.errors.keys(), until=until)
