"""What a run of a plan would be: all that a dry run tells, for people and for machines."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from alsweep.files import canonical_json
from alsweep.sweep.costing import Calibrate, Cost, cost_of
from alsweep.sweep.detecting import Detectable, detectable
from alsweep.sweep.missing import Snapshot, ToDo, loops_done, to_do
from alsweep.sweep.search_outlook import SearchOutlook, search_outlook
from alsweep.sweep.stored import stored_members
from alsweep.sweep.taking_over import looked_ahead

if TYPE_CHECKING:
    from collections.abc import Mapping

    from alsweep.sweep.forecast import Forecast
    from alsweep.sweep.plan import Plan, Planned


@dataclass(frozen=True)
class Line:
    """A trajectory: what it is, and how far.

    Attributes:
        id: Its folder's name.
        setting: Name; None where the search space names none.
        values: Dotted key to value of its point, without the strategy.
        strategy: Label.
        seed: Of the trajectory.
        loops_done: Finished loops.
        loops: Of the trajectory.
    """

    id: str
    setting: str | None
    values: Mapping[str, Any]
    strategy: str
    seed: int
    loops_done: int
    loops: int

    @property
    def done(self) -> bool:
        """Whether no loop lacks."""
        return self.loops_done == self.loops


@dataclass(frozen=True)
class Setting:
    """Trajectories that differ in strategy and seed alone.

    Attributes:
        name: None where the search space names none.
        values: Dotted key to value of its point, without the strategy.
        strategies: Label to its trajectories.
    """

    name: str | None
    values: Mapping[str, Any]
    strategies: Mapping[str, Sequence[Line]]

    def plain(self) -> list[dict[str, Any]]:
        """An entry for each strategy, as JSON values."""
        head = {"setting": self.name, "values": self.values}
        return [
            head
            | {
                "strategy": label,
                "trajectories": len(lines),
                "done": sum(line.done for line in lines),
                "loops": sum(line.loops for line in lines),
                "loops_done": sum(line.loops_done for line in lines),
            }
            for label, lines in self.strategies.items()
        ]


@dataclass(frozen=True)
class Outlook:
    """What a run would be.

    Attributes:
        name: Of the sweep.
        run: The run folder.
        datasets: Names.
        lines: The trajectories.
        counted: What lacks.
        stored: Members of the next loops that are stored already.
        cost: None where nothing lacks.
        disk: None where nothing lacks.
        detectable: What the seeds can show; empty where nothing is compared.
        infeasible: What is going to fail.
        warnings: All that the run would warn of, what is infeasible too.
        search: What is going to be added; None where nothing is searched.
    """

    name: str
    run: str
    datasets: tuple[str, ...]
    lines: tuple[Line, ...]
    counted: ToDo
    stored: int
    cost: Cost | None
    disk: Forecast | None
    detectable: tuple[Detectable, ...]
    infeasible: tuple[str, ...]
    warnings: tuple[str, ...]
    search: SearchOutlook | None = None

    @property
    def settings(self) -> list[Setting]:
        """In the order of the trajectories."""
        return settings_of(self.lines)

    def plain(self) -> dict[str, Any]:
        """As JSON values."""
        found, counted = self.settings, self.counted
        return {
            "name": self.name,
            "run": self.run,
            "datasets": list(self.datasets),
            "settings": len(found),
            "trajectories": len(self.lines),
            "done": counted.finished,
            "to_do": counted.unfinished,
            "loops": counted.loops,
            "starts": counted.starts,
            "trainings": {
                "before_sharing": counted.unshared_trainings,
                "after_sharing": counted.trainings,
                "after_stored": counted.trainings - self.stored,
            },
            "cost": None if self.cost is None else self.cost.plain(),
            "search": None if self.search is None else self.search.plain(),
            "disk": None if self.disk is None else self.disk.plain(),
            "detectable": [asdict(one) for one in self.detectable],
            "infeasible": list(self.infeasible),
            "warnings": list(self.warnings),
            "by_setting": [entry for setting in found for entry in setting.plain()],
            "each": [asdict(line) for line in self.lines],
        }


def settings_of(lines: Iterable[Line]) -> list[Setting]:
    """Group trajectories by setting, then by strategy."""
    groups: dict[str, dict[str, list[Line]]] = {}
    first: dict[str, Line] = {}
    for line in lines:
        key = canonical_json([line.setting, dict(line.values)])
        first.setdefault(key, line)
        groups.setdefault(key, {}).setdefault(line.strategy, []).append(line)
    return [Setting(first[k].setting, first[k].values, group) for k, group in groups.items()]


def outlook(
    run: Path | Snapshot,
    plan: Plan,
    *,
    private: bool,
    calibrate: Calibrate | None = None,
    price: float | None = None,
) -> Outlook:
    """Look ahead; writes nothing. Warnings and disk are for who has heard them to add.

    Args:
        run: The run folder, absolute; it need not be there. Or what was looked up in it.
        plan: What to make.
        private: Whether this machine does it; another one's precision and device, which a cluster's
            may be, are in the keys of stored members.
        calibrate: See :func:`~alsweep.sweep.costing.cost_of`.
        price: See :class:`~alsweep.sweep.costing.Cost`.
    """
    made = looked_ahead(run, plan)
    stored = stored_members(made, plan) if private else {}
    return Outlook(
        name=plan.sweep.name,
        run=str(made.run),
        datasets=tuple(plan.datasets.values()),
        lines=tuple(_line(made, planned) for planned in plan.trajectories),
        counted=to_do(made, plan),
        stored=sum(stored.values()),
        cost=cost_of(made, plan, stored, calibrate, price),
        disk=None,
        detectable=tuple(detectable(made.run, plan)),
        infeasible=(),
        warnings=(),
        search=search_outlook(made, plan, calibrate, price),
    )


def _line(made: Snapshot, planned: Planned) -> Line:
    values = {} if planned.cell is None else planned.cell.values
    return Line(
        id=planned.id,
        setting=planned.setting,
        values={key: value for key, value in values.items() if key.split(".")[0] != "strategy"},
        strategy=planned.label,
        seed=planned.config.seed,
        loops_done=loops_done(made, planned),
        loops=planned.config.query.loops,
    )
