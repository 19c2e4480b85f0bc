"""What a search will take, as far as that can be said before anything is suggested."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from alsweep.layout import space_path
from alsweep.sweep.costing import Calibrate, Cost, cost_of
from alsweep.sweep.taking_over import looked_ahead

if TYPE_CHECKING:
    from alsweep.config.sweep import SweepConfig
    from alsweep.config.trajectory import TrajectoryConfig
    from alsweep.sweep.missing import Snapshot
    from alsweep.sweep.plan import Plan, Planned

UNKNOWN = (
    "repeats, shared starts and loops that are there already make it fewer",
    "configurations that fail make it more",
)
"""What nobody can say before."""


@dataclass(frozen=True)
class Span:
    """The least and the most of something.

    Attributes:
        low: The least.
        high: The most.
    """

    low: int
    high: int

    @classmethod
    def of(cls, values: Iterable[int]) -> Span:
        """Of some values."""
        found = list(values)
        return cls(min(found), max(found))

    def times(self, n: int) -> Span:
        """Of so many."""
        return Span(n * self.low, n * self.high)

    def __str__(self) -> str:
        return f"{self.low}" if self.low == self.high else f"{self.low} to {self.high}"


@dataclass(frozen=True)
class SearchOutlook:
    """What a search will take.

    Attributes:
        configurations: That are to be told with a value.
        told: Of them, until now.
        settings: In which each is run.
        seeds: With which each is run in each setting.
        loops: Of a configuration.
        trainings: Of a configuration: networks.
        cost: Of a configuration; None where no dataset is there to tell it.
    """

    configurations: int
    told: int
    settings: int
    seeds: int
    loops: Span
    trainings: Span
    cost: Cost | None = None

    @property
    def left(self) -> int:
        """Configurations that are still to be told."""
        return max(0, self.configurations - self.told)

    @property
    def each(self) -> int:
        """Trajectories of a configuration."""
        return self.settings * self.seeds

    @property
    def total(self) -> Cost | None:
        """What all that are left take."""
        return None if self.cost is None else self.cost.times(self.left)

    def plain(self) -> dict[str, Any]:
        """As JSON values."""
        cost, total = self.cost, self.total
        return {
            "configurations": self.configurations,
            "told": self.told,
            "left": self.left,
            "settings": self.settings,
            "seeds": self.seeds,
            "trajectories": self.left * self.each,
            "loops": asdict(self.loops.times(self.left)),
            "trainings": asdict(self.trainings.times(self.left)),
            "cost_each": None if cost is None else cost.plain(),
            "cost": None if total is None else total.plain(),
            "unknown": list(UNKNOWN),
        }

    def lines(self) -> list[str]:
        """For people."""
        if not self.left:
            return [f"search: all of {_counted(self.configurations)} told"]
        noun = "trajectory" if self.each == 1 else "trajectories"
        told = f", {self.told} of them told" if self.told else ""
        settings = f" in {self.settings} settings" if self.settings > 1 else ""
        seeds = f"{self.seeds} seed{'' if self.seeds == 1 else 's'}"
        all_of_them = (
            f"search: {_counted(self.configurations)}{told}, each of {self.each} {noun} "
            f"({seeds}{settings}) with {self.loops} loops: {self.left * self.each} trajectories, "
            f"{self.loops.times(self.left)} loops, {self.trainings.times(self.left)} trainings to "
            f"come; {'; '.join(UNKNOWN)}"
        )
        cost = self.total
        if cost is None:
            return [all_of_them]
        return [all_of_them, f"search, from the ends of its ranges: {cost}"]


def _counted(configurations: int) -> str:
    return f"{configurations} configuration{'' if configurations == 1 else 's'}"


def search_outlook(
    run: Path | Snapshot,
    plan: Plan,
    calibrate: Calibrate | None = None,
    price: float | None = None,
) -> SearchOutlook | None:
    """Look ahead; writes nothing. None where nothing is searched.

    What a configuration costs is the mean over those at the ends of the ranges.

    Args:
        run: The run folder, absolute; it need not be there. Or what was looked up in it.
        plan: With examples.
        calibrate: See :func:`~alsweep.sweep.costing.cost_of`.
        price: See :class:`~alsweep.sweep.costing.Cost`.

    Raises:
        ConfigError: The storage of the search cannot be read.
    """
    search = plan.sweep.search
    if search is None:
        return None
    found = counted(plan.sweep, [one.config for one in plan.examples])
    made, examples = looked_ahead(run, plan), _only_examples(plan)
    told = _told(made.run, plan)
    cost = cost_of(_none_begun(made, examples), examples, {}, calibrate, price)
    n = len(plan.examples) // found.settings
    return replace(found, told=told, cost=None if cost is None else cost.times(1 / n))


def counted(sweep: SweepConfig, examples: Sequence[TrajectoryConfig]) -> SearchOutlook:
    """What can be counted without a dataset.

    Args:
        sweep: Has a search.
        examples: Of each example configuration, one a setting.
    """
    assert sweep.search is not None
    settings, seeds = len(sweep.settings or ()) or 1, len(sweep.seeds)
    blocks = [examples[at : at + settings] for at in range(0, len(examples), settings)]
    loops = Span.of(sum(one.query.loops for one in block) for block in blocks)
    trained = Span.of(
        sum(one.query.loops * one.training.members for one in block) for block in blocks
    )
    n = sweep.search.configurations
    return SearchOutlook(n, 0, settings, seeds, loops.times(seeds), trained.times(seeds))


def _told(run: Path, plan: Plan) -> int:
    """A study is there once a run has begun; before, looking for it might make one."""
    from optuna.trial import TrialState

    from alsweep.results.studies import read_trials
    from alsweep.sweep.study_name import study_name

    search, name = plan.sweep.search, study_name(plan)
    if search is None or name is None or not space_path(run).exists():
        return 0
    trials = read_trials(run, search.storage, name)
    return sum(trial.state == TrialState.COMPLETE for trial in trials)


def _only_examples(plan: Plan) -> Plan:
    """A plan in which the examples are all that is left to do, each with all seeds."""
    made = [
        _with_seed(one, place, seed)
        for place, one in enumerate(plan.examples)
        for seed in plan.sweep.seeds
    ]
    return replace(plan.holding(made), stopped=frozenset(plan.ids))


def _none_begun(made: Snapshot, examples: Plan) -> Snapshot:
    """What was looked up, of examples too: they are made wholly, and take over nothing."""
    return replace(made, loops={**dict.fromkeys(examples.ids, 0), **made.loops})


def _with_seed(example: Planned, place: int, seed: int) -> Planned:
    """One that no folder has, so that all of it is left to do."""
    config = example.config.model_copy(update={"seed": seed})
    name = f"example {place} of seed {seed}"
    return replace(example, id=name, start=name, config=config)
