"""A process that annotates like a tireless person, to be killed by a test."""

import os
from pathlib import Path

import numpy as np

from alsweep.data.label_store import PartialLabels
from alsweep.data.labels.human import HumanLabels
from alsweep.geometry import Patch, QueriedPatch
from alsweep.rng import stream
from alsweep.trajectory.human import acknowledge
from alsweep.trajectory.query_log import QueryLog

SHAPES = {"a": (12, 12, 12), "b": (9, 14, 11)}
CLASSES, PER_LOOP = 4, 4


def query(loop: int) -> list[QueriedPatch]:
    """The same patches whenever asked, no two alike in all loops."""
    return [QueriedPatch(_patch(PER_LOOP * loop + i), None) for i in range(PER_LOOP)]


def _patch(number: int) -> Patch:
    size, place = divmod(number, len(SHAPES) * 6**3)
    case, z, y, x = np.unravel_index(place * 101 % (len(SHAPES) * 6**3), (len(SHAPES), 6, 6, 6))
    return Patch(sorted(SHAPES)[case], (int(z), int(y), int(x)), (1 + size, 2, 3))


def opinion(patch: Patch) -> np.ndarray:
    """What the person says of a patch."""
    rng = stream(1, patch.case, *patch.start, *patch.size)
    return rng.integers(0, CLASSES, patch.size).astype(np.uint8)


def annotate(folder: Path, told: Path, loops: int) -> None:
    """Go on where the folder says, and tell each patch and each loop once it is acknowledged."""
    log, crops = QueryLog(folder), HumanLabels(folder / "crops", CLASSES)
    voice = os.open(told, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    os.write(voice, b"begun\n")
    done = next(k for k in range(loops + 1) if not log.has(k))
    for loop in range(done, loops):
        queried = query(loop)
        for patch in crops.missing([one.patch for one in queried]):
            crops.save(patch, opinion(patch))
            os.write(voice, f"patch {loop} {patch.start} {patch.size}\n".encode())
        acknowledge(log, crops, loop, queried)
        os.write(voice, f"loop {loop}\n".encode())
        labels = PartialLabels(SHAPES, CLASSES, crops, log.patches(loop))
        labels.write_zarr(folder / "labels.zarr", tuple("abcd"), (1.0, 1.0, 1.0))
