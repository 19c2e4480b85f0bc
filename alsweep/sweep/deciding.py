"""What was decided while a run was made, and what that makes of its plan."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from alsweep.errors import ConfigError, RecordError
from alsweep.layout import decisions_path
from alsweep.results.decisions import Decision, append_decisions, read_decided
from alsweep.sweep.missing import loops_done
from alsweep.sweep.plan import Planned, refuse_shared_labels
from alsweep.trajectory.resolving import resolve
from alsweep.trajectory.start import start_key

if TYPE_CHECKING:
    from alsweep.config.trajectory import TrajectoryConfig
    from alsweep.data.case import Dataset
    from alsweep.sweep.plan import Plan


def extended(plan: Plan, run: Path) -> Plan:
    """A plan with what was decided in its run folder: what was added belongs to it, too.

    Raises:
        RecordError: The log is broken, or a config in it is not its trajectory's.
    """
    found = read_decided(run)
    more = {id_: config for id_, config in found.added.items() if id_ not in plan.ids}
    return replace(
        plan,
        trajectories=(*plan.trajectories, *_added(plan, run, more)),
        stopped=found.stopped,
    )


def _added(plan: Plan, run: Path, configs: Mapping[str, TrajectoryConfig]) -> list[Planned]:
    if not configs:
        return []
    from alsweep.data.case import Dataset

    dataset = Dataset.open(plan.trajectories[0].config.dataset)
    try:
        added = [_planned(id_, config, dataset) for id_, config in configs.items()]
        refuse_shared_labels([*plan.trajectories, *added])
    except ConfigError as error:
        raise RecordError(
            f"{decisions_path(run)}: {error}; restore the file, or choose another --out"
        ) from error
    return added


def _planned(id_: str, config: TrajectoryConfig, dataset: Dataset) -> Planned:
    resolved = resolve(config, dataset)
    meant = resolved.trajectory_id(dataset.fingerprint)
    if meant != id_:
        raise ConfigError(f"expected the config of trajectory {id_}, got that of {meant}")
    return Planned(id_, resolved, start_key(resolved, dataset), cell=None)


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
        The plan with nothing stopped.
    """
    decisions = [
        Decision(
            action="overruled",
            trajectory=planned.id,
            by="run",
            why="the sweep has no schedule: all loops of its plan are made",
            loop=loops_done(run, planned),
        )
        for planned in cut_short(run, plan)
    ]
    if decisions:
        append_decisions(run, decisions)
    return plan.overruled
