"""What a search space means on a dataset: resolved trajectories and the starts they share."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from alsweep.config.base import fingerprint
from alsweep.config.expansion import Cell, where_it_stands
from alsweep.config.report import no_such_label
from alsweep.config.sweep import SweepConfig
from alsweep.config.trajectory import TrajectoryConfig
from alsweep.data.case import Dataset
from alsweep.errors import ConfigError
from alsweep.query.plugin_files import load_files
from alsweep.sweep.replays import with_each_replayed
from alsweep.sweep.search_space import example_cells, high_cells, with_search_spelled_out
from alsweep.trajectory.resolving import resolve
from alsweep.trajectory.start import start_key


@dataclass(frozen=True)
class Planned:
    """One trajectory of a sweep.

    Attributes:
        id: Name of its folder.
        config: Resolved.
        start: Equal for all trajectories that share loop 0.
        cell: The point of the space that it stands for, as the user wrote it; None where it was
            added while the sweep ran, so that no search space has it.
        dataset_name: Of its Dataset.
        dataset_fingerprint: Of the Dataset's content.
        added_to: Of what was added: name of its setting, where settings have names.
    """

    id: str
    config: TrajectoryConfig
    start: str
    cell: Cell | None
    dataset_name: str
    dataset_fingerprint: str
    added_to: str | None = None

    @classmethod
    def of(cls, config: TrajectoryConfig, dataset: Dataset, cell: Cell | None = None) -> "Planned":
        """Resolve a config against its dataset.

        Raises:
            ConfigError: It cannot work there.
        """
        resolved = resolve(config, dataset)
        id_ = resolved.trajectory_id(dataset.fingerprint)
        start = start_key(resolved, dataset)
        return cls(id_, resolved, start, cell, dataset.name, dataset.fingerprint)

    @property
    def label(self) -> str:
        """The strategy as tables name it."""
        return self.config.strategy.shown

    @property
    def shown(self) -> str:
        """The strategy, and before it the setting where settings have names."""
        return self.label if self.setting is None else f"{self.setting}: {self.label}"

    @property
    def setting(self) -> str | None:
        """Name of its setting, where the search space names settings."""
        return self.added_to if self.cell is None else self.cell.setting


@dataclass(frozen=True)
class Plan:
    """A sweep on its datasets.

    Attributes:
        sweep: As the user wrote it; a replay of a run stands once for each strategy of that.
        trajectories: Settings, points, draws, and seeds innermost; then what was added, in the
            order of that. In this order they stand in sweep.yaml and in the table of results.
        stopped: Ids of those that are to do no further loops.
        examples: Configurations that a search may suggest, with the first seed; not to be made.
    """

    sweep: SweepConfig
    trajectories: tuple[Planned, ...]
    stopped: frozenset[str] = frozenset()
    examples: tuple[Planned, ...] = ()

    @property
    def own(self) -> tuple[Planned, ...]:
        """What the search space itself means."""
        return tuple(planned for planned in self.trajectories if planned.cell is not None)

    @property
    def meant(self) -> tuple[Planned, ...]:
        """The same, and what a search may suggest: all that base and settings speak of."""
        return (*self.own, *self.examples)

    def holding(self, more: Sequence[Planned]) -> "Plan":
        """The same with trajectories that were added while the sweep ran."""
        return replace(self, trajectories=(*self.trajectories, *more))

    @property
    def overruled(self) -> "Plan":
        """The same with nothing stopped, where neither a schedule nor a search decides that."""
        return self if self.sweep.decides else replace(self, stopped=frozenset())

    @property
    def names(self) -> dict[str, str]:
        """Label of each strategy of the search space to its name."""
        return {planned.label: planned.config.strategy.name for planned in self.own}

    @property
    def ids(self) -> tuple[str, ...]:
        """Names of the trajectories' folders, in the order of them."""
        return tuple(planned.id for planned in self.trajectories)

    @property
    def datasets(self) -> dict[str, str]:
        """Fingerprint to name of each dataset, in the order of the trajectories."""
        every = (*self.trajectories, *self.examples)
        return {one.dataset_fingerprint: one.dataset_name for one in every}

    @property
    def loops(self) -> int:
        """Trainings of ensembles over all trajectories."""
        return sum(planned.config.query.loops for planned in self.trajectories)


class RefusedError(ConfigError):
    """Trajectories of a sweep cannot work.

    Attributes:
        faults: What is wrong, each once.
    """

    def __init__(self, faults: Sequence[str]) -> None:
        self.faults = tuple(faults)
        more = len(self.faults) - 1
        also = f"; and {more} more, which --dry-run names" if more else ""
        super().__init__(f"{self.faults[0]}{also}")


def make_plan(
    sweep: SweepConfig, datasets: Dataset | Mapping[Path, Dataset], *, people: bool = False
) -> Plan:
    """Resolve every trajectory of a sweep against its dataset.

    Args:
        sweep: What to plan.
        datasets: By the place that the search space names; or one for all.
        people: Whether there are any to ask.

    Raises:
        RefusedError: A trajectory cannot work.
        ConfigError: A trajectory is named twice, two strategies share a label, or
            the report shall compare with one that is not there.
        StrategyError: A plug-in file cannot be loaded.
    """
    load_files(sweep.plugins)
    sweep = with_each_replayed(sweep)
    sweep = with_search_spelled_out(sweep)
    own = sweep.expanded()
    searched = [(cell, sweep.of_cell(cell)[0]) for cell in example_cells(sweep)]
    high = [(cell, sweep.of_cell(cell)[0]) for cell in high_cells(sweep)]
    # What has to work at the high rung is known now, and not once all are told.
    every = [*own, *searched, *high]
    planned = _all_planned(every, datasets, people=people)[: len(own) + len(searched)]
    _refuse_repeats(planned[: len(own)])
    refuse_shared_labels(planned)
    plan = Plan(sweep, tuple(planned[: len(own)]), examples=tuple(planned[len(own) :]))
    if own:
        sweep.report.on(plan.names)
    _refuse_unknown_control(plan)
    return plan


def _all_planned(
    made: Iterable[tuple[Cell, TrajectoryConfig]],
    datasets: Dataset | Mapping[Path, Dataset],
    *,
    people: bool,
) -> list[Planned]:
    """Resolve all, so that all that is wrong is known at once."""
    planned: list[Planned] = []
    refused: dict[str, None] = {}
    for cell, config in made:
        dataset = datasets if isinstance(datasets, Dataset) else datasets[config.dataset]
        try:
            planned.append(plan_one(config, cell, dataset, people=people))
        except ConfigError as error:
            refused[str(error)] = None
    if refused:
        raise RefusedError(tuple(refused))
    return planned


def _refuse_unknown_control(plan: Plan) -> None:
    control = plan.sweep.schedule.control
    if control is not None and control not in plan.names:
        raise ConfigError(f"schedule.control: {no_such_label(control, plan.names)}")


def opened(plan: Plan) -> list[Dataset]:
    """The datasets of a plan, each once, in the order of the trajectories.

    Raises:
        DatasetError: One cannot be opened any more.
    """
    every = (*plan.trajectories, *plan.examples)
    places = {one.dataset_fingerprint: one.config.dataset for one in every}
    return [Dataset.open(place) for place in places.values()]


def plan_one(
    config: TrajectoryConfig, cell: Cell, dataset: Dataset, *, people: bool = False
) -> Planned:
    """Resolve the config of a cell.

    Args:
        config: Of the cell.
        cell: Where it stands in the search space.
        dataset: Its own.
        people: Whether there are any to ask.

    Raises:
        ConfigError: It cannot work; names the place in the search space.
    """
    try:
        if config.annotator.kind == "human" and not people:
            raise ConfigError(
                "base.annotator.kind: human cannot be swept: nobody is asked while a sweep runs; "
                "write oracle, or go on with 'alsweep suggest'"
            )
        return Planned.of(config, dataset, cell)
    except ConfigError as error:
        raise ConfigError(where_it_stands(str(error), cell)) from error


def _refuse_repeats(planned: list[Planned]) -> None:
    seen: dict[str, Planned] = {}
    for one in planned:
        twin = seen.setdefault(one.id, one)
        if twin is not one:
            raise ConfigError(
                f"{_home(one.cell)}: {twin.cell} and {one.cell} mean the same trajectory "
                f"{one.id}; leave one of them out"
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
                f"{_strategy_place(one)}: two strategies bear the label '{one.label}'; "
                "give one of them another 'label'"
            )


def _home(cell: Cell | None) -> str:
    """Where what tells a cell from others is written."""
    if cell is None or not cell.places:
        return "grid" if cell is None or cell.setting is None else "settings"
    return [*cell.places.values()][-1].split(".")[0]


def _strategy_place(planned: Planned) -> str:
    places = {} if planned.cell is None else planned.cell.places
    return next((place for key, place in places.items() if key == "strategy"), "grid.strategy")
