"""Squared distances between many points at once, by one product of matrices."""

import numpy as np

_AT_ONCE = 512


def squared_distances(some: np.ndarray, others: np.ndarray) -> np.ndarray:
    """``|a - b|^2`` of each of some points with each of the others, ``(some, other)``, float64.

    Of equal points it may be off 0 by the rounding of their lengths; it is never below.
    """
    found = some @ others.T
    found *= -2
    found += (some**2).sum(axis=1)[:, None]
    found += (others**2).sum(axis=1)
    return np.asarray(np.maximum(found, 0, out=found))


def nearest_distances(points: np.ndarray, centres: np.ndarray) -> np.ndarray:
    """Squared distance of each point to its nearest centre, ``(point,)``; infinite without any."""
    nearest = np.full(len(points), np.inf)
    for first in range(0, len(centres), _AT_ONCE):
        found = squared_distances(points, centres[first : first + _AT_ONCE])
        np.minimum(nearest, found.min(axis=1), out=nearest)
    return nearest
