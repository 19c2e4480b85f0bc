"""What of a plan is not made yet; the run folder alone says so, or what was looked up in it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from alsweep.layout import record_path, trajectory_folder
from alsweep.results.failure import read_failure
from alsweep.results.records import is_queried
from alsweep.sweep.monitor import Start
from alsweep.sweep.retry import Retry

if TYPE_CHECKING:
    from alsweep.sweep.plan import Plan, Planned


@dataclass(frozen=True)
class Snapshot:
    """A run folder of which was looked up once how far its trajectories are.

    Attributes:
        run: The folder, absolute; it need not be there.
        loops: Trajectory to its finished loops, those that it is going to take over among them.
        sources: Trajectory that is going to take loops over to the folder that they are from.
    """

    run: Path
    loops: Mapping[str, int]
    sources: Mapping[str, Path]


def loops_done(run: Path | Snapshot, planned: Planned) -> int:
    """Finished loops of a trajectory: a record, and the query after it; neither is read."""
    if isinstance(run, Snapshot):
        return run.loops[planned.id]
    folder, loops = trajectory_folder(run, planned.id), planned.config.query.loops
    done = 0
    while done < loops and record_path(folder, done).exists():
        if done + 1 < loops and not is_queried(folder, done + 1):
            break
        done += 1
    return done


def unfinished(run: Path | Snapshot, plan: Plan) -> list[Planned]:
    """Trajectories that lack a loop and are not stopped, in the plan's order."""
    going = (p for p in plan.trajectories if p.id not in plan.stopped)
    return [p for p in going if loops_done(run, p) < p.config.query.loops]


def going_on(run: Path, plan: Plan, retry: Retry) -> Plan:
    """The plan without what failed before, unless that is tried again."""
    if retry is Retry.failed:
        return plan
    failed = (p.id for p in unfinished(run, plan) if read_failure(trajectory_folder(run, p.id)))
    return replace(plan, stopped=plan.stopped | set(failed))


def finished(run: Path | Snapshot, plan: Plan) -> list[Planned]:
    """Trajectories that have all their loops, in the plan's order."""
    return [p for p in plan.trajectories if loops_done(run, p) == p.config.query.loops]


def missing_starts(run: Path | Snapshot, plan: Plan) -> list[Start]:
    """Distinct starts that a trajectory still waits for, in the plan's order."""
    waiting = [p for p in unfinished(run, plan) if loops_done(run, p) == 0]
    sharers = Counter(planned.start for planned in waiting)
    first: dict[str, Planned] = {}
    for planned in waiting:
        first.setdefault(planned.start, planned)
    return [Start(key, example, sharers[key]) for key, example in first.items()]


@dataclass(frozen=True)
class ToDo:
    """What a run would make.

    Attributes:
        finished: Trajectories that are done.
        unfinished: Trajectories that lack a loop.
        loops: Loops that lack.
        starts: Distinct starts to be trained.
        trainings: Networks to be trained at most, with loop 0 shared; stored members make it fewer.
        unshared_trainings: How many it would be if each trajectory trained its own loop 0.
    """

    finished: int
    unfinished: int
    loops: int
    starts: int
    trainings: int
    unshared_trainings: int


def to_do(run: Path | Snapshot, plan: Plan) -> ToDo:
    """Count what is missing; writes nothing."""
    starts = missing_starts(run, plan)
    rest = unfinished(run, plan)
    lacking = {p.id: p.config.query.loops - loops_done(run, p) for p in rest}
    unshared = sum(lacking[p.id] * p.config.training.members for p in rest)
    saved = sum((start.sharers - 1) * start.example.config.training.members for start in starts)
    return ToDo(
        finished=len(finished(run, plan)),
        unfinished=len(rest),
        loops=sum(lacking.values()),
        starts=len(starts),
        trainings=unshared - saved,
        unshared_trainings=unshared,
    )
