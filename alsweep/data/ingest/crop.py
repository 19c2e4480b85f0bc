"""The part of a volume that is not zero, as nnU-Net crops to it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from scipy import ndimage

from alsweep.data.case import Box
from alsweep.geometry import triple

if TYPE_CHECKING:
    from collections.abc import Sequence

    from jaxtyping import Bool, Shaped

    Mask = Bool[np.ndarray, "z y x"]
    Channel = Shaped[np.ndarray, "z y x"]


def nonzero_box(channels: Sequence[Channel]) -> Box:
    """The smallest box that holds all voxels where any channel is not zero; all, if none is.

    Source: nnU-Net v2, ``crop_to_nonzero``.
    """
    mask = _nonzero(channels)
    spans = [np.flatnonzero(mask.any(axis=others)) for others in ((1, 2), (0, 2), (0, 1))]
    if not len(spans[0]):
        return whole(mask.shape)
    return Box(
        start=triple(int(span[0]) for span in spans),
        size=triple(int(span[-1] - span[0]) + 1 for span in spans),
    )


def whole(shape: Sequence[int]) -> Box:
    """All of a grid ``(..., z, y, x)``."""
    return Box(start=(0, 0, 0), size=triple(shape[-3:]))


def nonzero_mask(channels: Sequence[Channel]) -> Mask:
    """Where any channel is not zero, holes filled.

    nnU-Net adds the voxels that have a label; here the image must not follow from hidden labels.
    """
    filled: Mask = ndimage.binary_fill_holes(_nonzero(channels))
    return filled


def _nonzero(channels: Sequence[Channel]) -> Mask:
    mask: Mask = channels[0] != 0
    for channel in channels[1:]:
        mask |= channel != 0
    return mask
