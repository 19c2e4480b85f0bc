"""The image of a case as networks see it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from alsweep.data.ingest.crop import nonzero_mask
from alsweep.data.ingest.normalise import normalise
from alsweep.data.ingest.resample import resample_image

if TYPE_CHECKING:
    from collections.abc import Sequence

    from jaxtyping import Shaped

    from alsweep.data.channels import Normalisation
    from alsweep.data.ingest.crop import Mask
    from alsweep.geometry import Triple
    from alsweep.types import Volume

    Channel = Shaped[np.ndarray, "z y x"]


def mask_of(channels: Sequence[Channel], normalisation: Sequence[Normalisation]) -> Mask | None:
    """Where channels are normalised, if not everywhere."""
    return nonzero_mask(channels) if any(how.masked for how in normalisation) else None


def network_image(
    channels: Sequence[Channel],
    normalisation: Sequence[Normalisation],
    mask: Mask | None,
    shape: Triple,
    coarse: int | None,
) -> Volume:
    """Normalise and resample the channels of a case, which is cropped already.

    Args:
        channels: Each ``(z, y, x)``, of the file's own type.
        normalisation: Of each channel.
        mask: From :func:`mask_of`.
        shape: Of the result.
        coarse: From :func:`alsweep.data.ingest.resample.coarse_axis`.
    """
    volume: Volume = np.empty((len(channels), *shape), dtype=np.float32)
    for index, how in enumerate(normalisation):
        values = normalise(channels[index], how, mask if how.masked else None)
        volume[index] = resample_image(values, shape, coarse)
    return volume
