"""Query speed: a case's query against the plain way, in one run, as a ratio.

    python benchmarks/query.py [--quick] [--only NAME ...] [--members 5]

The plain way is what a first version would do, and what the study that this project answers does: stack the members,
average boxes with a convolution, sort everything, and walk a list of candidates from the front, each tested for overlap
with all others. Ours is what a trajectory does: fold the members, then ask the strategy.
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
MOST_CONVOLVED = 10**10
"""Products above which the plain way gets a Fourier transform instead of a convolution, which would take minutes."""


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
    order = np.argsort(scores, axis=None)[::-1]
    starts = np.stack(np.unravel_index(order, scores.shape), axis=1) * case.stride
    values = scores.ravel()[order]
    waiting = [
        {"start": tuple(map(int, start)), "score": float(value)}
        for start, value in zip(starts, values, strict=True)
    ]
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
    fold = Fold(needs)
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


def in_ms(parts: dict[str, float]) -> str:
    """The parts, one by one."""
    return "/".join(f"{1e3 * seconds:.3g}" for seconds in parts.values())


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
        "CPU time, parts in ms: plain map/aggregate/select, ours fold/map+aggregate/select; MiB above the members"
    )
    head = (
        f"{'case':12} {'strategy':19} {'plain':>22} {'sum':>8} {'ours':>18} {'sum':>8} {'ratio':>6}"
    )
    print(f"{head} {'read':>6} {'MiB':>6} {'plain':>6}  same")
    for case in CASES[:-1] if given.quick else CASES:
        if given.only is None or case.name in given.only:
            measure(case, members_of(case, given.members), not given.without_plain)


def measure(case: Case, members: list[torch.Tensor], with_plain: bool) -> None:
    """Print the lines of one case."""
    read = median(lambda: ({"read": _read(members)}, []), 5)[0]["read"]
    for strategy in STRATEGIES:
        fast, found = median(lambda s=strategy: ours(case, members, s), 5)
        memory = extra_mib(lambda s=strategy: ours(case, members, s))
        total = sum(fast.values())
        line = f"{in_ms(fast):>18} {1e3 * total:8.1f}"
        # Class by class the plain walk of a million windows takes minutes each.
        if with_plain and not (strategy == "clasp_pe" and case.name == "stride 1"):
            slow, expected = plain(case, members, strategy)
            if sum(slow.values()) < 10:
                slow, expected = median(lambda s=strategy: plain(case, members, s), 3)
            slow_memory = (
                extra_mib(lambda s=strategy: plain(case, members, s))
                if sum(slow.values()) < 10
                else 0
            )
            # Float32 convolution rounds differently: near-ties may swap, so agreement is counted.
            same = (
                ""
                if strategy == "clasp_pe"
                else f"{len(set(expected) & set(found))}/{len(expected)}"
            )
            before = f"{in_ms(slow):>22} {1e3 * sum(slow.values()):8.0f}"
            ratio, slow_mib = f"{sum(slow.values()) / total:6.1f}", f"{slow_memory:6.0f}"
        else:
            before, ratio, slow_mib, same = f"{'-':>22} {'-':>8}", f"{'-':>6}", f"{'-':>6}", ""
        print(
            f"{case.name:12} {strategy:19} {before} {line} {ratio} {1e3 * read:6.1f} {memory:6.0f} {slow_mib}  {same}"
        )


def _read(members: list[torch.Tensor]) -> float:
    began = time.process_time()
    for member in members:
        member.sum()
    return time.process_time() - began


if __name__ == "__main__":
    main()
