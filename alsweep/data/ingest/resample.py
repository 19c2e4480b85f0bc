"""From the grid of the scanner to the grid of the dataset."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from scipy import ndimage, sparse

from alsweep.geometry import triple

if TYPE_CHECKING:
    from collections.abc import Sequence

    from jaxtyping import Bool, Float32, Int64

    from alsweep.data.case import Spacing
    from alsweep.geometry import Triple
    from alsweep.types import LabelMap

    Channel = Float32[np.ndarray, "z y x"]

ANISOTROPIC = 3.0
"""Above this ratio of spacings, slices are treated as pictures of their own."""

_COARSE_PERCENTILE = 10
_CUBIC, _LINEAR = 3, 1
_TIE = 1e-5
_NEGLIGIBLE = 1e-8
_MARGIN = 1e-5
"""What nnU-Net leaves between the coarse spacing and the others, mm."""


def target_spacing(spacings: Sequence[Spacing], shapes: Sequence[Triple]) -> Spacing:
    """Choose the spacing of the resampled grid: the median, but finer along a very coarse axis.

    Args:
        spacings: Of each case ``(z, y, x)``, mm.
        shapes: Of each case ``(z, y, x)``, voxels.

    If one axis is over three times as coarse as the others and has under a third of their voxels,
    its spacing is the 10th percentile, so that thin-sliced cases lose less, yet not finer than the
    other axes.

    Source: Isensee et al. 2021, nnU-Net; v2, ``determine_fullres_target_spacing``.
    """
    median = np.median(np.array(spacings, dtype=np.float64), axis=0)
    size = np.median(np.array(shapes, dtype=np.float64), axis=0)
    axis = int(np.argmax(median))
    others = [a for a in range(3) if a != axis]
    coarse = median[axis] > ANISOTROPIC * median[others].max()
    if coarse and ANISOTROPIC * size[axis] < size[others].min():
        thin = np.percentile([spacing[axis] for spacing in spacings], _COARSE_PERCENTILE)
        finest = float(median[others].max())
        median[axis] = float(thin) if thin >= finest else finest + _MARGIN
    z, y, x = (float(value) for value in median)
    return z, y, x


def resampled_shape(shape: Triple, spacing: Spacing, target: Spacing) -> Triple:
    """Shape that covers the same extent at the target spacing, at least one voxel an axis."""
    return triple(max(1, round(n * s / t)) for n, s, t in zip(shape, spacing, target, strict=True))


def coarse_axis(spacing: Spacing, target: Spacing) -> int | None:
    """The axis along which slices are not interpolated, if either grid is anisotropic.

    Where two axes are equally coarse there is none: the third is the odd one out.
    """
    for grid in (spacing, target):
        if max(grid) > ANISOTROPIC * min(grid):
            coarsest = [axis for axis in range(3) if grid[axis] == max(grid)]
            return coarsest[0] if len(coarsest) == 1 else None
    return None


def resample_image(channel: Channel, shape: Triple, coarse: int | None) -> Channel:
    """Interpolate with cubic splines; along a coarse axis take the nearest slice instead.

    Args:
        channel: One channel ``(z, y, x)``.
        shape: Of the result.
        coarse: From :func:`coarse_axis`.

    Returns:
        No value is outside those of the source, or of its slice.

    Source: nnU-Net v2, ``resample_data_or_seg`` with order 3 and order 0 along a coarse axis.
    """
    if channel.shape == shape:
        return channel
    if coarse is None:
        spread = channel.min(), channel.max()
        finer = _interpolate(channel, shape, _CUBIC)
        np.clip(finer, *spread, out=finer)
        return finer
    planes = tuple(axis for axis in range(3) if axis != coarse)
    spread = (
        channel.min(axis=planes, keepdims=True),
        channel.max(axis=planes, keepdims=True),
    )
    within = _with_length(shape, coarse, channel.shape[coarse])
    zoomed = _interpolate(channel, within, _CUBIC)
    if zoomed is not channel:
        np.clip(zoomed, *spread, out=zoomed)
    return np.take(zoomed, _nearest(channel.shape[coarse], shape[coarse]), axis=coarse)


def resample_labels(labels: LabelMap, shape: Triple, coarse: int | None) -> LabelMap:
    """Give each voxel the label whose linearly interpolated membership is highest.

    No label appears that was not there, and borders are smooth, unlike those of nearest-neighbour
    sampling. Where two are equally high the nearest voxel decides, if it has one of the two, else
    the lower label.

    Source: nnU-Net v2 (2.8), ``resize_segmentation`` with order 1.
    """
    if labels.shape == shape:
        return labels
    if coarse is None:
        return _vote(labels, shape)
    within = _vote(labels, _with_length(shape, coarse, labels.shape[coarse]))
    return np.take(within, _nearest(labels.shape[coarse], shape[coarse]), axis=coarse)


@dataclass(frozen=True)
class Part:
    """A box of voxels on the grid of the scanner, and one on the grid of the dataset in it.

    Attributes:
        old: Shape of the whole volume that is resampled, ``(z, y, x)``.
        low: Lowest corner there of what is known.
        new: Shape that the whole volume has afterwards.
        start: Lowest corner there of what is wanted; its voxels' centres lie in what is known.
        size: Of what is wanted.
    """

    old: Triple
    low: Triple
    new: Triple
    start: Triple
    size: Triple


def resample_labels_part(labels: LabelMap, part: Part, coarse: int | None) -> LabelMap:
    """What :func:`resample_labels` gives in a box, where nothing is known outside of another.

    What is unknown has no vote. So voxels whose neighbours are all known are as if the whole volume
    were, and those at the faces of what is known are decided by what is known there.

    Args:
        labels: What is known, ``(z, y, x)``.
        part: Where it lies, and what is wanted.
        coarse: From :func:`coarse_axis`, of the whole volume.
    """
    lines = [_Line.of(part, axis, labels.shape[axis]) for axis in range(3)]
    if part.old == part.new:
        unmoved: LabelMap = labels[np.ix_(*(line.nearest for line in lines))]
        return unmoved
    if coarse is not None:
        labels = np.take(labels, lines[coarse].nearest, axis=coarse)
        lines[coarse] = _Line.same(part.size[coarse])
    return _decided(labels, lines)


class _Line(NamedTuple):
    """How one axis is resampled.

    Attributes:
        matrix: Shares of old voxels in new ones, ``(new, old)``.
        nearest: For each new voxel the old one that holds its centre.
    """

    matrix: Any
    nearest: Int64[np.ndarray, " slice"]

    @classmethod
    def same(cls, length: int) -> _Line:
        return cls(sparse.identity(length, dtype=np.float32, format="csr"), np.arange(length))

    @classmethod
    def of(cls, part: Part, axis: int, known: int) -> _Line:
        old, new, low, first = part.old[axis], part.new[axis], part.low[axis], part.start[axis]
        rows = slice(first, first + part.size[axis])
        matrix = _operator(old, new, _LINEAR)[rows, low : low + known]
        votes = np.asarray(matrix.sum(axis=1)).ravel()
        # Untouched where all is known, so that no rounding tells the part from the whole.
        scale = np.where(np.abs(votes - 1) < _TIE, 1, votes)
        matrix = sparse.csr_matrix(sparse.diags(1 / scale) @ matrix).astype(np.float32)
        return cls(matrix, _nearest(old, new)[rows] - low)


def _vote(labels: LabelMap, shape: Triple) -> LabelMap:
    pairs = list(zip(labels.shape, shape, strict=True))
    return _decided(labels, [_Line(_operator(*p, _LINEAR), _nearest(*p)) for p in pairs])


def _decided(labels: LabelMap, lines: Sequence[_Line]) -> LabelMap:
    shape = triple(len(line.nearest) for line in lines)
    nearest = labels[np.ix_(*(line.nearest for line in lines))]
    result = np.zeros(shape, dtype=np.uint8)
    best = np.zeros(shape, dtype=np.float32)
    settled = np.zeros(shape, dtype=bool)
    for label, box in _boxes(labels).items():
        reach, membership = _membership(labels[box] == label, box, lines)
        won, top, fixed = result[reach], best[reach], settled[reach]
        here = nearest[reach] == label
        ahead = membership > top + _TIE
        # Rounding must not decide between two that are equal.
        level = here & ~ahead & (membership > top - _TIE) & (membership > _TIE)
        fixed[...] = np.where(ahead, here, fixed | level)
        won[ahead] = label
        np.maximum(top, membership, out=top)
    return np.where(settled, nearest, result)


def _boxes(labels: LabelMap) -> dict[int, tuple[slice, slice, slice]]:
    """The box of each label that occurs, ascending."""
    # find_objects takes zero for the background.
    found = ndimage.find_objects(labels.astype(np.uint16) + 1)
    return {label: box for label, box in enumerate(found) if box is not None}


def _membership(
    inside: Bool[np.ndarray, "z y x"],
    box: tuple[slice, slice, slice],
    lines: Sequence[_Line],
) -> tuple[tuple[slice, ...], Channel]:
    """Interpolated membership, and the box of the new grid that it reaches into."""
    membership, reach = inside.astype(np.float32), []
    for axis, part in enumerate(box):
        matrix = lines[axis].matrix[:, part]
        rows = np.flatnonzero(np.diff(matrix.indptr))
        reach.append(slice(int(rows[0]), int(rows[-1]) + 1) if len(rows) else slice(0, 0))
        membership = _apply(matrix[reach[-1]], membership, axis)
    return tuple(reach), membership


def _with_length(shape: Triple, axis: int, length: int) -> Triple:
    return triple(length if a == axis else n for a, n in enumerate(shape))


def _nearest(old: int, new: int) -> Int64[np.ndarray, " slice"]:
    """For each of ``new`` equal steps the index of the old step that holds its centre."""
    centre = old / new * (np.arange(new) + 0.5) - 0.5
    return np.asarray(np.clip(np.floor(centre + 0.5), 0, old - 1), dtype=np.int64)


def _interpolate(array: Channel, shape: Triple, order: int) -> Channel:
    """Spline interpolation where the outer faces of both grids coincide, not voxel centres."""
    for axis, (old, new) in enumerate(zip(array.shape, shape, strict=True)):
        if old != new:
            array = _apply(_operator(old, new, order), array, axis)
    return array


def _apply(matrix: Any, array: Channel, axis: int) -> Channel:
    lines = np.moveaxis(array, axis, 0)
    # Not BLAS, whose last digits, and with them a Dataset's fingerprint, follow the type of CPU.
    product: Channel = matrix @ np.ascontiguousarray(lines).reshape(len(lines), -1)
    moved: Channel = np.moveaxis(product.reshape(matrix.shape[0], *lines.shape[1:]), 0, axis)
    return moved


@cache
def _operator(old: int, new: int, order: int) -> Any:
    """Interpolation along one axis as a sparse matrix ``(new, old)``.

    Splines are separable and linear, so three of these do in a ninth of the time what one call in
    three dimensions does, with the same result.
    """
    columns = []
    for index in range(old):
        unit = np.zeros(old)
        unit[index] = 1
        column = ndimage.zoom(unit, new / old, order=order, mode="nearest", grid_mode=True)
        column[np.abs(column) < _NEGLIGIBLE] = 0
        # One by one, since the full matrix of a very long axis would fill the memory.
        columns.append(sparse.csc_matrix(column[:, None].astype(np.float32)))
    return sparse.hstack(columns, format="csr")
