"""How much of a query's inference could be left out, since no candidate box reads it.

A window may be skipped where no box that may still be chosen touches it; then nothing that a
composition reads changes. A case without any such box is not predicted (``alsweep.query.room``);
this counts what that saves, and what skipping single windows would add. Patches are drawn
uniformly. Run: ``python benchmarks/room.py``
"""

from math import prod

import numpy as np
from monai.data.utils import dense_patch_slices

from alsweep.geometry import Patch, intersection
from alsweep.query.pool import PoolCase
from alsweep.query.room import has_room
from alsweep.query.windows import Windows
from alsweep.rng import stream
from alsweep.testing.pools import make_request

LOOPS = 5
STEP = 0.75
SETTINGS = {
    # name: case, cases, patch, window, patches a query, stride
    "demo": ((48, 48, 48), 12, (16, 16, 16), (32, 32, 32), 6, 4),
    "hippocampus-low": ((36, 50, 35), 208, (20, 20, 20), (32, 32, 32), 20, 1),
    "large patches": ((48, 48, 48), 12, (32, 32, 32), (32, 32, 32), 2, 4),
    "small window": ((48, 48, 48), 12, (16, 16, 16), (16, 16, 16), 20, 2),
}


def read(case, size, stride):
    """Voxels that a box which may still be chosen reads."""
    windows = Windows(case.shape, size, (stride,) * 3)
    taken = np.zeros(case.shape, dtype=bool)
    for patch in case.taken:
        taken[patch.slices] = True
    found = np.zeros(case.shape, dtype=bool)
    for z in windows.grid[0]:
        for y in windows.grid[1]:
            for x in windows.grid[2]:
                box = Patch(case.case, (z, y, x), windows.size).slices
                if not taken[box].any():
                    found[box] = True
    return found


def count(case, size, window, stride):
    """Windows of a case: all, skipped with the case, and skippable one by one."""
    shape = [max(n, w) for n, w in zip(case.shape, window, strict=True)]
    steps = [w if n == w else int(w * STEP) for n, w in zip(shape, window, strict=True)]
    windows = dense_patch_slices(shape, window, steps)
    if not has_room(case, make_request(1, size, strides=(stride,) * 3)):
        return np.array([len(windows), len(windows), len(windows)])
    if not case.taken:
        return np.array([len(windows), 0, 0])
    needed = read(case, size, stride)
    return np.array([len(windows), 0, sum(not needed[place].any() for place in windows)])


def main():
    """Print the shares after each loop."""
    for name, (shape, cases, size, window, patches, stride) in SETTINGS.items():
        rng = stream(0, "room", name)
        taken = {f"case_{index:03d}": () for index in range(cases)}
        for loop in range(LOOPS):
            placed = 0
            for _ in range(10_000):
                case = f"case_{rng.integers(cases):03d}"
                start = tuple(
                    int(rng.integers(n - s + 1)) for n, s in zip(shape, size, strict=True)
                )
                if placed < patches and not any(
                    intersection(start, size, other.start, other.size) for other in taken[case]
                ):
                    taken[case] = (*taken[case], Patch(case, start, size))
                    placed += 1
            total = sum(
                count(PoolCase(case, shape, own), size, window, stride)
                for case, own in taken.items()
            )
            share = sum(map(len, taken.values())) * prod(size) / (cases * prod(shape))
            print(
                f"{name:16} loop {loop}: {100 * share:5.2f} % annotated, "
                f"{100 * total[1] / total[0]:5.1f} % of windows in cases without room, "
                f"{100 * total[2] / total[0]:5.1f} % skippable at all"
            )


if __name__ == "__main__":
    main()
