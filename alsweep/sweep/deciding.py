"""What was decided while a run was made, and what that makes of its plan."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from alsweep.errors import ConfigError, RecordError
from alsweep.layout import decisions_path
from alsweep.results.decisions import Decided, Decision, append_decisions, read_decided
from alsweep.sweep.missing import loops_done
from alsweep.sweep.plan import Planned, opened, refuse_shared_labels

if TYPE_CHECKING:
    from alsweep.config.trajectory import TrajectoryConfig
    from alsweep.data.case import Dataset
    from alsweep.sweep.plan import Plan


def extended(plan: Plan, run: Path) -> Plan:
    """A plan with what was decided in its run folder: what was added belongs to it, too.

    Raises:
        RecordError: The log is broken, or a config in it is not its trajectory's.
        ConfigError: Another schedule than the plan's has stopped something.
    """
    found, known = read_decided(run), set(plan.ids)
    _refuse_another_schedule(plan, run, found)
    more = {id_: config for id_, config in found.added.items() if id_ not in known}
    return replace(
        plan,
        trajectories=(
            *plan.trajectories,
            *(replace(p, added_to=found.settings.get(p.id)) for p in _added(plan, run, more)),
        ),
        stopped=found.stopped,
    )


def _refuse_another_schedule(plan: Plan, run: Path, found: Decided) -> None:
    """A race cannot compare what halving left of a block, nor halving what a race did."""
    kind, others = plan.sweep.schedule.kind, {"race", "asha"} - {plan.sweep.schedule.kind}
    by = {one.by for one in found.stops.values()} & others
    if plan.sweep.schedule.decides and by:
        raise ConfigError(
            f"schedule.kind: {kind} cannot go on with what {by.pop()} has stopped in {run}; keep "
            "the kind, make all loops first (kind: none), or choose another --out"
        )


def _added(plan: Plan, run: Path, configs: Mapping[str, TrajectoryConfig]) -> list[Planned]:
    if not configs:
        return []
    datasets = opened(plan)
    try:
        added = [_planned(id_, config, datasets) for id_, config in configs.items()]
        refuse_shared_labels([*plan.trajectories, *added])
    except ConfigError as error:
        raise RecordError(
            f"{decisions_path(run)}: {error}; restore the file, or choose another --out"
        ) from error
    return added


def _planned(id_: str, config: TrajectoryConfig, datasets: Sequence[Dataset]) -> Planned:
    """What was added is on that dataset of the run with which the config has its id."""
    tried = [Planned.of(config, dataset) for dataset in _likely(id_, config, datasets)]
    meant = next((planned for planned in tried if planned.id == id_), tried[0])
    if meant.id != id_:
        raise ConfigError(f"expected the config of trajectory {id_}, got that of {meant.id}")
    return meant


def _likely(id_: str, config: TrajectoryConfig, datasets: Sequence[Dataset]) -> Sequence[Dataset]:
    """The dataset that a resolved config was resolved on; all where it is none's."""
    found = [one for one in datasets if config.trajectory_id(one.fingerprint) == id_]
    return found or datasets


def cut_short(run: Path, plan: Plan) -> list[Planned]:
    """Trajectories that were stopped before their last loop, in the plan's order."""
    return [
        planned
        for planned in plan.trajectories
        if planned.id in plan.stopped and loops_done(run, planned) < planned.config.query.loops
    ]


def overrule(run: Path, plan: Plan) -> Plan:
    """Let stopped trajectories go on, since nobody decides any more; the log says so.

    Returns:
        The plan with nothing stopped; as it is, where a schedule or search decides.
    """
    if plan.sweep.decides:
        return plan
    decisions = [
        Decision(
            action="overruled",
            trajectory=planned.id,
            by="run",
            why="neither schedule nor search.prune decides any more: all loops are made",
            loop=loops_done(run, planned),
        )
        for planned in cut_short(run, plan)
    ]
    if decisions:
        append_decisions(run, decisions)
    return plan.overruled
