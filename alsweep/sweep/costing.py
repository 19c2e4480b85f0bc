"""What the rest of a sweep takes: hours of cards, or of CPUs where no card is asked for."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from alsweep.layout import trajectory_folder
from alsweep.results.records import read_records
from alsweep.sweep.amounts import Amount, Measure, Recipe, left_to_do
from alsweep.sweep.missing import Snapshot, loops_done
from alsweep.sweep.taking_over import looked_ahead
from alsweep.sweep.throughputs import FORWARD, stated_step, times_of

if TYPE_CHECKING:
    from alsweep.config.sweep import ResourcesConfig
    from alsweep.results.loops import LoopRecord
    from alsweep.sweep.plan import Plan, Planned

Source = Literal["records", "calibration", "stated"]

_HOUR = 3600
_NOTHING = Amount()


@dataclass(frozen=True)
class Rates:
    """Seconds that a card, or a CPU core, is taken for.

    Attributes:
        step: By a training step.
        judged: By a window of a case that is judged.
        queried: By a window of the pool.
    """

    step: float
    judged: float
    queried: float

    def seconds(self, amount: Amount) -> Amount:
        """What an amount takes: seconds in the place of counts."""
        return Amount(
            amount.steps * self.step, amount.judged * self.judged, amount.queried * self.queried
        )

    def times(self, factor: float) -> Rates:
        """All of them that much slower."""
        return Rates(self.step * factor, self.judged * factor, self.queried * factor)


@dataclass(frozen=True)
class Timed:
    """Rates of some recipe, and where they are from.

    Attributes:
        rates: Of a step and of windows.
        source: ``calibration`` was timed just now.
        told: What was looked at, for people.
    """

    rates: Rates
    source: Source
    told: str


@dataclass(frozen=True)
class Cost:
    """Hours that are still to be spent, at most.

    Attributes:
        unit: ``GPU`` or ``CPU``: of what the hours are.
        train: Hours of training.
        evaluate: Of evaluation.
        query: Of predicting the pool.
        source: Where the figures are from: what is best known of any recipe.
        told: The same, for people.
        price: Of a card's hour, or where no card is asked for of a worker's; None where nobody
            named it.
        cpus: Of a worker.
    """

    unit: Literal["GPU", "CPU"]
    train: float
    evaluate: float
    query: float
    source: Source
    told: str
    price: float | None = None
    cpus: float = 1

    @property
    def hours(self) -> float:
        """All together."""
        return self.train + self.evaluate + self.query

    @property
    def money(self) -> float | None:
        """Price of it all."""
        each = 1 if self.unit == "GPU" else self.cpus
        return None if self.price is None else self.hours / each * self.price

    def times(self, factor: float) -> Cost:
        """Of so many times the work."""
        train, evaluate, query = (factor * n for n in (self.train, self.evaluate, self.query))
        return replace(self, train=train, evaluate=evaluate, query=query)

    def plain(self) -> dict[str, Any]:
        """As JSON values."""
        return asdict(self) | {"hours": self.hours, "money": self.money}

    def __str__(self) -> str:
        parts = {"training": self.train, "evaluation": self.evaluate, "queries": self.query}
        each = ", ".join(f"{name} {_in_hours(hours)}" for name, hours in parts.items())
        return f"{self.unit}-hours: about {_in_hours(self.hours)} ({each}); {self.told}"


def _in_hours(hours: float) -> str:
    return f"{hours:,.0f}" if hours >= 100 else f"{hours:.3g}"


Calibrate = Callable[[Sequence[Recipe]], Mapping[int, Timed]]
"""Times some recipes, most wanted first; gives the place in the list of those that it timed."""


def cost_of(
    run: Path | Snapshot,
    plan: Plan,
    stored: Mapping[str, int],
    calibrate: Calibrate | None = None,
    price: float | None = None,
) -> Cost | None:
    """Foretell what the rest of a plan takes; None where nothing is left to do.

    A recipe goes by the records that the run has of it, else by what was timed now. One of which
    neither is known is scaled from those that are, by what the table of stated throughputs says of
    both; and where nothing is known, the table is all there is.

    Args:
        run: The run folder, absolute; it need not be there. Or what was looked up in it.
        plan: What to make.
        stored: See :func:`~alsweep.sweep.amounts.left_to_do`.
        calibrate: Asked for recipes without records.
        price: See :class:`Cost`.
    """
    measure, resources, made = Measure.of(plan), plan.sweep.resources, looked_ahead(run, plan)
    left = {key: one for key, one in left_to_do(made, plan, measure, stored).items() if one.steps}
    if not left:
        return None
    stated = {key: _stated(measure.recipes[key], resources) for key in measure.recipes}
    known = _recorded(made, plan, measure)
    if calibrate is not None:
        known |= _calibrated(calibrate, measure, left, stated, known)
    rates = _all_rates(stated, known)
    spent = sum((rates[key].seconds(amount) for key, amount in left.items()), _NOTHING)
    source, told = _sources(left, known, measure, resources, calibrate is not None)
    return Cost(
        unit="GPU" if resources.gpus else "CPU",
        train=spent.steps / _HOUR,
        evaluate=spent.judged / _HOUR,
        query=spent.queried / _HOUR,
        source=source,
        told=told,
        price=price,
        cpus=resources.cpus,
    )


def _stated(recipe: Recipe, resources: ResourcesConfig) -> Rates:
    step = stated_step(recipe.config.training, recipe.dataset, resources).device
    window = window_of(step, recipe)
    return Rates(step * times_of(recipe.config.training), window, window)


def window_of(step: float, recipe: Recipe) -> float:
    """What a window is taken to need where only a step is known."""
    return FORWARD * step / recipe.config.training.batch_size


def _all_rates(stated: Mapping[str, Rates], known: Mapping[str, Timed]) -> dict[str, Rates]:
    """Rates of every recipe: known, or as much off the table as the known ones are."""
    had = sum(known[key].rates.step for key in known)
    factor = had / sum(stated[key].step for key in known) if had else 1.0
    return {
        key: known[key].rates if key in known else rates.times(factor)
        for key, rates in stated.items()
    }


def _calibrated(
    calibrate: Calibrate,
    measure: Measure,
    left: Mapping[str, Amount],
    stated: Mapping[str, Rates],
    known: Mapping[str, Timed],
) -> dict[str, Timed]:
    """What was timed of the recipes without records, those first that take the most."""
    unknown = [key for key in left if key not in known]
    unknown.sort(key=lambda key: -left[key].steps * stated[key].step)
    if not unknown:
        return {}
    timed = calibrate([measure.recipes[key] for key in unknown])
    return {unknown[place]: one for place, one in timed.items()}


@dataclass
class _Sums:
    """Seconds of a card or core beside what was done in them."""

    spent: Amount = _NOTHING
    done: Amount = _NOTHING

    def add(self, spent: Amount, done: Amount) -> None:
        self.spent, self.done = self.spent + spent, self.done + done

    def rates(self, recipe: Recipe) -> Rates | None:
        """None where no step was timed; a window that was not is taken for a part of a step."""
        spent, done = self.spent, self.done
        if not spent.steps or not done.steps:
            return None
        step = spent.steps / done.steps
        judged = spent.judged / done.judged if done.judged else window_of(step, recipe)
        return Rates(step, judged, spent.queried / done.queried if done.queried else judged)


def _recorded(made: Snapshot, plan: Plan, measure: Measure) -> dict[str, Timed]:
    """What the run's own records say of each recipe."""
    sums: dict[str, _Sums] = {}
    loops: dict[str, int] = {}
    for planned in plan.trajectories:
        key = measure.keys[planned.id]
        for record in _records_for(made, planned, measure):
            if _same_machine(record, plan.sweep.resources):
                _count(sums.setdefault(key, _Sums()), record, planned, plan, measure)
                loops[key] = loops.get(key, 0) + 1
    rates = {key: found.rates(measure.recipes[key]) for key, found in sums.items()}
    return {
        key: Timed(one, "records", f"{loops[key]} loops")
        for key, one in rates.items()
        if one is not None
    }


def _records_for(made: Snapshot, planned: Planned, measure: Measure) -> Iterator[LoopRecord]:
    """Of the loops that were made for a trajectory, or that it is going to take over.

    Of a source that the plan has too, the records are that one's.
    """
    source = made.sources.get(planned.id)
    if source is not None and source.name in measure.keys:
        return
    records = read_records(source or trajectory_folder(made.run, planned.id))
    for record in records[: loops_done(made, planned)]:
        # What was taken over says nothing of what it took.
        if not record.taken_over:
            yield record


def _same_machine(record: LoopRecord, resources: ResourcesConfig) -> bool:
    """Whether a loop was made as the rest will be: on a card or not, on as many threads."""
    on_card = record.device.startswith("cuda")
    return on_card == bool(resources.gpus) and (on_card or record.threads == resources.threads)


def _count(sums: _Sums, record: LoopRecord, planned: Planned, plan: Plan, measure: Measure) -> None:
    """Count what a loop took; what another trajectory made for it took nothing."""
    resources, training = plan.sweep.resources, planned.config.training
    held = resources.gpus or resources.cpus
    at_once = 1 if training.ensemble == "snapshots" else resources.members_at_once
    made = training.members - record.cached_members
    if made and record.train_seconds:
        spent = record.train_seconds * held / min(at_once, training.members)
        sums.add(Amount(steps=spent), measure.trained(planned, made))
    if record.evaluate_seconds:
        sums.add(Amount(judged=record.evaluate_seconds * held), measure.judged(planned))
    if record.loop + 1 < planned.config.query.loops and measure.predicts(planned):
        sums.add(Amount(queried=record.query_seconds * held), measure.queried(planned))


def _sources(
    left: Mapping[str, Amount],
    known: Mapping[str, Timed],
    measure: Measure,
    resources: ResourcesConfig,
    asked: bool,
) -> tuple[Source, str]:
    """Where the figures are from, and the same in words; ``asked`` for a calibration."""
    if not known:
        failed = "; not one training step was done in the time of --calibrate" if asked else ""
        recipe = measure.recipes[next(iter(left))]
        stated = stated_step(recipe.config.training, recipe.dataset, resources).stated
        return "stated", (
            f"from stated throughputs, those of {stated.machine} ({stated.source}){failed}"
        )
    recorded = [one for one in known.values() if one.source == "records"]
    timed = [one for one in known.values() if one.source == "calibration"]
    parts = []
    if recorded:
        parts.append(f"from records of this run, {' and '.join(one.told for one in recorded[:3])}")
    if timed:
        parts.append(f"timed on this machine: {'; '.join(one.told for one in timed)}")
    if others := len(left.keys() - known.keys()):
        what = "1 other recipe" if others == 1 else f"{others} other recipes"
        parts.append(f"{what} scaled from {'that' if len(known) == 1 else 'those'}")
    return ("records" if recorded else "calibration"), ", ".join(parts)
