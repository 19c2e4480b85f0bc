"""Intensity properties of a channel from the foreground of many cases, a few numbers a case."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from alsweep.config.base import Frozen
from alsweep.data.channels import Intensities

if TYPE_CHECKING:
    from collections.abc import Sequence

    from jaxtyping import Float64, Shaped

    Levels = Float64[np.ndarray, " level"]

_PERCENTILES = (0.5, 50.0, 99.5)


class Sketch(Frozen):
    """The distribution of the foreground intensities of one channel in one case.

    Attributes:
        mean: Of all values.
        square: Mean of the squares.
        low: Smallest value.
        high: Largest value.
        quantiles: At the middles of the cells of :func:`_cells`.
    """

    mean: float
    square: float
    low: float
    high: float
    quantiles: tuple[float, ...]


def sketch(values: Shaped[np.ndarray, " voxel"]) -> Sketch | None:
    """Summarise the values; None if there are none."""
    if not len(values):
        return None
    exact = values.astype(np.float64)
    edges = _cells()
    quantiles = np.quantile(exact, (edges[1:] + edges[:-1]) / 2)
    return Sketch(
        mean=float(exact.mean()),
        square=float((exact**2).mean()),
        low=float(exact.min()),
        high=float(exact.max()),
        quantiles=tuple(quantiles.tolist()),
    )


def pooled(sketches: Sequence[Sketch]) -> Intensities:
    """Properties of the foreground of all cases, each case with the same weight.

    nnU-Net draws equally many voxels of each case, with replacement; this is what that tends to
    as the draw grows, and needs no randomness.

    Args:
        sketches: At least one.

    Source: nnU-Net v2, ``DatasetFingerprintExtractor``. Unlike there, voxels with the ignore label
        are no foreground.
    """
    values = np.concatenate([one.quantiles for one in sketches])
    weights = np.tile(np.diff(_cells()), len(sketches))
    order = np.argsort(values, kind="stable")
    below = np.cumsum(weights[order]) - weights[order] / 2
    low, median, high = np.interp(
        np.array(_PERCENTILES) / 100, below / weights.sum(), values[order]
    )
    mean = float(np.mean([one.mean for one in sketches]))
    variance = float(np.mean([one.square for one in sketches])) - mean**2
    return Intensities(
        mean=mean,
        std=max(variance, 0.0) ** 0.5,
        median=float(median),
        min=min(one.low for one in sketches),
        max=max(one.high for one in sketches),
        percentile_00_5=float(low),
        percentile_99_5=float(high),
    )


def _cells() -> Levels:
    """Edges of the cells of the cumulative distribution: narrow in the tails that clip a CT."""
    tail = np.linspace(0.0, 0.02, 401)
    return np.concatenate([tail, np.linspace(0.02, 0.98, 961)[1:], 1.0 - tail[-2::-1]])
