"""What is made of a plan: everything, or what a schedule leaves of it and a search adds."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from alsweep.results.decisions import Decision, append_decisions
from alsweep.sweep.missing import loops_done
from alsweep.sweep.starts import prepare_starts
from alsweep.sweep.tuner import run_trajectories

if TYPE_CHECKING:
    from alsweep.sweep.job import Job
    from alsweep.sweep.plan import Planned


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


def part(job: Job, trajectories: Iterable[Planned]) -> Job:
    """The same job with a part of its plan."""
    return replace(job, plan=replace(job.plan, trajectories=tuple(trajectories)))


def with_stopped(job: Job, stopped: Collection[str]) -> Job:
    """The same job with these stopped, too."""
    return replace(job, plan=replace(job.plan, stopped=job.plan.stopped | set(stopped)))


def stop(job: Job, decided: Sequence[tuple[Planned, str, str | None]], by: str) -> Job:
    """Write down that trajectories do no further loops, and heed it.

    Those that are done, failed or stopped already are left as they are.

    Args:
        job: The sweep.
        decided: Trajectory, why, and the strategy that it was dropped for, if any.
        by: Who decided.

    Returns:
        The job without them.
    """
    over = job.plan.stopped | job.errors.keys()
    new = [
        (planned, why, against)
        for planned, why, against in decided
        if planned.id not in over and _goes_on(job.run, planned)
    ]
    if new:
        append_decisions(job.run, [stopping(job.run, *one, by=by) for one in new])
    for planned, why, _ in new:
        job.monitor.stopped(planned, why)
    return with_stopped(job, [planned.id for planned, _, _ in new])


def stopping(run: Path, planned: Planned, why: str, against: str | None, *, by: str) -> Decision:
    """The decision that a trajectory does no further loops."""
    done = loops_done(run, planned)
    return Decision(
        action="stopped",
        trajectory=planned.id,
        by=by,
        why=why,
        loop=done,
        config=None if done else planned.config,
        against=against,
    )


def _goes_on(run: Path, planned: Planned) -> bool:
    return loops_done(run, planned) < planned.config.query.loops
