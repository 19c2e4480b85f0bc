"""Which annotated patches show nothing but background, such as the air round a body."""

from __future__ import annotations

import logging
from functools import cache
from typing import TYPE_CHECKING

import numpy as np

from alsweep.data.air import MARGIN_MM, air_mask
from alsweep.label_codes import IGNORE
from alsweep.otsu import otsu
from alsweep.results.background import MOST, share_text

if TYPE_CHECKING:
    from collections.abc import Iterable

    from jaxtyping import Float32

    from alsweep.data.case import Dataset
    from alsweep.data.label_store import PartialLabels
    from alsweep.geometry import Patch

_log = logging.getLogger(__name__)

_LONGEST = 96
"""Blocks along an axis; a case of 512 voxels is looked at in blocks of six."""

_MASKED_SHARE = 0.5

_ONE_BLOCK = (MARGIN_MM, MARGIN_MM, MARGIN_MM)
"""Spacing by which air is eroded by a single block."""


class Backgrounds:
    """Counts patches without foreground whose intensities are those of what is round the body.

    The latter means: in every channel, the mean over the patch is below the threshold that parts
    the case into dark and bright (Otsu's, of the means of blocks of at least 2 x 2 x 2 voxels of
    the stored image). In a case without air at its border, as ``data.air`` tells it, that is no
    patch: what is dark there is tissue. Where channels are normalised within the nonzero mask,
    which leaves tissue on either side of the zero outside, it means that over half of the patch is
    zero in all of these.

    Args:
        dataset: Its images are read, a case when it is first asked for.
    """

    def __init__(self, dataset: Dataset) -> None:
        self._dataset = dataset
        self._limits = cache(self._limits_of)
        self._shows = cache(self._is_dark)
        how = dataset.manifest.normalisation
        self._masked = [channel for channel, one in enumerate(how) if one.masked]

    def count(self, labels: PartialLabels, patches: Iterable[Patch]) -> int:
        """How many of some annotated patches are so."""
        return sum(self._shows(p) and not _has_foreground(labels, p) for p in patches)

    def _is_dark(self, patch: Patch) -> bool:
        crop = self._dataset.image(patch.case)[(slice(None), *patch.slices)]
        if self._masked:
            return bool((crop[self._masked] == 0).all(axis=0).mean() > _MASKED_SHARE)
        limits = self._limits(patch.case)
        if limits is None:
            return False
        means = crop.mean(axis=(1, 2, 3), dtype=np.float64)
        return all(mean < limit for mean, limit in zip(means, limits, strict=True))

    def _limits_of(self, case: str) -> tuple[float, ...] | None:
        """The threshold of each channel; None where the case has no air."""
        blocks = [_blocks(channel) for channel in self._dataset.image(case)]
        if air_mask(blocks, _ONE_BLOCK) is None:
            return None
        limits = [otsu(channel) for channel in blocks]
        # What has one value throughout is dark nowhere less than elsewhere.
        return tuple(np.inf if limit is None else limit for limit in limits)


def _has_foreground(labels: PartialLabels, patch: Patch) -> bool:
    crop = labels.crop(patch)
    return bool(((crop > 0) & (crop != IGNORE)).any())


def _blocks(channel: Float32[np.ndarray, "z y x"]) -> Float32[np.ndarray, "z y x"]:
    """Means over blocks, which lessens noise and work; what fills no block at the end is left out.

    An axis of fewer than eight voxels stays as it is.
    """
    for axis, length in enumerate(channel.shape):
        block = max(2, -(-length // _LONGEST)) if length >= 8 else 1
        count = length // block
        whole = channel[(slice(None),) * axis + (slice(count * block),)]
        split = (*whole.shape[:axis], count, block, *whole.shape[axis + 1 :])
        channel = whole.reshape(split).mean(axis=axis + 1, dtype=np.float32)
    return channel


def tell_backgrounds(loop: int, background: int, patches: int) -> None:
    """Tell the log which share of the latest patches shows nothing but background.

    Args:
        loop: The training before which they were annotated.
        background: How many do.
        patches: Of how many.
    """
    which = f"query {loop}" if loop else "the starting budget"
    if patches and background > MOST * patches:
        _log.warning("warning: %s", share_text(which, background, patches))
    elif patches:
        _log.info("%s", share_text(which, background, patches))
