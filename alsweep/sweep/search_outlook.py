"""What a search will take, as far as that can be said before anything is suggested."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from alsweep.layout import space_path
from alsweep.results.searched import FINALISTS
from alsweep.sweep.costing import Calibrate, Cost, cost_of
from alsweep.sweep.pruning import stages
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

PRUNED = "those given up have fewer trajectories, but do not count"
"""The same of a search that prunes."""

SETTLED = "it ends earlier where the best rises no more"
"""The same of a search that stops."""


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

    def over(self, n: int) -> Span:
        """Of each of so many."""
        return Span(self.low // n, self.high // n)

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
        confirm_seeds: With which the best are run again in each setting.
        together: Seeds that are run at once; the rest follow one by one, unless given up.
        high: What the best third is run again with; empty where there is one rung.
        may_stop: Whether it may end before all are told.
    """

    configurations: int
    told: int
    settings: int
    seeds: int
    loops: Span
    trainings: Span
    cost: Cost | None = None
    confirm_seeds: int = 0
    together: int | None = None
    may_stop: bool = False
    high: Mapping[str, float] = field(default_factory=dict)

    @property
    def unknown(self) -> tuple[str, ...]:
        """What nobody can say before."""
        more = () if self.together is None else (PRUNED,)
        return (*UNKNOWN, *more, *((SETTLED,) if self.may_stop else ()))

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
        """What all that are left take, and what confirms them, as far as it is at their rung."""
        low = 0 if self.high else self.confirmed
        blocks = self.left + low * self.confirm_seeds / self.seeds
        return None if self.cost is None else self.cost.times(blocks)

    @property
    def promoted(self) -> int:
        """Configurations that are still to be run at the high rung, where all are told."""
        return math.ceil(self.configurations / 3) if self.high and self.left else 0

    @property
    def confirmed(self) -> int:
        """Configurations that are still to be run on fresh seeds."""
        # What was confirmed before is not looked up: then nothing is left.
        of = self.promoted if self.high else self.configurations
        return min(FINALISTS, of) if self.confirm_seeds and self.left else 0

    @property
    def confirming(self) -> Span:
        """Loops of what confirms; those of a configuration are over its seeds."""
        return self.loops.times(self.confirmed * self.confirm_seeds).over(self.seeds)

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
            "promoted": {
                "configurations": self.promoted,
                "trajectories": self.promoted * self.each,
                "at": dict(self.high),
            },
            "confirmed": {
                "configurations": self.confirmed,
                "trajectories": self.confirmed * self.settings * self.confirm_seeds,
                "loops": asdict(self.confirming),
            },
            "cost_each": None if cost is None else cost.plain(),
            "cost": None if total is None else total.plain(),
            "unknown": list(self.unknown),
        }

    def lines(self) -> list[str]:
        """For people."""
        if not self.left:
            return [f"search: all of {_counted(self.configurations)} told"]
        each, every = (_trajectories(n) for n in (self.each, self.left * self.each))
        told = f", {self.told} of them told" if self.told else ""
        settings = f" in {self.settings} settings" if self.settings > 1 else ""
        seeds = f"{self.seeds} seed{'' if self.seeds == 1 else 's'}"
        all_of_them = (
            f"search: {_counted(self.configurations)}{told}, each of {each} "
            f"({seeds}{settings}) with {self.loops} loops: {every}, "
            f"{self.loops.times(self.left)} loops, {self.trainings.times(self.left)} trainings to "
            f"come; {'; '.join(self.unknown)}"
        )
        lines = [all_of_them]
        if self.together is not None:
            lines.append(
                f"search: of a configuration {self.together} seeds are run at once, the other "
                f"{self.seeds - self.together} one after the other, unless it is given up; several "
                "configurations at a time keep the workers busy"
            )
        if self.promoted:
            at = ", ".join(f"{key}={value:g}" for key, value in self.high.items())
            lines.append(
                f"search: then the best third again, {self.promoted} at most, at {at}: "
                f"{self.promoted * self.each} trajectories; hours are of the low rung alone"
            )
        if self.confirmed:
            trajectories = self.confirmed * self.settings * self.confirm_seeds
            lines.append(
                f"search: then the best {self.confirmed} again, on {self.confirm_seeds} fresh "
                f"seed{'' if self.confirm_seeds == 1 else 's'}: {trajectories} trajectories, "
                f"{self.confirming} loops"
            )
        cost = self.total
        return lines if cost is None else [*lines, f"search, from the ends of its ranges: {cost}"]


def _trajectories(n: int) -> str:
    return f"{n} trajector{'y' if n == 1 else 'ies'}"


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
    at_once = stages(sweep.seeds, sweep.search.pruning)
    return SearchOutlook(
        configurations=sweep.search.configurations,
        told=0,
        settings=settings,
        seeds=seeds,
        loops=loops.times(seeds),
        trainings=trained.times(seeds),
        confirm_seeds=len(sweep.search.confirm_seeds),
        high=sweep.search.high,
        may_stop=bool(sweep.search.stop),
        together=None if len(at_once) == 1 else len(at_once[0]),
    )


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
