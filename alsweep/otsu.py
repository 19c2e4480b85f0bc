"""Where intensities part in two."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from jaxtyping import Shaped

_BINS = 256
_TAILS = (0.5, 99.5)


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
