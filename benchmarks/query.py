"""Query speed: box means and greedy selection against the plain way, in one run, as a ratio.

    python benchmarks/query.py [--quick]

The plain way is what a first version would do, and what the study that this project answers does: a
convolution with a box kernel, a full sort, and a list of candidates tested for overlap one by one.
"""

import argparse
import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch.nn import functional

from alsweep.geometry import Triple, boxes_intersect
from alsweep.query import Prediction, select_patches
from alsweep.query.maps import predictive_entropy

PATCHES = 20


@dataclass(frozen=True)
class Case:
    """One volume of a dataset of the study."""

    name: str
    shape: Triple
    box: Triple
    stride: Triple
    classes: int


CASES = (
    Case("hippocampus", (40, 56, 40), (20, 20, 20), (1, 1, 1), 3),
    Case("ACDC", (12, 240, 216), (4, 40, 40), (1, 8, 8), 4),
    Case("KiTS", (160, 320, 320), (64, 64, 64), (8, 8, 8), 4),
    Case("stride 1", (128, 128, 128), (32, 32, 32), (1, 1, 1), 4),
)
TAKEN: tuple[tuple[Triple, Triple], ...] = (((0, 0, 0), (4, 20, 20)),)


def plain(probs: torch.Tensor, case: Case) -> list[Triple]:
    """Convolve, sort everything, walk the list from the front."""
    entropy = torch.special.entr(probs).sum(dim=0)
    kernel = torch.full((1, 1, *case.box), 1 / float(np.prod(case.box)))
    means = functional.conv3d(entropy[None, None], kernel, stride=case.stride)[0, 0].numpy()
    order = np.argsort(means, axis=None)[::-1]
    starts = np.stack(np.unravel_index(order, means.shape), axis=1) * case.stride
    waiting = [{"start": tuple(map(int, start))} for start in starts]
    chosen: list[Triple] = []
    while waiting and len(chosen) < PATCHES:
        start = waiting.pop(0)["start"]
        taken = [*TAKEN, *((other, case.box) for other in chosen)]
        if not any(boxes_intersect(start, case.box, *box) for box in taken):
            chosen.append(start)
    return chosen


def ours(probs: torch.Tensor, case: Case) -> list[Triple]:
    """What a trajectory does."""
    score = predictive_entropy(Prediction(probs))
    boxes = select_patches(score, case.box, case.stride, TAKEN, n=PATCHES)
    return [box.start for box in boxes]


def timed(function: Callable[[], list[Triple]], repeats: int) -> tuple[float, list[Triple]]:
    """Median seconds, and the answer."""
    seconds = []
    for _ in range(repeats):
        began = time.perf_counter()
        answer = function()
        seconds.append(time.perf_counter() - began)
    return float(np.median(seconds)), answer


def main() -> None:
    """Print a line for each case."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="without the slow stride-1 volume")
    quick = parser.parse_args().quick
    torch.set_num_threads(1)
    generator = torch.Generator().manual_seed(0)
    print(f"{'case':12} {'plain ms':>10} {'alsweep ms':>10} {'ratio':>7}  same patches")
    for case in CASES[:-1] if quick else CASES:
        noise = torch.randn(case.classes, *case.shape, generator=generator)
        probs = noise.mul_(3).softmax(dim=0)
        slow, expected = timed(lambda p=probs, c=case: plain(p, c), 1)  # type: ignore[misc]
        fast, found = timed(lambda p=probs, c=case: ours(p, c), 3)  # type: ignore[misc]
        # Float32 convolution rounds differently: near-ties may swap, so agreement is counted.
        same = len(set(expected) & set(found))
        print(
            f"{case.name:12} {slow * 1e3:10.1f} {fast * 1e3:10.1f} {slow / fast:7.1f}  "
            f"{same}/{len(expected)}"
        )


if __name__ == "__main__":
    main()
