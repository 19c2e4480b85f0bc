"""Query speed: a case's query against the plain way, in one run, as a ratio.

    python benchmarks/query.py [--quick] [--only NAME ...] [--members 5]

The plain way is what a first version would do, and what the study that this project answers does:
stack the members, average boxes with a convolution, sort everything, and walk a list of candidates
from the front, each tested for overlap with all others. Ours is what a trajectory does: fold the
members, then ask the strategy.
"""

import argparse
import ctypes
import re
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from scipy.signal import fftconvolve
from torch.nn import functional

from alsweep.geometry import Patch, Triple, boxes_intersect
from alsweep.model.folding import Fold, Folded
from alsweep.query import PoolCase, Prediction, Request, make_strategy
from alsweep.query.aggregate import Windows
from alsweep.query.engine import Engine
from alsweep.rng import stream

PATCHES = 20
STRATEGIES = ("predictive_entropy", "mutual_information", "clasp_pe")
SLOW = 10.0
"""Seconds above which a way is measured once."""

MOST_CONVOLVED = 10**10
"""Products above which the plain way gets a Fourier transform: a convolution would take minutes."""


@dataclass(frozen=True)
class Case:
    """One volume of a dataset of the study."""

    name: str
    shape: Triple
    box: Triple
    stride: Triple
    classes: int
    taken: tuple[Patch, ...] = field(default=())


def _case(
    name: str, shape: Triple, box: Triple, stride: Triple, classes: int, taken: int = 3
) -> Case:
    """A case with boxes already annotated along its diagonal."""
    starts = [
        tuple((n - b) * i // 2 for n, b in zip(shape, box, strict=True)) for i in range(taken)
    ]
    return Case(name, shape, box, stride, classes, tuple(Patch(name, s, box) for s in starts))


CASES = (
    _case("hippocampus", (40, 56, 40), (20, 20, 20), (1, 1, 1), 3, taken=0),
    _case("ACDC", (12, 240, 220), (4, 40, 40), (1, 8, 8), 4),
    _case("KiTS", (160, 320, 320), (64, 64, 64), (8, 8, 8), 4),
    _case("AMOS", (128, 256, 256), (32, 74, 74), (8, 8, 8), 16),
    _case("stride 1", (128, 128, 128), (32, 32, 32), (1, 1, 1), 4),
)


def members_of(case: Case, count: int) -> list[torch.Tensor]:
    """Smooth random probabilities that the members share in part."""
    generator = torch.Generator().manual_seed(0)

    def smooth() -> torch.Tensor:
        coarse = [max(2, n // 8) for n in case.shape]
        noise = torch.randn(1, case.classes, *coarse, generator=generator)
        return functional.interpolate(noise, case.shape, mode="trilinear")[0]

    shared = smooth().mul_(3)
    return [smooth().add_(shared).softmax(dim=0) for _ in range(count)]


# The plain way.


def plain(
    case: Case, members: list[torch.Tensor], strategy: str
) -> tuple[dict[str, float], list[Triple]]:
    """Seconds of each part, and the starts chosen."""
    clock = Clock()
    stacked = torch.stack(members)
    mean = stacked.mean(dim=0)
    score = torch.special.entr(mean).sum(dim=0)
    if strategy == "mutual_information":
        score = score - torch.special.entr(stacked).sum(dim=1).mean(dim=0)
    channels = [score] + ([score * p for p in mean[1:]] if strategy == "clasp_pe" else [])
    clock.lap("map")
    means = [plain_box_mean(channel, case) for channel in channels]
    clock.lap("aggregate")
    chosen: list[Triple] = []
    for index, scores in enumerate(means):
        if strategy == "clasp_pe":
            noise = np.random.default_rng(index).gumbel(size=scores.shape)
            scores = np.log(np.maximum(scores, 1e-30)) + noise
        share = PATCHES if len(means) == 1 else max(1, PATCHES // (len(means) + 1))
        chosen += plain_walk(scores, case, share, chosen)
    clock.lap("select")
    return clock.seconds, chosen


def plain_box_mean(score: torch.Tensor, case: Case) -> np.ndarray:
    """Convolve with a box."""
    windows = [(n - b) // s + 1 for n, b, s in zip(case.shape, case.box, case.stride, strict=True)]
    if np.prod(windows, dtype=float) * np.prod(case.box, dtype=float) > MOST_CONVOLVED:
        kernel = np.full(case.box, 1 / np.prod(case.box), dtype=np.float32)
        found = fftconvolve(score.numpy(), kernel, mode="valid")
        return found[:: case.stride[0], :: case.stride[1], :: case.stride[2]]
    kernel = torch.full((1, 1, *case.box), 1 / float(np.prod(case.box)))
    return functional.conv3d(score[None, None], kernel, stride=case.stride)[0, 0].numpy()


def plain_walk(scores: np.ndarray, case: Case, n: int, already: list[Triple]) -> list[Triple]:
    """Sort all, then take from the front what overlaps nothing."""
    waiting = []
    for flat in np.argsort(scores, axis=None)[::-1]:
        index = np.unravel_index(flat, scores.shape)
        start = tuple(int(i) * s for i, s in zip(index, case.stride, strict=True))
        waiting.append(
            {"case": case.name, "start": start, "size": case.box, "score": float(scores[index])}
        )
    taken = [(p.start, p.size) for p in case.taken] + [(start, case.box) for start in already]
    chosen: list[Triple] = []
    while waiting and len(chosen) < n:
        start = waiting.pop(0)["start"]
        if not any(boxes_intersect(start, case.box, *box) for box in taken):
            chosen.append(start)
            taken.append((start, case.box))
    return chosen


# Ours.


@dataclass(frozen=True)
class OneCase:
    """A pool of one case."""

    case: Case
    prediction: Prediction
    workers: int = 1

    @property
    def cases(self) -> tuple[PoolCase, ...]:
        """The case."""
        return (PoolCase(self.case.name, self.case.shape, self.case.taken),)

    @property
    def classes(self) -> tuple[str, ...]:
        """Background and others."""
        return tuple(f"class {i}" for i in range(self.case.classes))

    def predictions(self) -> Iterator[tuple[PoolCase, Prediction]]:
        """What was folded."""
        yield self.cases[0], self.prediction

    def reference(self, case: str) -> Any:
        """None is needed."""
        raise NotImplementedError

    def replayed(self, source: str) -> Any:
        """None is needed."""
        raise NotImplementedError


def folded(members: list[torch.Tensor], needs: tuple[str, ...]) -> Folded:
    """What inference does with each member; the first one becomes the sum, hence a copy."""
    fold = Fold(len(members), needs)
    for member in members:
        fold.add(member)
    return fold.means()


@dataclass(frozen=True)
class TimedEngine(Engine):
    """An engine that notes when it has scored the windows of its only case."""

    clock: "Clock"

    def patch_scores(self, prediction: Prediction, windows: Windows) -> np.ndarray:
        """Score the windows."""
        scores = super().patch_scores(prediction, windows)
        self.clock.lap("map+aggregate")
        return scores


def ours(
    case: Case, members: list[torch.Tensor], strategy: str
) -> tuple[dict[str, float], list[Triple]]:
    """Seconds of each part, and the starts chosen."""
    chosen = make_strategy(strategy)
    composition = chosen.composition
    assert composition is not None
    fresh = [members[0].clone(), *members[1:]]
    request = Request(PATCHES, case.box, case.stride, 0.0, PATCHES, 0, 5)
    clock = Clock()
    result = folded(fresh, chosen.needs)
    clock.lap("fold")
    prediction = Prediction(result.probs, result.mean_entropy)
    rng = partial(stream, 0, "query", 0)
    engine = TimedEngine(composition, request, case.classes - 1, rng, clock)
    choices = engine.query(OneCase(case, prediction))
    clock.lap("select")
    return clock.seconds, [choice.patch.start for choice in choices]


# Measuring.


class Clock:
    """CPU seconds between laps, by name; one thread works, and a busy machine must not count."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self._last = time.process_time()

    def lap(self, name: str) -> None:
        """Note the time since the lap before."""
        now = time.process_time()
        self.seconds[name] = now - self._last
        self._last = now


Answer = tuple[dict[str, float], list[Triple]]


def median(run: Callable[[], Answer], repeats: int) -> Answer:
    """The run of median length."""
    answers = sorted((run() for _ in range(repeats)), key=lambda answer: sum(answer[0].values()))
    return answers[len(answers) // 2]


def extra_mib(run: Callable[[], Answer]) -> float:
    """Highest memory during ``run`` above that before it (Linux only)."""
    ctypes.CDLL(None).malloc_trim(0)
    before = _status("VmRSS")
    Path("/proc/self/clear_refs").write_text("5")
    run()
    return (_status("VmHWM") - before) / 1024


def _status(key: str) -> int:
    found = re.search(rf"{key}:\s+(\d+) kB", Path("/proc/self/status").read_text())
    assert found is not None
    return int(found[1])


@dataclass(frozen=True)
class Measured:
    """One way of querying one case: CPU seconds by part, starts chosen, memory."""

    seconds: dict[str, float]
    starts: list[Triple]
    mib: float | None

    @property
    def total(self) -> float:
        """Seconds of all parts."""
        return sum(self.seconds.values())

    def __str__(self) -> str:
        """The parts and their sum, in ms, and the memory."""
        parts = "/".join(f"{1e3 * seconds:.3g}" for seconds in self.seconds.values())
        mib = "-" if self.mib is None else f"{self.mib:.0f}"
        return f"{parts:>22} {1e3 * self.total:8.1f} {mib:>5}"


def measured(run: Callable[[], Answer], repeats: int) -> Measured:
    """Run several times and take the median; once only, and without memory, if it is slow."""
    first = run()
    if sum(first[0].values()) > SLOW:
        return Measured(*first, None)
    return Measured(*median(run, repeats), extra_mib(run))


def main() -> None:
    """Print a line for each case and strategy."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="without the slow stride-1 volume")
    parser.add_argument("--only", nargs="+", help="names of cases")
    parser.add_argument("--members", type=int, default=5)
    parser.add_argument("--without-plain", action="store_true", help="ours alone")
    given = parser.parse_args()
    torch.set_num_threads(1)
    print(
        "CPU ms: plain = map/aggregate/select, ours = fold/map+aggregate/select; MiB above members"
    )
    sides = " ".join(f"{side:>22} {'sum':>8} {'MiB':>5}" for side in ("plain", "ours"))
    print(f"{'case':12} {'strategy':19} {sides} {'ratio':>6} {'read':>6}  same")
    for case in CASES[:-1] if given.quick else CASES:
        if given.only is None or case.name in given.only:
            measure(case, members_of(case, given.members), not given.without_plain)


def measure(case: Case, members: list[torch.Tensor], with_plain: bool) -> None:
    """Print the lines of one case."""
    read = median(lambda: ({"read": _read(members)}, []), 5)[0]["read"]
    for strategy in STRATEGIES:
        fast = measured(partial(ours, case, members, strategy), 5)
        # Channel by channel the plain walk of a million windows takes minutes each.
        hopeless = strategy == "clasp_pe" and case.name == "stride 1"
        before, ratio, same = f"{'-':>22} {'-':>8} {'-':>5}", "-", ""
        if with_plain and not hopeless:
            slow = measured(partial(plain, case, members, strategy), 3)
            before, ratio = str(slow), f"{slow.total / fast.total:.1f}"
            # Agreement is counted, not asked for: float32 convolution rounds differently, and the
            # plain way has no last start that is no multiple of the stride (ACDC, AMOS).
            if strategy != "clasp_pe":
                same = f"{len(set(slow.starts) & set(fast.starts))}/{len(slow.starts)}"
        print(f"{case.name:12} {strategy:19} {before} {fast} {ratio:>6} {1e3 * read:6.1f}  {same}")


def _read(members: list[torch.Tensor]) -> float:
    began = time.process_time()
    for member in members:
        member.sum()
    return time.process_time() - began


if __name__ == "__main__":
    main()
