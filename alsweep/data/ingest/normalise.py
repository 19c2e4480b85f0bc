"""Intensity normalisation, channel by channel, chosen by the channel's name."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from alsweep.data.channels import Normalisation

if TYPE_CHECKING:
    from jaxtyping import Bool, Float32, Shaped

    from alsweep.data.channels import Intensities, Scheme

    Mask = Bool[np.ndarray, "z y x"]
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


def masked_by_default(scheme: Scheme) -> bool:
    """Whether a scheme is confined to the nonzero mask where cropping made cases much smaller."""
    return scheme == "zscore"


def ct_normalisation(foreground: Intensities) -> Normalisation:
    """Clip limits and z-score of a CT channel.

    Source: Isensee et al. 2021, nnU-Net: percentiles 0.5 and 99.5, mean and standard deviation of
        the foreground.
    """
    return Normalisation(
        scheme="ct",
        low=foreground.percentile_00_5,
        high=foreground.percentile_99_5,
        mean=foreground.mean,
        std=foreground.std,
    )


def normalise(
    channel: Shaped[np.ndarray, "z y x"], how: Normalisation, mask: Mask | None = None
) -> Channel:
    """The normalised channel, float32.

    Args:
        channel: One channel.
        how: The scheme and its numbers.
        mask: Where the scheme holds, if it is ``masked``; elsewhere the result is zero.
    """
    values = channel.astype(np.float32)
    if how.scheme == "ct":
        return _ct(values, how)
    if how.scheme == "none":
        return values
    if how.scheme == "rgb_to_0_1":
        values /= 255
        return values
    if how.scheme == "rescale_to_0_1":
        values -= values.min()
        values /= max(float(values.max()), _SMALLEST_STD)
        return values
    if mask is None:
        return zscore(values)
    values[mask] = zscore(values[mask])
    values[~mask] = 0
    return values


def zscore(values: Float32[np.ndarray, "*axes"]) -> Float32[np.ndarray, "*axes"]:
    """Zero mean and unit variance; all zero where the values are all the same."""
    if not values.size:
        return values
    # In double: the sums over millions of voxels of a float32 CT would lose digits.
    mean, std = float(values.mean(dtype=np.float64)), float(values.std(dtype=np.float64))
    centred = values - np.float32(mean)
    centred /= np.float32(max(std, _SMALLEST_STD))
    return centred


def _ct(values: Channel, how: Normalisation) -> Channel:
    if how.low is None or how.high is None or how.mean is None or how.std is None:
        raise ValueError("a CT normalisation has low, high, mean and std")
    np.clip(values, how.low, how.high, out=values)
    values -= np.float32(how.mean)
    values /= np.float32(max(how.std, _SMALLEST_STD))
    return values
