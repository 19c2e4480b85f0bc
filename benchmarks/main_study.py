"""The main study on 8 to 1,024 cards, by simulation: hours until it is done, and what idles.

    python -m benchmarks.main_study [--cards 8 64 512] [--draws 3] [--plot docs/scale.png]

Trajectories, strategies, seeds and epochs are those of search_spaces/nnactive-main.yaml. What a
phase takes is scaled from a training step that was measured on an H200 (docs/training.md), by how
often the network that is planned for a dataset multiplies and adds; cases, and what else is only
assumed, stand below. All cases of a dataset are taken for equally large.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import prod
from pathlib import Path

import numpy as np

from alsweep.config.load import load_sweep
from alsweep.config.trajectory import TrajectoryConfig
from alsweep.data.ingest.network_plan import make_plan
from alsweep.geometry import Triple
from alsweep.model.topology import Topology, multiply_adds
from alsweep.rng import stream
from alsweep.sweep.amounts import predicts
from alsweep.sweep.throughputs import CARDS, FORWARD, LEAST_ON_A_CARD
from benchmarks.simulation import Cluster, Job, Outcome, Phase, Simulation

SPACE = Path(__file__).parents[1] / "search_spaces" / "nnactive-main.yaml"
HOUR = 3600

START = 20.0
"""Assumed: seconds of a worker's start, with imports, CUDA and its first window."""
SPREAD = 0.05
"""Assumed: by which equal phases differ, as the logarithm's standard deviation."""
CHECKPOINT = 300.0
"""Seconds between checkpoints of a training, as resources.checkpoint_minutes is by default."""
LOST, AWAY = 2.0 * HOUR, 300.0
"""Assumed: each node of eight cards is lost every two hours in the mean, for five minutes."""


@dataclass(frozen=True)
class Cases:
    """A dataset; shapes and counts are rounded from published descriptions, assumed here.

    Attributes:
        shape: Of all cases ``(z, y, x)``, voxels of the grid that is trained on.
        spacing: Of that grid, mm.
        classes: Background among them.
        pool: Cases that are queried.
        validation: Cases that are judged after each loop.
    """

    shape: Triple
    spacing: tuple[float, float, float]
    classes: int
    pool: int
    validation: int


CASES = {
    "acdc": Cases((12, 240, 220), (5.0, 1.56, 1.56), 4, 150, 50),
    "amos": Cases((128, 256, 256), (2.0, 1.5, 1.5), 16, 150, 50),
    "hippocampus": Cases((36, 50, 35), (1.0, 1.0, 1.0), 3, 195, 65),
    "kits": Cases((160, 320, 320), (1.5, 1.2, 1.2), 4, 225, 75),
}


@dataclass(frozen=True)
class Seconds:
    """What a loop of a trajectory takes on a card.

    Attributes:
        member: Training of one network.
        evaluate: Of all networks on the validation cases.
        query: Prediction of the pool by all of them.
    """

    member: float
    evaluate: float
    query: float

    @classmethod
    def of(cls, config: TrajectoryConfig, cases: Cases) -> Seconds:
        """As scaled from the stated step; a small network takes the card no less than one did."""
        training, stated = config.training, CARDS["fp16", False]
        plan = make_plan([cases.shape] * cases.pool, cases.spacing, cases.classes + 1)
        features = training.features + training.features[-1:] * len(plan.strides)
        topology = Topology(
            plan.patch_size, plan.strides, plan.kernels, features[: len(plan.strides)]
        )
        one = multiply_adds(training, topology, 1, cases.classes) * stated.seconds_each
        step = max(LEAST_ON_A_CARD, plan.batch_size * one)
        window = FORWARD * step / plan.batch_size

        def predicted(count: int, share: float, mirrored: bool) -> float:
            windows = windows_of(cases.shape, plan.patch_size, share)
            return training.members * count * windows * window * (8 if mirrored else 1)

        judged, asked = config.evaluation, config.inference
        return cls(
            member=step * training.all_epochs * training.iterations_per_epoch / training.members,
            evaluate=predicted(cases.validation, judged.step, judged.tta),
            query=predicted(cases.pool, asked.step, asked.tta),
        )


def windows_of(shape: Triple, window: Triple, share: float) -> int:
    """Windows of a case, as MONAI lays them."""
    strides = [max(1, int(edge * share)) for edge in window]
    over = [max(0, n - edge) for n, edge in zip(shape, window, strict=True)]
    return prod(-(-n // stride) + 1 for n, stride in zip(over, strides, strict=True))


class Draw:
    """Phases about as long as they should be."""

    def __init__(self, seed: int, spread: float = SPREAD) -> None:
        self._rng, self._spread = stream(seed, "phases"), spread

    def __call__(self, seconds: float, every: float | None = None) -> Phase:
        """One of them."""
        factor = self._rng.lognormal(-(self._spread**2) / 2, self._spread)
        return Phase(seconds * float(factor), every)


@dataclass(frozen=True)
class One:
    """A trajectory of the study.

    Attributes:
        setting: Its setting's name.
        strategy: Its strategy's.
        seed: Its seed.
        loops: That it makes.
        members: Networks of a loop.
        seconds: Of its phases.
        asks: Whether its strategy looks at predictions.
    """

    setting: str
    strategy: str
    seed: int
    loops: int
    members: int
    seconds: Seconds
    asks: bool

    @property
    def name(self) -> str:
        """Another one for each."""
        return f"{self.setting} {self.strategy} {self.seed}"

    @property
    def start(self) -> str:
        """The same for all that share loop 0."""
        return f"{self.setting} start {self.seed}"

    @property
    def total(self) -> float:
        """Seconds of all loops but the first."""
        asked = self.seconds.query if self.asks else 0.0
        return (self.loops - 1) * (
            self.members * self.seconds.member + self.seconds.evaluate + asked
        )

    def trained(self, draw: Draw) -> list[Phase]:
        """A loop's networks."""
        return [draw(self.seconds.member, CHECKPOINT) for _ in range(self.members)]

    def loop(self, draw: Draw) -> tuple[Phase, ...]:
        """Training and evaluation."""
        return (*self.trained(draw), draw(self.seconds.evaluate))

    def asked(self, draw: Draw) -> tuple[Phase, ...]:
        """The query before a loop."""
        return (draw(self.seconds.query),) if self.asks else ()

    def later(self, draw: Draw) -> tuple[Phase, ...]:
        """All after loop 0."""
        parts = [(*self.asked(draw), *self.loop(draw)) for _ in range(1, self.loops)]
        return tuple(phase for part in parts for phase in part)


def study(path: Path = SPACE) -> list[One]:
    """All trajectories of the search space, in the order in which a sweep begins them."""
    sweep = load_sweep(path)
    asks = {one.strategy.name: predicts(one.strategy) for one in sweep.trajectories()}
    known: dict[str, Seconds] = {}
    found = []
    for cell, config in sweep.expanded():
        name, spec = config.dataset.name, config.strategy
        seconds = known.setdefault(name, Seconds.of(config, CASES[name]))
        sizes = config.query.loops, config.training.members
        strategy = spec.label or spec.name
        found.append(
            One(str(cell.setting), strategy, config.seed, *sizes, seconds, asks[spec.name])
        )
    places = {seed: place for place, seed in enumerate(sweep.seeds)}
    return sorted(found, key=lambda one: places[one.seed])


# Ways to put a study into jobs: those of the product, then those that it has not.


def unshared(every: Sequence[One], draw: Draw) -> Iterator[Job]:
    """Each trajectory trains its own loop 0."""
    for one in every:
        yield Job(one.name, (*one.loop(draw), *one.later(draw)))


def shared(
    every: Sequence[One], draw: Draw, gate: str = "starts", after: str = ""
) -> Iterator[Job]:
    """As a sweep does it: all starts, each once; then the trajectories.

    Args:
        every: The trajectories.
        draw: Draws their phases.
        gate: Name of what stands between them.
        after: Name of what has to be done before.
    """
    before = (after,) if after else ()
    starts = starts_of(every)
    for name, one in starts.items():
        yield Job(name, one.loop(draw), before)
    yield Job(gate, after=tuple(starts) or before)
    for one in every:
        yield Job(one.name, one.later(draw), (gate,))


def raced(every: Sequence[One], draw: Draw, seed: int) -> Iterator[Job]:
    """As a race does it: one seed after the other, each with less of what is decided."""
    before, rest = "", _undecided(every, seed)
    for value in dict.fromkeys(one.seed for one in rest):
        block = [one for one in rest if one.seed == value]
        yield from shared(block, draw, f"starts {value}", before)
        before = f"seed {value}"
        yield Job(before, after=tuple(one.name for one in block))


def _undecided(every: Sequence[One], seed: int) -> list[One]:
    """What a race leaves of a study whose strategies differ as published ones do."""
    from benchmarks.racing import Design, race

    settings = list(dict.fromkeys(one.setting for one in every))
    strategies = list(dict.fromkeys(one.strategy for one in every))
    seeds = list(dict.fromkeys(one.seed for one in every))
    found = race(Design(len(strategies), len(seeds)).table(len(settings), seed))
    made = found[found["loops"] > 0]
    keys = {
        (settings[int(a[1:])], strategies[int(b[1:])], seeds[c])
        for a, b, c in zip(made["setting"], made["strategy"], made["seed"], strict=True)
    }
    return [one for one in every if (one.setting, one.strategy, one.seed) in keys]


def ungated(every: Sequence[One], draw: Draw) -> Iterator[Job]:
    """No trajectory waits for any start but its own, and the longest come first."""
    ordered = sorted(every, key=lambda one: -one.total)
    for name, one in starts_of(ordered).items():
        yield Job(name, one.loop(draw))
    for one in ordered:
        yield Job(one.name, one.later(draw), (one.start,))


def by_member(every: Sequence[One], draw: Draw) -> Iterator[Job]:
    """Each network is a job of its own, on whatever card is free; so is what follows on all."""
    ordered = sorted(every, key=lambda one: -one.total)
    for name, one in starts_of(ordered).items():
        yield from _spread(one, name, draw, ())
    for one in ordered:
        before = one.start
        for loop in range(1, one.loops):
            name = one.name if loop + 1 == one.loops else f"{one.name} loop {loop}"
            if one.asks:
                yield Job(f"{name} query", one.asked(draw), (before,))
                before = f"{name} query"
            yield from _spread(one, name, draw, (before,))
            before = name


def _spread(one: One, name: str, draw: Draw, after: tuple[str, ...]) -> Iterator[Job]:
    """A loop, its networks side by side."""
    members = [f"{name} member {number}" for number in range(one.members)]
    for member, phase in zip(members, one.trained(draw), strict=True):
        yield Job(member, (phase,), after)
    yield Job(name, (draw(one.seconds.evaluate),), tuple(members))


def starts_of(every: Iterable[One]) -> dict[str, One]:
    """Each start with one of those that share it."""
    found: dict[str, One] = {}
    for one in every:
        found.setdefault(one.start, one)
    return found


Jobs = Callable[[Sequence[One], int], Iterator[Job]]


@dataclass(frozen=True)
class Way:
    """A line of the table and of the plot.

    Attributes:
        name: For people.
        jobs: Of a study, with the seed of what is drawn.
        lost_every: See :class:`Cluster`.
        color: In the plot.
        style: In the plot.
    """

    name: str
    jobs: Jobs
    color: str
    style: str = "-"
    lost_every: float | None = None


WAYS = (
    Way("loop 0 not shared", lambda e, s: unshared(e, Draw(s)), "tab:gray"),
    Way("loop 0 shared", lambda e, s: shared(e, Draw(s)), "tab:blue"),
    Way("shared, nodes lost", lambda e, s: shared(e, Draw(s)), "tab:blue", ":", LOST),
    Way("race", lambda e, s: raced(e, Draw(s), s), "tab:orange"),
    Way("race, nodes lost", lambda e, s: raced(e, Draw(s), s), "tab:orange", ":", LOST),
    Way("own start only, longest first *", lambda e, s: ungated(e, Draw(s)), "tab:green", "--"),
    Way("a job a network *", lambda e, s: by_member(e, Draw(s)), "tab:red", "--"),
    Way("a job a network, nodes lost *", lambda e, s: by_member(e, Draw(s)), "tab:red", ":", LOST),
)
"""Those with a star are no way of the product."""


def outcomes(way: Way, cards: int, every: Sequence[One], draws: int) -> list[Outcome]:
    """A way on so many cards, drawn several times."""
    cluster = Cluster(cards, start=START, lost_every=way.lost_every, away=AWAY)
    return [Simulation(list(way.jobs(every, s)), cluster, s).run() for s in range(draws)]


def mean(values: Iterable[float]) -> float:
    """Of the draws."""
    return float(np.mean(list(values)))


def tell(way: Way, cards: int, found: Sequence[Outcome]) -> None:
    """Print a row."""
    shares = [
        mean(getattr(one, part) / one.held for one in found)
        for part in ("useful", "starting", "lost", "idle")
    ]
    hours = mean(one.wall for one in found) / HOUR
    paid = mean(one.held for one in found) / HOUR
    told = "  ".join(f"{share:6.1%}" for share in shares)
    print(f"{way.name:34} {cards:5} {hours:8.1f} {paid:9,.0f}  {told}", flush=True)


def draw_plot(
    path: Path, cards: Sequence[int], found: Mapping[str, Sequence[Sequence[Outcome]]]
) -> None:
    """Hours and efficiency over cards."""
    from matplotlib import pyplot

    figure, (left, right) = pyplot.subplots(1, 2, figsize=(10.5, 4.2), layout="constrained")
    for way in WAYS:
        hours = [mean(one.wall for one in each) / HOUR for each in found[way.name]]
        useful = [100 * mean(one.efficiency for one in each) for each in found[way.name]]
        look = {"color": way.color, "linestyle": way.style, "marker": "o", "markersize": 3}
        left.plot(cards, hours, label=way.name, **look)
        right.plot(cards, useful, **look)
    left.set(xscale="log", yscale="log", ylabel="hours until all is done")
    right.set(xscale="log", ylabel="useful GPU-hours, % of those paid for", ylim=(0, 102))
    for axes in (left, right):
        axes.set(xlabel="GPUs")
        axes.set_xticks(cards, [str(n) for n in cards])
        axes.minorticks_off()
        axes.grid(alpha=0.3)
    figure.legend(loc="outside right upper", frameon=False)
    figure.savefig(path, dpi=110)


def main() -> None:
    """Print what a loop takes, then a row for each way and number of cards."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--cards", type=int, nargs="+", default=[8, 16, 32, 64, 128, 256, 512, 1024]
    )
    parser.add_argument("--draws", type=int, default=3)
    parser.add_argument("--plot", type=Path)
    arguments = parser.parse_args()
    every = study()
    for name, seconds in {one.setting.split("-")[0]: one.seconds for one in every}.items():
        parts = seconds.member / HOUR, seconds.evaluate / HOUR, seconds.query / HOUR
        print("{:12} hours: a network {:.2f}, evaluation {:.2f}, query {:.2f}".format(name, *parts))
    print(f"longest trajectory after loop 0: {max(one.total for one in every) / HOUR:.1f} hours")
    print(f"{'':34} cards    hours GPU-hours  useful  starts    lost    idle")
    found: dict[str, list[list[Outcome]]] = {}
    for way in WAYS:
        found[way.name] = []
        for cards in arguments.cards:
            found[way.name].append(outcomes(way, cards, every, arguments.draws))
            tell(way, cards, found[way.name][-1])
    if arguments.plot:
        draw_plot(arguments.plot, arguments.cards, found)


if __name__ == "__main__":
    main()
