"""A part of a sweep: some of its trajectories, or all but those that are stopped."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from alsweep.results.decisions import Decision, append_decisions
from alsweep.sweep.missing import loops_done

if TYPE_CHECKING:
    from alsweep.sweep.job import Job
    from alsweep.sweep.plan import Planned


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
