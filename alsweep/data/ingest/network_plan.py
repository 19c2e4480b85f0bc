"""A network topology for a dataset as nnU-Net v2 plans it: from shapes and spacing alone."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil, prod

import numpy as np

from alsweep.data.case import NetworkPlan, Spacing
from alsweep.geometry import Triple, triple

_REFERENCE = 560_000_000
"""What nnU-Net's estimate may come to for two patches on its reference GPU of 8 GB."""

_REFERENCE_BATCH = 2
_SMALLEST_BATCH = 2
_MOST_OF_DATASET = 0.05
_ENOUGH_OF_CASE = 0.25
_STEP, _MUCH_COARSER = 1.03, 2
_WORTH_A_GRID = 2
_FIRST_VOXELS = 256**3
_SMALLEST_EDGE = 4
_FIRST_FEATURES, _MOST_FEATURES = 32, 320
_ENCODER_MAPS, _DECODER_MAPS = 2, 3
"""Feature maps of a stage: two convolutions; on the way up the transposed one too."""


@dataclass(frozen=True)
class _Topology:
    """Axes are in nnU-Net's order, the coarsest first."""

    patch: Triple
    strides: tuple[Triple, ...]
    kernels: tuple[Triple, ...]

    @property
    def divisor(self) -> Triple:
        """What each axis of the patch is a multiple of."""
        return triple(prod(stride[axis] for stride in self.strides) for axis in range(3))


def make_plan(shapes: Sequence[Triple], spacing: Spacing, outputs: int) -> NetworkPlan:
    """Choose training patch, batch size, strides and kernels of ``3d_fullres``.

    The patch has the extent of the median case, cut where a U-Net on it would not fit the reference
    GPU.

    Args:
        shapes: Shapes of the pool cases on the resampled grid.
        spacing: Of that grid ``(z, y, x)``, mm.
        outputs: Of the network: what ``dataset.json`` declares, the ignore label counted.

    Source: nnU-Net v2 (2.8), ``ExperimentPlanner.get_plans_for_configuration``.
    """
    median = np.median(np.array(shapes, dtype=np.float64), axis=0)
    axes = _axes(spacing)
    shape, steps = [float(median[axis]) for axis in axes], [spacing[axis] for axis in axes]
    topology = _fitting(shape, steps, outputs)
    estimate = _estimate(topology, outputs)
    z, y, x = (axes.index(axis) for axis in range(3))

    def back(values: Triple) -> Triple:
        return values[z], values[y], values[x]

    return NetworkPlan(
        patch_size=back(topology.patch),
        batch_size=_batch_size(estimate, topology.patch, prod(shape) * len(shapes)),
        strides=tuple(back(stride) for stride in topology.strides),
        kernels=tuple(back(kernel) for kernel in topology.kernels),
        median_shape=(shape[z], shape[y], shape[x]),
    )


def plans_batch_dice(plan: NetworkPlan, spacing: Spacing, outputs: int) -> bool:
    """Whether nnU-Net would take Dice over the batch: where it plans a low resolution too.

    That is where the patch holds less than a quarter of the median case, and a grid on which it
    holds as much has no more than half of the voxels.

    Args:
        plan: Of the full resolution.
        spacing: Of its grid, mm.
        outputs: As for :func:`make_plan`.

    Source: nnU-Net v2 (2.8), ``ExperimentPlanner.plan_experiment``.
    """
    axes = [*_axes(spacing)]
    median, full = np.array(plan.median_shape)[axes], np.array(spacing)[axes]
    voxels, patch, low = median.prod(), prod(plan.patch_size), full.copy()
    while patch < _ENOUGH_OF_CASE * voxels:
        coarse = low.max() / low > _MUCH_COARSER
        low[coarse if coarse.any() else ...] *= _STEP
        shape = median * full / low
        voxels, whole = shape.prod(), np.maximum(1, np.round(shape)).tolist()
        patch = prod(_fitting(whole, low.tolist(), outputs).patch)
    return bool(median.prod() >= _WORTH_A_GRID * voxels)


def levels_of(
    patch_size: Triple, spacing: Spacing, most: int
) -> tuple[tuple[Triple, ...], tuple[Triple, ...]]:
    """Strides and kernels by which a U-Net halves a patch, ``(z, y, x)`` a level.

    The finest axes are halved first, each as long as four voxels remain, and a kernel spans an axis
    once it is no longer twice as coarse as the finest.

    Args:
        patch_size: Training patch, voxels.
        spacing: Of its grid, mm.
        most: Levels at most.

    Source: nnU-Net v2 (2.8), ``get_pool_and_conv_props``.

    >>> levels_of((8, 32, 32), (3.0, 1.0, 1.0), 4)[0]
    ((1, 1, 1), (1, 2, 2), (2, 2, 2), (1, 2, 2))
    """
    topology = _topology(patch_size, spacing)
    strides, kernels = topology.strides, topology.kernels
    # The deepest level of a U-Net that could go deeper is like any other level.
    return strides[:most], kernels[:most]


def _axes(spacing: Spacing) -> Triple:
    """nnU-Net's order of axes, on which ties depend."""
    coarsest = int(np.argmax(spacing))
    first, second = (axis for axis in range(3) if axis != coarsest)
    return coarsest, first, second


def _fitting(shape: Sequence[float], spacing: Sequence[float], outputs: int) -> _Topology:
    """The topology of the largest patch whose U-Net fits the reference GPU."""
    topology = _topology(_first_patch(shape, spacing), spacing)
    while _estimate(topology, outputs) > _REFERENCE:
        topology = _smaller(topology, shape, spacing)
    return topology


def _first_patch(shape: Sequence[float], spacing: Sequence[float]) -> list[float]:
    """A cube in mm with the voxels of 256^3, nowhere longer than the median case."""
    density = [1 / step for step in spacing]
    scale = (_FIRST_VOXELS / prod(density)) ** (1 / 3)
    return [min(round(d * scale), n) for d, n in zip(density, shape, strict=True)]


def _topology(patch: Sequence[float], spacing: Sequence[float]) -> _Topology:
    """Halve axes as long as they can be halved, and pad the patch to what that asks for."""
    size, step = list(patch), list(spacing)
    kernel, strides, kernels = [1, 1, 1], [(1, 1, 1)], []
    while halved := _to_halve(size, step):
        kernel = [3 if s / min(step) < 2 else k for k, s in zip(kernel, step, strict=True)]
        kernels.append(triple(kernel))
        strides.append(triple(2 if axis in halved else 1 for axis in range(3)))
        for axis in halved:
            size[axis], step[axis] = ceil(size[axis] / 2), step[axis] * 2
    bare = _Topology((1, 1, 1), tuple(strides), (*kernels, (3, 3, 3)))
    padded = triple(ceil(n / d) * d for n, d in zip(patch, bare.divisor, strict=True))
    return _Topology(padded, bare.strides, bare.kernels)


def _to_halve(size: Sequence[float], spacing: Sequence[float]) -> list[int]:
    """The axes that are long enough and not twice as coarse as the finest of these."""
    able = [axis for axis in range(3) if size[axis] >= 2 * _SMALLEST_EDGE]
    if not able:
        return []
    finest = min(spacing[axis] for axis in able)
    chosen = [axis for axis in able if spacing[axis] / finest < 2]
    alone = len(chosen) == 1 and size[chosen[0]] < 3 * _SMALLEST_EDGE
    return [] if alone else chosen


def _smaller(topology: _Topology, shape: Sequence[float], spacing: Sequence[float]) -> _Topology:
    """The next smaller patch: shorter along the axis that covers most of the median case."""
    patch = list(topology.patch)
    axis = int(np.argsort([n / whole for n, whole in zip(patch, shape, strict=True)])[-1])
    shorter = patch.copy()
    shorter[axis] -= topology.divisor[axis]
    # The shorter patch may be halved less often, so that a smaller step is enough.
    patch[axis] -= _topology(shorter, spacing).divisor[axis]
    return _topology(patch, spacing)


def _estimate(topology: _Topology, outputs: int) -> int:
    """Values in all feature maps of a plain U-Net, for one patch."""
    size, total = topology.patch, 0
    for stage, stride in enumerate(topology.strides):
        size = triple(n // s for n, s in zip(size, stride, strict=True))
        features = min(_MOST_FEATURES, _FIRST_FEATURES * 2**stage)
        bottleneck = stage == len(topology.strides) - 1
        maps = _ENCODER_MAPS + (0 if bottleneck else _DECODER_MAPS)
        total += maps * features * prod(size)
    # Without a single halving there is no decoder, and nothing but the encoder to count.
    return total + (outputs * prod(topology.patch) if len(topology.strides) > 1 else 0)


def _batch_size(estimate: int, patch: Triple, dataset_voxels: float) -> int:
    """As many patches as fit, at most a twentieth of the dataset, at least two."""
    fitting = round(_REFERENCE / estimate * _REFERENCE_BATCH)
    seen = round(dataset_voxels * _MOST_OF_DATASET / prod(patch))
    return max(_SMALLEST_BATCH, min(fitting, seen))
