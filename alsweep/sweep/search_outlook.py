"""What a search will take, as far as that can be said before anything is suggested."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from alsweep.layout import space_path
from alsweep.results.decisions import read_decisions
from alsweep.results.searched import FINALISTS
from alsweep.sweep.costing import Calibrate, Cost, cost_of
from alsweep.sweep.pruning import stages
from alsweep.sweep.reruns import reason
from alsweep.sweep.taking_over import looked_ahead

if TYPE_CHECKING:
    from alsweep.config.sweep import SweepConfig
    from alsweep.config.trajectory import TrajectoryConfig
    from alsweep.results.searched import Searched
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
        under_way: Configurations without a value of which the run holds the trajectories: what
            these lack is counted there.
        stopped: Whether it has ended by itself.
        to_promote: Configurations that are to be run at the high rung; None where it depends on
            what is to be told.
        to_confirm: The same of those that are run on fresh seeds.
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
    under_way: int = 0
    stopped: bool = False
    to_promote: int | None = None
    to_confirm: int | None = None

    @property
    def unknown(self) -> tuple[str, ...]:
        """What nobody can say before."""
        more = () if self.together is None else (PRUNED,)
        return (*UNKNOWN, *more, *((SETTLED,) if self.may_stop else ()))

    @property
    def left(self) -> int:
        """Configurations that are still to be suggested."""
        wanted = self.configurations - self.told - self.under_way
        return 0 if self.stopped else max(0, wanted)

    @property
    def each(self) -> int:
        """Trajectories of a configuration."""
        return self.settings * self.seeds

    @property
    def total(self) -> Cost | None:
        """What all that are left take, and what confirms them, as far as it is at their rung.

        None where nothing is to come, or no dataset is there to tell it.
        """
        low = 0 if self.high else self.confirmed
        blocks = self.left + low * self.confirm_seeds / self.seeds
        return self.cost.times(blocks) if self.cost is not None and blocks else None

    @property
    def promoted(self) -> int:
        """Configurations that are still to be run at the high rung."""
        return self._third if self.to_promote is None else self.to_promote

    @property
    def _third(self) -> int:
        return math.ceil(self.configurations / 3) if self.high else 0

    @property
    def confirmed(self) -> int:
        """Configurations that are still to be run on fresh seeds."""
        if self.to_confirm is not None or not self.confirm_seeds:
            return self.to_confirm or 0
        return min(FINALISTS, self._third or self.configurations)

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
            "under_way": self.under_way,
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
        lines = [self._to_come if self.left else self._over]
        if self.left and self.together is not None:
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

    @property
    def _told_of(self) -> str:
        """How far it is."""
        states = {"told": self.told, "under way and counted above": self.under_way}
        return ", ".join(f"{count} of them {state}" for state, count in states.items() if count)

    @property
    def _to_come(self) -> str:
        each, every = (_trajectories(n) for n in (self.each, self.left * self.each))
        told = f", {self._told_of}" if self._told_of else ""
        settings = f" in {self.settings} settings" if self.settings > 1 else ""
        seeds = f"{self.seeds} seed{'' if self.seeds == 1 else 's'}"
        return (
            f"search: {_counted(self.configurations)}{told}, each of {each} "
            f"({seeds}{settings}) with {self.loops} loops: {every}, "
            f"{self.loops.times(self.left)} loops, {self.trainings.times(self.left)} trainings to "
            f"come; {'; '.join(self.unknown)}"
        )

    @property
    def _over(self) -> str:
        if self.under_way:
            return f"search: {_counted(self.configurations)}, {self._told_of}"
        if self.stopped:
            of = f"{self.told} of {_counted(self.configurations)} told"
            return f"search: {of}, ended since the best rises no more"
        return f"search: all of {_counted(self.configurations)} told"


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
    cost = cost_of(_none_begun(made, examples), examples, {}, calibrate, price)
    n = len(plan.examples) // found.settings
    found = replace(found, cost=None if cost is None else cost.times(1 / n))
    return _so_far(made.run, plan, found)


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


def _so_far(run: Path, plan: Plan, found: SearchOutlook) -> SearchOutlook:
    """The same less what was told, or is under way.

    A study is there once a run has begun; before, looking for it might make one.
    """
    from optuna.trial import TrialState

    from alsweep.results.searched import searched_in
    from alsweep.results.studies import read_memory
    from alsweep.sweep.study import lacking, under_way
    from alsweep.sweep.study_name import study_name

    search, name = plan.sweep.search, study_name(plan)
    if search is None or name is None or not space_path(run).exists():
        return found
    memory = read_memory(run, search.storage, name)
    searched = searched_in(name, search.plain(), memory)
    found = replace(
        found,
        told=sum(trial.state == TrialState.COMPLETE for trial in memory.trials),
        under_way=under_way(memory.trials, set(plan.ids)),
        stopped=searched.stopped is not None,
    )
    # What failed is tried again with the run's own trajectories, and then has its value.
    anew = min(found.left, len(lacking(memory.trials, set(plan.ids))))
    found = replace(found, under_way=found.under_way + anew)
    return found if found.left or found.under_way else _run_again(run, searched, found)


def _run_again(run: Path, searched: Searched, found: SearchOutlook) -> SearchOutlook:
    """The same with what is run again of what was told; what has begun is the run's own."""
    begun = {decision.why for decision in read_decisions(run)}
    promote, confirm = searched.unpromoted(), searched.unconfirmed()
    to_promote = sum(reason("promotes", one.number) not in begun for one in promote)
    if promote:  # who is confirmed depends on what they will give
        return replace(found, to_promote=to_promote)
    to_confirm = sum(reason("confirms", one.number) not in begun for one in confirm)
    return replace(found, to_promote=0, to_confirm=to_confirm)


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
