"""What a search space means on a dataset: resolved trajectories and the starts they share."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from alsweep.config.base import fingerprint
from alsweep.config.sweep import SweepConfig
from alsweep.config.trajectory import TrajectoryConfig
from alsweep.data.case import Dataset
from alsweep.errors import ConfigError
from alsweep.query.plugin_files import load_files
from alsweep.trajectory.resolving import resolve
from alsweep.trajectory.start import start_key


@dataclass(frozen=True)
class Planned:
    """One trajectory of a sweep.

    Attributes:
        id: Name of its folder.
        config: Resolved.
        start: Equal for all trajectories that share loop 0.
        cell: The point of the grid that it stands for, as the user wrote it; None where it was
            added while the sweep ran, so that no grid has it.
    """

    id: str
    config: TrajectoryConfig
    start: str
    cell: Mapping[str, Any] | None

    @property
    def label(self) -> str:
        """The strategy as tables name it."""
        return self.config.strategy.shown


@dataclass(frozen=True)
class Plan:
    """A sweep on a dataset.

    Attributes:
        sweep: As the user wrote it.
        dataset_name: Of the Dataset.
        dataset_fingerprint: Of the Dataset's content.
        trajectories: In grid order, seeds innermost; then what was added, in the order of that.
        stopped: Ids of those that are to do no further loops.
    """

    sweep: SweepConfig
    dataset_name: str
    dataset_fingerprint: str
    trajectories: tuple[Planned, ...]
    stopped: frozenset[str] = frozenset()

    @property
    def own(self) -> tuple[Planned, ...]:
        """What the search space itself means."""
        return tuple(planned for planned in self.trajectories if planned.cell is not None)

    @property
    def overruled(self) -> "Plan":
        """The same with nothing stopped."""
        return replace(self, stopped=frozenset())

    @property
    def names(self) -> dict[str, str]:
        """Label of each strategy of the search space to its name."""
        return {planned.label: planned.config.strategy.name for planned in self.own}

    @property
    def ids(self) -> tuple[str, ...]:
        """Names of the trajectories' folders, in the order of them."""
        return tuple(planned.id for planned in self.trajectories)

    @property
    def loops(self) -> int:
        """Trainings of ensembles over all trajectories."""
        return sum(planned.config.query.loops for planned in self.trajectories)


def make_plan(sweep: SweepConfig, dataset: Dataset) -> Plan:
    """Resolve every trajectory of a sweep against its dataset.

    Raises:
        ConfigError: A trajectory cannot work or is named twice, two strategies share a label, or
            the report shall compare with one that is not there.
        StrategyError: A plug-in file cannot be loaded.
    """
    load_files(sweep.plugins)
    cells = [cell for cell, _ in sweep.raw_trajectories()]
    planned = [
        _plan_one(config, cell, dataset)
        for config, cell in zip(sweep.trajectories(), cells, strict=True)
    ]
    _refuse_repeats(planned)
    refuse_shared_labels(planned)
    plan = Plan(sweep, dataset.name, dataset.fingerprint, tuple(planned))
    sweep.report.on(plan.names)
    return plan


def _plan_one(config: TrajectoryConfig, cell: Mapping[str, Any], dataset: Dataset) -> Planned:
    try:
        if config.annotator.kind == "human":
            raise ConfigError(
                "base.annotator.kind: human cannot be swept: nobody is asked while a sweep runs; "
                "write oracle"
            )
        resolved = resolve(config, dataset)
    except ConfigError as error:
        raise ConfigError(_at_the_grid(str(error), cell)) from error
    id_ = resolved.trajectory_id(dataset.fingerprint)
    return Planned(id_, resolved, start_key(resolved, dataset), cell)


def _at_the_grid(message: str, cell: Mapping[str, Any]) -> str:
    """Name the grid where the faulty key stands there and not in base."""
    for key in cell:
        if message.startswith((f"base.{key}:", f"base.{key}.")):
            return "grid" + message.removeprefix("base")
    return message


def _refuse_repeats(planned: list[Planned]) -> None:
    seen: dict[str, Planned] = {}
    for one in planned:
        twin = seen.setdefault(one.id, one)
        if twin is not one:
            raise ConfigError(
                f"grid: {_written(twin.cell)} and {_written(one.cell)} mean the same "
                f"trajectory {one.id}; leave one of them out"
            )


def refuse_shared_labels(planned: Sequence[Planned]) -> None:
    """A label stands for one strategy with one set of parameters: tables know no more.

    Raises:
        ConfigError: It stands for two.
    """
    seen: dict[str, str] = {}
    for one in planned:
        identity = fingerprint(one.config.strategy.identity())
        if seen.setdefault(one.label, identity) != identity:
            raise ConfigError(
                f"grid.strategy: two strategies bear the label '{one.label}'; "
                "give one of them another 'label'"
            )


def _written(cell: Mapping[str, Any] | None) -> str:
    return ", ".join(f"{key}={value}" for key, value in (cell or {}).items()) or "base"
