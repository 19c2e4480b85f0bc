"""From the grid of the scanner to the grid of the dataset."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from scipy import ndimage

from alsweep.geometry import triple

if TYPE_CHECKING:
    from collections.abc import Sequence

    from jaxtyping import Float32, Int64

    from alsweep.data.case import Spacing
    from alsweep.geometry import Triple
    from alsweep.types import LabelMap

    Channel = Float32[np.ndarray, "z y x"]

ANISOTROPIC = 3.0
"""Above this ratio of spacings, slices are treated as pictures of their own."""

_COARSE_PERCENTILE = 10
_CUBIC, _LINEAR = 3, 1
_TIE = 1e-5


def target_spacing(spacings: Sequence[Spacing], shapes: Sequence[Triple]) -> Spacing:
    """Choose the spacing of the resampled grid: the median, but finer along a very coarse axis.

    Args:
        spacings: Of each case ``(z, y, x)``, mm.
        shapes: Of each case ``(z, y, x)``, voxels.

    Source: Isensee et al. 2021, nnU-Net: if one axis is over three times as coarse as the others
        and has under a
    third of their voxels, its spacing is the 10th percentile, so that thin-sliced cases lose less,
    yet not finer than the other axes.
    """
    median = np.median(np.array(spacings, dtype=np.float64), axis=0)
    size = np.median(np.array(shapes, dtype=np.float64), axis=0)
    axis = int(np.argmax(median))
    others = [a for a in range(3) if a != axis]
    coarse = median[axis] > ANISOTROPIC * median[others].max()
    if coarse and ANISOTROPIC * size[axis] < size[others].min():
        thin = np.percentile([spacing[axis] for spacing in spacings], _COARSE_PERCENTILE)
        median[axis] = max(float(thin), float(median[others].max()))
    z, y, x = (float(value) for value in median)
    return z, y, x


def resampled_shape(shape: Triple, spacing: Spacing, target: Spacing) -> Triple:
    """Shape that covers the same extent at the target spacing, at least one voxel an axis."""
    return triple(max(1, round(n * s / t)) for n, s, t in zip(shape, spacing, target, strict=True))


def coarse_axis(spacing: Spacing, target: Spacing) -> int | None:
    """The axis along which slices are not interpolated, if either grid is anisotropic."""
    for grid in (spacing, target):
        axis = int(np.argmax(grid))
        if max(grid) > ANISOTROPIC * min(grid):
            return axis
    return None


def resample_image(channel: Channel, shape: Triple, coarse: int | None) -> Channel:
    """Interpolate with cubic splines; along a coarse axis take the nearest slice instead.

    Args:
        channel: One channel ``(z, y, x)``.
        shape: Of the result.
        coarse: From :func:`coarse_axis`.
    """
    return _zoom(channel, shape, coarse, _CUBIC)


def resample_labels(labels: LabelMap, shape: Triple, coarse: int | None) -> LabelMap:
    """Give each voxel the class whose linearly interpolated membership is highest.

    No class appears that was not there, and borders are smooth, unlike those of nearest-neighbour
    sampling.
    """
    if labels.shape == shape:
        return labels
    result = np.zeros(shape, dtype=np.uint8)
    best = np.full(shape, -1.0, dtype=np.float32)
    for label in np.unique(labels):
        membership = _zoom((labels == label).astype(np.float32), shape, coarse, _LINEAR)
        # Halfway between two classes, the higher label
        # wins as in nnU-Net; rounding must not decide it voxel by voxel.
        wins = membership >= best - _TIE
        result[wins] = label
        best[wins] = membership[wins]
    return result


def _zoom(volume: Channel, shape: Triple, coarse: int | None, order: int) -> Channel:
    if volume.shape == shape:
        return volume
    if coarse is None:
        return _spline(volume, shape, order)
    slices = np.moveaxis(volume, coarse, 0)
    plane = tuple(n for axis, n in enumerate(shape) if axis != coarse)
    needed, where = np.unique(_nearest(len(slices), shape[coarse]), return_inverse=True)
    zoomed = np.stack([_spline(slices[index], plane, order) for index in needed])
    return np.moveaxis(zoomed[where], 0, coarse)


def _nearest(old: int, new: int) -> Int64[np.ndarray, " slice"]:
    """For each of ``new`` equal steps the index of the old step that holds its centre."""
    return ((np.arange(new) + 0.5) * old / new).astype(np.int64)


def _spline(array: Channel, shape: tuple[int, ...], order: int) -> Channel:
    """Spline interpolation where the outer faces of both grids coincide, not voxel centres."""
    if array.shape == shape:
        return array
    factors = [new / old for new, old in zip(shape, array.shape, strict=True)]
    return np.asarray(
        ndimage.zoom(array, factors, order=order, mode="nearest", grid_mode=True, output=np.float32)
    )
