"""Air round a body, told from intensities alone: no label and no network is asked."""

from __future__ import annotations

from math import ceil
from typing import TYPE_CHECKING

import numpy as np
from scipy import ndimage

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from jaxtyping import Bool, Float32, Shaped

    from alsweep.data.case import Spacing

    Mask = Bool[np.ndarray, "z y x"]
    Channel = Shaped[np.ndarray, "z y x"]
    Smooth = Float32[np.ndarray, "z y x"]

MARGIN_MM = 3.0
"""By which air is eroded, along each axis, and by one voxel at least."""

HOUNSFIELD_AIR = -500.0
_MOST_VARIED = 0.2
_BINS = 256
_TAILS = (0.5, 99.5)


def air_mask(
    channels: Sequence[Channel], spacing: Spacing, ct: Collection[int] = ()
) -> Mask | None:
    """Voxels of the air round a body.

    They are below the threshold of every channel (-500 HU for CT, Otsu's for the others), after a
    Gaussian of one voxel against noise; further than :data:`MARGIN_MM` along each axis from any
    that is not; and connected, face to face, with the border of the image along y or x. Its first
    and last slice are no border, since a body may go on there, with lungs that are air as well.

    Where Otsu's threshold parts dark tissue from bright, what is below it varies: air varies, after
    smoothing, by less than a fifth of its contrast with the rest.

    Args:
        channels: Intensities as they were measured.
        spacing: ``(z, y, x)``, mm.
        ct: Numbers of those that are CT, in Hounsfield units.

    Returns:
        None where there is no air.
    """
    smooth = [_smoothed(channel) for channel in channels]
    limits = [HOUNSFIELD_AIR if i in ct else otsu(values) for i, values in enumerate(smooth)]
    # A channel with one value throughout tells nothing.
    telling = [(v, t) for v, t in zip(smooth, limits, strict=True) if t is not None]
    if not telling:
        return None
    below: Mask = np.logical_and.reduce([values < limit for values, limit in telling])
    air = _at_border(eroded(below, margins(spacing)))
    others = [values for i, values in enumerate(smooth) if i not in ct]
    if not air.any() or any(_varies(values, air, ~below) for values in others):
        return None
    return air


def otsu(values: Shaped[np.ndarray, "*axes"]) -> float | None:
    """Threshold below which values are of the darker of two classes; None where all are the same.

    Between two classes that leave a gap it is in the middle of it. The outermost 0.5 % on either
    side count as if they lay at the limits of the rest.

    Source: Otsu 1979, doi:10.1109/TSMC.1979.4310076; 256 bins.
    """
    low, high = (float(value) for value in np.percentile(values, _TAILS))
    if not low < high:
        low, high = float(values.min()), float(values.max())
    if not low < high:
        return None
    counts, edges = np.histogram(np.clip(values, low, high), bins=_BINS, range=(low, high))
    darker = np.cumsum(counts)[:-1].astype(np.float64)
    brighter = counts.sum() - darker
    sums = np.cumsum(counts * (edges[1:] + edges[:-1]) / 2)
    apart = (sums[-1] - sums[:-1]) / brighter - sums[:-1] / darker
    between = darker * brighter * apart**2
    best = np.flatnonzero(between >= between.max() * (1 - 1e-9))
    return float(edges[1 + best[[0, -1]]].mean())


def margins(spacing: Spacing) -> tuple[int, int, int]:
    """Voxels ``(z, y, x)`` by which air is eroded."""
    z, y, x = (max(1, ceil(MARGIN_MM / size)) for size in spacing)
    return z, y, x


def eroded(mask: Mask, by: tuple[int, int, int]) -> Mask:
    """Voxels of the mask round which a box of half-lengths ``by`` is in it, as far as there is."""
    kept = mask.view(np.uint8)
    for axis, voxels in enumerate(by):
        kept = ndimage.minimum_filter1d(kept, 2 * voxels + 1, axis=axis, mode="nearest")
    return kept.view(bool)


def _smoothed(channel: Channel) -> Smooth:
    smooth: Smooth = ndimage.gaussian_filter(channel.astype(np.float32), 1.0, mode="nearest")
    return smooth


def _at_border(mask: Mask) -> Mask:
    """The parts of a mask that touch the image's border along y or x."""
    parts, count = ndimage.label(mask)
    sides = (parts[:, 0], parts[:, -1], parts[:, :, 0], parts[:, :, -1])
    outer = np.zeros(count + 1, dtype=bool)
    for side in sides:
        outer[side.ravel()] = True
    outer[0] = False
    return np.asarray(outer[parts])


def _varies(values: Smooth, air: Mask, rest: Mask) -> bool:
    """Whether a channel varies too much in what would be air."""
    contrast = float(values[rest].mean()) - float(values[air].mean())
    return float(values[air].std()) > _MOST_VARIED * contrast
