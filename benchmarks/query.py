"""Query speed: a case's query against the plain way, in one run, as a ratio.

    python benchmarks/query.py [--quick] [--only NAME ...] [--members 5] [--device cuda]

The plain way is what a first version would do, and what the study that this project answers does:
stack the members, average boxes with a convolution, sort everything into a list of dicts with the
corner as a numpy array, and pop candidates from its front, each tested for overlap with all others
in turn. Ours is what a trajectory does: fold the members, then ask the strategy. Both begin at the
members' probabilities, or with "logits" before each member's softmax, which is where a trajectory
begins.

All ways of one case are run in turn, three times in a row each, again and again; the fastest run of
each counts. So other programs disturb none of them more than the others, and each finds its data in
the cache as far as they fit; a busy machine still disturbs the short ones most, hence the load in
the last line. Three limits stand beside them: "read" is the time
to read all members once, which is what memory bandwidth allows, "logs" the time of nothing but the
logarithms, of as many values as the plain way takes them of, in pieces that stay in the cache, and
"map" that of the entropy of the folded members, which ours takes tile by tile within aggregation.
The plain way gives up a channel's selection after some seconds; ">" says that it did.

On a card the members lie on it for both ways, which end with patches on the CPU; seconds are the
clock's, each part waits for the card, and memory is that of the card.
"""

import argparse
import ctypes
import os
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

from alsweep.geometry import Patch, Triple
from alsweep.model.ensemble_mean import EnsembleMean
from alsweep.query import PoolCase, Prediction, Request, make_strategy
from alsweep.query.engine import Engine
from alsweep.query.maps import VoxelMap, predictive_entropy
from alsweep.query.voxels import VoxelScores
from alsweep.query.windows import Windows
from alsweep.rng import stream

PATCHES = 20
STRATEGIES = ("predictive_entropy", "mutual_information", "clasp_pe")
ROUNDS = 14
BUDGET = 5.0
"""CPU seconds after which a way is not run again; whatever takes longer is run once."""

ENOUGH = 10
"""Times as fast as the plain way, at least, that a query is meant to be."""

MOST_LOGITS = 1 << 31
"""Bytes of all members above which nothing begins at logits on a CPU: plain triples them."""

MOST_WALK = 5.0
"""CPU seconds after which the plain way gives a channel up; its ratio is at least that then."""

GAVE_UP = (-1, -1, -1)
_A_WHILE = 1000
"""Candidates between two looks at the clock."""

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


def members_of(case: Case, count: int, device: torch.device) -> list[torch.Tensor]:
    """Smooth random probabilities that the members share in part."""
    generator = torch.Generator().manual_seed(0)

    def smooth() -> torch.Tensor:
        coarse = [max(2, n // 8) for n in case.shape]
        noise = torch.randn(1, case.classes, *coarse, generator=generator)
        return functional.interpolate(noise, case.shape, mode="trilinear")[0]

    shared = smooth().mul_(3)
    return [smooth().add_(shared).softmax(dim=0).to(device) for _ in range(count)]


# The plain way.


def plain(
    case: Case, members: list[torch.Tensor], strategy: str, walk: float, logits: bool = False
) -> tuple[dict[str, float], list[Triple]]:
    """Seconds of each part, and the starts chosen; a channel's selection takes ``walk`` at most."""
    clock = Clock(members[0].device)
    stacked = torch.stack([one.softmax(dim=0) for one in members] if logits else members)
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
        chosen += plain_walk(scores, case, share, chosen, time.process_time() + walk)
    clock.lap("select")
    return clock.seconds, chosen


def plain_box_mean(score: torch.Tensor, case: Case) -> np.ndarray:
    """Convolve with a box."""
    windows = [(n - b) // s + 1 for n, b, s in zip(case.shape, case.box, case.stride, strict=True)]
    many = np.prod(windows, dtype=float) * np.prod(case.box, dtype=float) > MOST_CONVOLVED
    if many and score.device.type == "cpu":
        kernel = np.full(case.box, 1 / np.prod(case.box), dtype=np.float32)
        found = fftconvolve(score.numpy(), kernel, mode="valid")
        return found[:: case.stride[0], :: case.stride[1], :: case.stride[2]]
    kernel = torch.full((1, 1, *case.box), 1 / float(np.prod(case.box)), device=score.device)
    return functional.conv3d(score[None, None], kernel, stride=case.stride)[0, 0].cpu().numpy()


def plain_walk(
    scores: np.ndarray, case: Case, n: int, already: list[Triple], end: float
) -> list[Triple]:
    """Sort all, then take from the front what overlaps nothing; given up at ``end``."""
    size, stride = np.array(case.box), np.array(case.stride)
    waiting: list[dict[str, Any]] = []
    for flat in np.argsort(scores, axis=None)[::-1]:
        coords = np.array(np.unravel_index(flat, scores.shape)) * stride
        found = {"case": case.name, "coords": coords, "size": size, "score": scores.flat[flat]}
        waiting.append(found)
        if not len(waiting) % _A_WHILE and time.process_time() > end:
            return [GAVE_UP]
    taken = [(np.array(p.start), np.array(p.size)) for p in case.taken]
    taken += [(np.array(start), size) for start in already if start != GAVE_UP]
    chosen: list[Triple] = []
    while waiting and len(chosen) < n:
        candidate = waiting.pop(0)
        if not len(waiting) % _A_WHILE and time.process_time() > end:
            return [*chosen, GAVE_UP]
        if not any(_overlaps(candidate, *box) for box in taken):
            chosen.append(tuple(candidate["coords"].tolist()))
            taken.append((candidate["coords"], candidate["size"]))
    return chosen


def _overlaps(candidate: dict[str, Any], coords: np.ndarray, size: np.ndarray) -> bool:
    """Axis by axis, as one writes it down."""
    return all(
        candidate["coords"][axis] < coords[axis] + size[axis]
        and candidate["coords"][axis] + candidate["size"][axis] > coords[axis]
        for axis in range(3)
    )


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

    def annotated_classes(self, patch: Patch) -> Any:
        """None are needed."""
        raise NotImplementedError

    def replayed(self, source: str) -> Any:
        """None is needed."""
        raise NotImplementedError


def folded(members: list[torch.Tensor], needs: tuple[str, ...], logits: bool = False) -> Prediction:
    """What inference does with each member; the first one becomes the sum, hence a copy."""
    fold = EnsembleMean(len(members), needs)
    for member in members:
        (fold.add_logits if logits else fold.add)(member)
    return fold.means()


@dataclass(frozen=True)
class TimedEngine(Engine):
    """An engine that notes when it has scored the windows of its only case."""

    clock: "Clock"

    def patch_scores(self, prediction: Prediction, windows: Windows) -> np.ndarray:
        """Score the windows, where they are and then on the CPU."""
        score_map = self.composition.map
        assert isinstance(score_map, VoxelMap)
        voxels = VoxelScores(prediction, score_map, self.composition.stratify.by_class)
        scores = self.composition.aggregate(voxels, windows)
        self.clock.lap("map+aggregate")
        copied = np.asarray(scores.cpu().numpy())
        self.clock.lap("copy")
        return copied


def ours(
    case: Case, members: list[torch.Tensor], strategy: str, logits: bool = False
) -> tuple[dict[str, float], list[Triple]]:
    """Seconds of each part, and the starts chosen."""
    chosen = make_strategy(strategy)
    composition = chosen.composition
    assert composition is not None
    fresh = [members[0].clone(), *members[1:]]
    request = Request(PATCHES, case.box, case.stride, 0.0, PATCHES, 0, 5)
    clock = Clock(members[0].device)
    prediction = folded(fresh, chosen.needs, logits)
    clock.lap("fold")
    rng = partial(stream, 0, "query", 0)
    engine = TimedEngine(composition, request, case.classes - 1, rng, clock)
    choices = engine.query(OneCase(case, prediction))
    clock.lap("select")
    return clock.seconds, [choice.patch.start for choice in choices]


# Measuring.


class Clock:
    """Seconds between laps, by name.

    On a CPU they are the process's: one thread works, and a busy machine must not count. On a card
    they are the wall's, once the card has done all that it was given.
    """

    def __init__(self, device: torch.device) -> None:
        self.seconds: dict[str, float] = {}
        self._device = device
        self._last = self._now()

    def _now(self) -> float:
        if self._device.type == "cpu":
            return time.process_time()
        torch.cuda.synchronize()
        return time.perf_counter()

    def lap(self, name: str) -> None:
        """Note the time since the lap before."""
        now = self._now()
        self.seconds[name] = now - self._last
        self._last = now


Answer = tuple[dict[str, float], list[Triple]]


def extra_mib(run: Callable[[], Answer], device: torch.device) -> float:
    """Highest memory during ``run`` above that before it; on a CPU of the process (Linux only)."""
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats()
        held = torch.cuda.memory_allocated()
        run()
        return (torch.cuda.max_memory_allocated() - held) / (1 << 20)
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


Way = Callable[[], Answer]


def in_turn(ways: dict[str, Way], rounds: int, device: torch.device) -> dict[str, Measured]:
    """Run all ways in turn, again and again; the fastest run of each counts.

    Memory is not measured of what is slow.
    """
    answers = {name: [way()] for name, way in ways.items()}
    quick = [name for name in ways if 2 * _total(answers[name][0]) < BUDGET]
    for _ in range(rounds - 1):
        for name in quick:
            if sum(map(_total, answers[name])) < BUDGET:
                answers[name] += [ways[name]() for _ in range(3)]
    mib = {name: extra_mib(ways[name], device) for name in quick}
    return {
        name: Measured(*min(found, key=_total), mib.get(name)) for name, found in answers.items()
    }


def _total(answer: Answer) -> float:
    return sum(answer[0].values())


def main() -> None:
    """Print a line for each case and strategy."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="without the slow stride-1 volume")
    parser.add_argument("--only", nargs="+", help="names of cases")
    parser.add_argument("--members", type=int, default=5)
    parser.add_argument("--device", default="cpu", help="cpu or cuda")
    parser.add_argument("--rounds", type=int, default=ROUNDS, help="of three runs each")
    parser.add_argument("--without-plain", action="store_true", help="ours alone")
    parser.add_argument("--walk", type=float, default=MOST_WALK, help="most seconds of a plain one")
    given = parser.parse_args()
    torch.set_num_threads(1)
    device = torch.device(given.device)
    what = "CPU" if device.type == "cpu" else torch.cuda.get_device_name(device)
    print(
        f"{what}, ms: plain = map/aggregate/select, ours = fold/map+aggregate/copy/select; "
        "MiB above members"
    )
    sides = " ".join(f"{side:>22} {'sum':>8} {'MiB':>5}" for side in ("plain", "ours"))
    limits = f"{'read':>6} {'logs':>6} {'map':>6}"
    print(f"{'case':12} {'strategy':26} {sides} {'ratio':>6} {limits}  same")
    found: dict[str, float] = {}
    for case in CASES[:-1] if given.quick else CASES:
        if given.only is None or case.name in given.only:
            found |= {f"{case.name} {way}": r for way, r in measure(case, given, device).items()}
    if found:
        summarise(found)


def summarise(ratios: dict[str, float]) -> None:
    """Print how far apart the ways are, from probabilities and from logits."""
    for start, kind in (("probabilities", False), ("logits", True)):
        own = {way: ratio for way, ratio in ratios.items() if way.endswith(", logits") == kind}
        if own:
            few = ", ".join(f"{way} {ratio:.1f}" for way, ratio in own.items() if ratio < ENOUGH)
            print(
                f"summary: from {start} {min(own.values()):.1f} to {max(own.values()):.0f} times "
                f"as fast as the plain way; less than {ENOUGH} times: {few or 'none'}"
            )


def ways_of(
    case: Case, given: argparse.Namespace, device: torch.device
) -> tuple[dict[str, Way], dict[str, Way]]:
    """The plain ways and ours, by strategy."""
    members, walk = members_of(case, given.members, device), given.walk
    plain_ways: dict[str, Way] = {n: partial(plain, case, members, n, walk) for n in STRATEGIES}
    our_ways: dict[str, Way] = {n: partial(ours, case, members, n) for n in STRATEGIES}
    if device.type != "cpu" or sum(member.nbytes for member in members) < MOST_LOGITS:
        # The logarithms of the probabilities are a member's logits, but for a constant.
        logits = [member.log() for member in members]
        for name in STRATEGIES:
            plain_ways[f"{name}, logits"] = partial(plain, case, logits, name, walk, True)
            our_ways[f"{name}, logits"] = partial(ours, case, logits, name, True)
    return plain_ways, our_ways


def measure(case: Case, given: argparse.Namespace, device: torch.device) -> dict[str, float]:
    """Print the lines of one case; gives plain over ours by way."""
    count, with_plain = given.members, not given.without_plain
    plain_ways, our_ways = ways_of(case, given, device)
    members = our_ways["predictive_entropy"].args[1]  # type: ignore[attr-defined]
    limits = {"read": partial(_read, members), "map": partial(_map, members)} | {
        f"logs {volumes}": partial(_logs, members, volumes) for volumes in (1, count + 1)
    }
    slow_ways = {f"plain {name}": way for name, way in plain_ways.items() if with_plain}
    found = in_turn({**our_ways, **slow_ways, **limits}, given.rounds, device)
    slow = {name: found[f"plain {name}"] for name in plain_ways if with_plain}
    ratios = {name: slow[name].total / found[name].total for name in slow}
    for name, own in ((name, found[name]) for name in our_ways):
        before, ratio, same = f"{'-':>22} {'-':>8} {'-':>5}", "-", ""
        if name in slow:
            ratio = f"{'>' * (GAVE_UP in slow[name].starts)}{ratios[name]:.1f}"
            before = str(slow[name])
            # Agreement is counted, not asked for: float32 convolution rounds differently, and the
            # plain way has no last start that is no multiple of the stride (ACDC, AMOS).
            if not name.startswith("clasp_pe"):
                both = set(slow[name].starts) & set(own.starts)
                same = f"{len(both)}/{len(slow[name].starts)}"
        volumes = count + 1 if name.startswith("mutual_information") else 1
        logs = found[f"logs {volumes}"].total
        bounds = " ".join(
            f"{1e3 * s:6.1f}" for s in (found["read"].total, logs, found["map"].total)
        )
        print(f"{case.name:12} {name:26} {before} {own} {ratio:>6} {bounds}  {same}")
    share = found["clasp_pe"].total / found["predictive_entropy"].total
    load = ", ".join(f"{one:.1f}" for one in os.getloadavg())
    print(
        f"{case.name:12} clasp_pe takes {share:.2f} times as long as predictive_entropy; ", end=""
    )
    print(f"load {load}", flush=True)
    return ratios


def _read(members: list[torch.Tensor]) -> Answer:
    clock = Clock(members[0].device)
    for member in members:
        member.sum()
    clock.lap("read")
    return clock.seconds, []


def _map(members: list[torch.Tensor]) -> Answer:
    """The entropy of what is folded already, and nothing else."""
    clock = Clock(members[0].device)
    predictive_entropy(Prediction(members[0]))
    clock.lap("map")
    return clock.seconds, []


def _logs(members: list[torch.Tensor], volumes: int) -> Answer:
    """Logarithms of as many values as ``volumes`` members have, and nothing else."""
    # As much as stays in the cache of a CPU; a card must have work for all of it.
    device = members[0].device
    length = 1 << (15 if device.type == "cpu" else 24)
    pieces = members[0].flatten().split(length)
    out = torch.empty(length, device=device)
    clock = Clock(device)
    for _ in range(volumes):
        for piece in pieces:
            torch.log(piece, out=out[: len(piece)])
    clock.lap("logs")
    return clock.seconds, []


if __name__ == "__main__":
    main()
