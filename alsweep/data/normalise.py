"""Intensity normalisation, channel by channel, chosen by the channel's name."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from alsweep.data.case import Normalisation

if TYPE_CHECKING:
    from jaxtyping import Float32, Shaped

    from alsweep.data.case import Scheme

    Channel = Float32[np.ndarray, "z y x"]

_SMALLEST_STD = 1e-8
_BY_NAME: dict[str, Scheme] = {
    "ct": "ct",
    "nonorm": "none",
    "rescale_to_0_1": "rescale_to_0_1",
    "rgb_to_0_1": "rgb_to_0_1",
}


def scheme_for(channel: str) -> Scheme:
    """The scheme that nnU-Net uses for a channel of that name; z-score for all but a few names.

    >>> scheme_for("CT"), scheme_for("T1")
    ('ct', 'zscore')
    """
    return _BY_NAME.get(channel.lower(), "zscore")


def ct_normalisation(foreground: Float32[np.ndarray, " voxel"]) -> Normalisation:
    """Clip limits and z-score of a CT channel from a sample of the pool's foreground intensities.

    Source: Isensee et al. 2021, nnU-Net: percentiles 0.5 and 99.5, mean and standard deviation of
        all of it.
    """
    values = foreground.astype(np.float64)
    low, high = np.percentile(values, (0.5, 99.5))
    return Normalisation(
        scheme="ct",
        low=float(low),
        high=float(high),
        mean=float(values.mean()),
        std=float(values.std()),
    )


def normalise(channel: Shaped[np.ndarray, "z y x"], how: Normalisation) -> Channel:
    """Return the normalised channel, float32."""
    if how.scheme == "ct":
        return _ct(channel, how)
    if how.scheme == "none":
        return channel.astype(np.float32)
    if how.scheme == "rgb_to_0_1":
        return (channel / np.float32(255)).astype(np.float32)
    if how.scheme == "rescale_to_0_1":
        low = float(channel.min())
        span = max(float(channel.max()) - low, _SMALLEST_STD)
        return ((channel - low) / span).astype(np.float32)
    return zscore(channel)


def zscore(channel: Shaped[np.ndarray, "z y x"]) -> Channel:
    """Zero mean and unit variance over the volume; all zero where it is constant."""
    # In double: the sums over millions of voxels of a float32 CT would lose digits.
    mean, std = float(channel.mean(dtype=np.float64)), float(channel.std(dtype=np.float64))
    return np.asarray((channel - mean) / max(std, _SMALLEST_STD), dtype=np.float32)


def _ct(channel: Shaped[np.ndarray, "z y x"], how: Normalisation) -> Channel:
    if how.low is None or how.high is None or how.mean is None or how.std is None:
        raise ValueError("a CT normalisation has low, high, mean and std")
    clipped = np.clip(channel, how.low, how.high)
    return np.asarray((clipped - how.mean) / max(how.std, _SMALLEST_STD), dtype=np.float32)
