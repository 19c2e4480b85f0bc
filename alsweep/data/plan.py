"""A network topology for a dataset as nnU-Net makes it: from median shape and spacing alone."""

from collections.abc import Sequence
from math import prod

import numpy as np

from alsweep.data.case import Plan, Spacing
from alsweep.geometry import Triple, triple

_PATCH_VOXELS = 128**3
_BATCH_VOXELS = 2 * _PATCH_VOXELS
_SMALLEST = 4
_MOST_POOLINGS = 5
_SMALLEST_BATCH = 2
_MOST_OF_DATASET = 0.05


def make_plan(shapes: Sequence[Triple], spacing: Spacing) -> Plan:
    """Choose training patch, batch size and pooling.

    The patch is the median case, cut to 128^3 voxels where it is larger by shortening the axis that
    is longest in mm; then each axis is padded to a multiple of what it is pooled by. nnU-Net
    instead estimates the memory of the network; the voxel budget is what that comes to for its 8 GB
    default.

    Args:
        shapes: Shapes of the pool cases on the resampled grid.
        spacing: Of that grid ``(z, y, x)``, mm.

    Source: Isensee et al. 2021, nnU-Net, supplement "rule-based parameters"; simplified.
    """
    median = triple(np.rint(np.median(np.array(shapes), axis=0)))
    wanted = _cut(median, spacing)
    pooling = _pooling(wanted, spacing)
    patch = triple(-(-n // 2**p) * 2**p for n, p in zip(wanted, pooling, strict=True))
    return Plan(
        patch_size=patch,
        batch_size=_batch_size(prod(patch), sum(map(prod, shapes))),
        pooling=pooling,
        median_shape=median,
    )


def _cut(shape: Triple, spacing: Spacing) -> Triple:
    """Shorten the axis that is longest in mm until the voxel budget is kept."""
    size = list(shape)
    while prod(size) > _PATCH_VOXELS:
        axis = max(range(3), key=lambda a: size[a] * spacing[a])
        size[axis] -= max(1, size[axis] // 32)
    return triple(size)


def _pooling(size: Triple, spacing: Spacing) -> Triple:
    """Halve the axes that keep four voxels and are not twice as coarse as the finest."""
    left, coarse, times = list(size), list(spacing), [0, 0, 0]
    for _ in range(_MOST_POOLINGS):
        able = [a for a in range(3) if left[a] >= 2 * _SMALLEST]
        if not able:
            break
        finest = min(coarse[a] for a in able)
        for axis in able:
            if coarse[axis] < 2 * finest:
                left[axis] = -(-left[axis] // 2)
                coarse[axis] *= 2
                times[axis] += 1
    return triple(times)


def _batch_size(patch_voxels: int, dataset_voxels: int) -> int:
    """As many patches as the budget holds, at most a twentieth of the dataset, at least two."""
    fitting = _BATCH_VOXELS // patch_voxels
    return max(
        _SMALLEST_BATCH, min(fitting, int(_MOST_OF_DATASET * dataset_voxels) // patch_voxels)
    )
