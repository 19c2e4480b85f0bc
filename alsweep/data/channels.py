"""What a Dataset says of an image channel: its intensities, and how they were changed."""

from typing import Literal

from alsweep.config.base import Frozen

Scheme = Literal["zscore", "ct", "none", "rescale_to_0_1", "rgb_to_0_1"]


class Intensities(Frozen):
    """Properties of one channel over the foreground of the pool, as nnU-Net's fingerprint has."""

    mean: float
    std: float
    median: float
    min: float
    max: float
    percentile_00_5: float
    percentile_99_5: float


class Normalisation(Frozen):
    """How the intensities of one channel were changed before resampling.

    Attributes:
        scheme: Which rule.
        masked: Whether a z-score is taken of the nonzero voxels alone, the others staying zero.
        low: For CT: 0.5 percentile of the foreground, clipped below.
        high: For CT: 99.5 percentile of the foreground, clipped above.
        mean: For CT: subtracted.
        std: For CT: divided by.
    """

    scheme: Scheme
    masked: bool = False
    low: float | None = None
    high: float | None = None
    mean: float | None = None
    std: float | None = None
