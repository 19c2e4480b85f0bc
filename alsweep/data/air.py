"""Air round a body, told from intensities alone: no label and no network is asked."""

from __future__ import annotations

from math import ceil, sqrt
from typing import TYPE_CHECKING

import numpy as np
from scipy import ndimage

from alsweep.otsu import otsu

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
_MOST_LEVEL = 5.0
"""Mean of air in standard deviations of its noise. Of a magnitude it is 2, of the root of the sum
of squares of four coils 4; of tissue it is the signal-to-noise ratio."""
_MODES_APART = 4.0
"""Distance of two modes in their own spread. Otsu's halves of a normal distribution are 2.7 apart,
those of a uniform one 3.5."""
_LEAST_MODE, _FEWEST = 0.02, 200
_BLURRED = (2, 2, 2)
"""Voxels round air that its doubters leave out: smoothing has mixed them with what is none."""
_LINEAR, _LEAST_SPREAD = 3.0, 0.25
"""Of the scale on which modes are told: it is linear up to so many times how far the darkest 2 %
lie from the darkest 10 %, and a mode is taken for no narrower than a bit less than air's is."""
_FINEST = 3e-4
"""Of the contrast: where the scale is linear for air without any noise."""


def air_mask(
    channels: Sequence[Channel], spacing: Spacing, ct: Collection[int] = ()
) -> Mask | None:
    """Voxels of the air round a body.

    They are below the threshold of every channel (-500 HU for CT, Otsu's for the others), after a
    Gaussian of one voxel against noise; further than :data:`MARGIN_MM` along each axis from any
    that is not; and connected, face to face, with the border of the image along y or x. Its first
    and last slice are no border, since a body may go on there, with lungs that are air as well.

    Otsu's threshold may part dark tissue from bright, with or without air on the dark side. So what
    would be air has to vary, after smoothing, by less than a fifth of its contrast with the rest.
    Where no channel is CT it further has to be of one kind, and not of two far apart; and to have a
    mean that its noise explains, unless that is negative. These ask nothing of the rest, which an
    organ may make as bright as it likes.

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
    parts = enumerate(zip(channels, smooth, limits, strict=True))
    others = [(c, v) for i, (c, v, limit) in parts if i not in ct and limit is not None]
    if not air.any() or any(_varies(values, air, ~below) for _, values in others):
        return None
    # What is below -500 HU besides is air, whatever other channels show there.
    if ct:
        return air
    inner = eroded(air, _BLURRED)
    # Of a very small case too little is left to tell its kinds.
    deep = inner if inner.sum() >= max(_FEWEST, 0.1 * air.sum()) else air
    doubted = any(_is_mixed(v, deep, ~below) or _has_signal(c, v, deep) for c, v in others)
    return None if doubted else air


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


def _is_mixed(values: Smooth, air: Mask, rest: Mask) -> bool:
    """Whether what would be air is of two kinds, such as air and a body with a bright organ.

    Its darkest tenth tells how much air varies; far above that, what counts is by which factor a
    value is higher.
    """
    dark_side = values[air].astype(np.float64)
    lowest, level = np.percentile(dark_side, (2, 10))
    finest = _FINEST * (float(values[rest].mean()) - level)
    scaled = np.arcsinh((dark_side - level) / max(_LINEAR * (level - lowest), finest))
    limit = otsu(scaled)
    if limit is None:
        return False
    dark, bright = scaled[scaled < limit], scaled[scaled >= limit]
    spread = sqrt((dark.var() * dark.size + bright.var() * bright.size) / scaled.size)
    share = min(dark.size, bright.size) / scaled.size
    apart = float(bright.mean() - dark.mean())
    return share >= _LEAST_MODE and apart > _MODES_APART * max(spread, _LEAST_SPREAD)


def _has_signal(channel: Channel, values: Smooth, air: Mask) -> bool:
    """Whether the mean in what would be air is more than its noise makes; constants are no signal.

    Noise is what smoothing takes away, so that tissue of slowly varying intensity has little.
    """
    raw = channel[air].astype(np.float64)
    noise = float((raw - values[air]).std())
    return bool(raw.min() < raw.max()) and float(raw.mean()) > _MOST_LEVEL * noise
