"""Clusters of patches: k-means, typicality and kernel k-means on whatever tells patches apart."""

from collections.abc import Iterator

import numpy as np
from scipy.sparse import csr_array
from scipy.spatial.distance import cdist

from alsweep.query.distances import squared_distances

ITERATIONS = 30
"""Most steps of Lloyd's algorithm; it mostly ends before that."""

NEIGHBOURS = 20
_EPSILON = 1e-10
_GAMMAS = (0.1, 1.0, 10.0)


def standardised(features: np.ndarray) -> np.ndarray:
    """Features of mean 0 and spread 1 over the patches, ``(patch, feature)``, float64."""
    own = np.asarray(features, dtype=np.float64)
    return np.asarray((own - own.mean(axis=0)) / (own.std(axis=0) + 1e-6))


def seeds(points: np.ndarray, k: int, rng: np.random.Generator) -> list[int]:
    """Indices of up to ``k`` centres by k-means++: the first uniform, each next one by distance.

    Fewer than ``k`` where all other points lie on a centre already.

    Source: Arthur and Vassilvitskii 2007, k-means++ seeding.
    """
    if not len(points) or k == 0:
        return []
    chosen = [int(rng.integers(len(points)))]
    nearest = _to(points, chosen[0])
    while len(chosen) < k and nearest.sum() > 0:
        chosen.append(int(rng.choice(len(points), p=nearest / nearest.sum())))
        nearest = np.minimum(nearest, _to(points, chosen[-1]))
    return chosen


def _to(points: np.ndarray, index: int) -> np.ndarray:
    """Squared distance of all points to one of them."""
    return np.asarray(cdist(points, points[index : index + 1], "sqeuclidean")[:, 0])


def kmeans(points: np.ndarray, k: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Lloyd's algorithm from k-means++ seeds.

    Args:
        points: ``(point, feature)``.
        k: Most clusters.
        rng: For the seeds.

    Returns:
        Cluster of each point, ``(point,)``, and its squared distance to that cluster's centre.
    """
    centres = points[seeds(points, k, rng)]
    own, distance = _nearest(points, centres)
    for _ in range(ITERATIONS):
        shares = _shares(own)
        before, (own, distance) = own, _nearest(points, shares @ points)
        if np.array_equal(own, before):
            break
    return own, distance


def _shares(own: np.ndarray) -> csr_array:
    """Matrix ``(cluster, point)`` that takes means over the points of each cluster."""
    sizes = np.bincount(own)
    weights = 1 / sizes[own]
    return csr_array((weights, (own, np.arange(len(own)))), shape=(len(sizes), len(own)))


def _nearest(points: np.ndarray, centres: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    squared = squared_distances(points, centres)
    own = squared.argmin(axis=1)
    distance = ((points - centres[own]) ** 2).sum(axis=1)
    return _dense(own), distance


def nearest_to_centres(points: np.ndarray, k: int, rng: np.random.Generator) -> Iterator[list[int]]:
    """Clusters of k-means, the largest first; each its points, nearest to the centre first."""
    own, distance = kmeans(points, k, rng)
    yield from _members(own, -distance)


def typical(points: np.ndarray, k: int, rng: np.random.Generator) -> Iterator[list[int]]:
    """Clusters of k-means, the largest first; each its points, the most typical first.

    Typical is who has near neighbours: one over the mean distance to the 20 nearest of the cluster.

    Source: Hacohen et al. 2022, arXiv:2202.02794 (TypiClust).
    """
    own, _ = kmeans(points, k, rng)
    worth = np.zeros(len(points))
    for cluster in np.unique(own):
        inside = np.flatnonzero(own == cluster)
        gaps = np.sort(cdist(points[inside], points[inside]), axis=1)[:, 1 : NEIGHBOURS + 1]
        mean = gaps.mean(axis=1) if gaps.shape[1] else np.zeros(len(inside))
        worth[inside] = 1 / (mean + _EPSILON)
    yield from _members(own, worth)


def representative_uncertain(
    points: np.ndarray, uncertainty: np.ndarray, k: int, most: int, rng: np.random.Generator
) -> Iterator[list[int]]:
    """Clusters of kernel k-means, the largest first; each its points, those to be asked for first.

    First come the ``most`` most typical by mean cosine distance inside the cluster, among these the
    most uncertain first; then the others, the most typical first.

    Args:
        points: ``(point, feature)``.
        uncertainty: ``(point,)``; what counts is where it lies between its least and its most.
        k: Most clusters.
        most: Typical ones of each cluster among which uncertainty decides.
        rng: For the seeds.

    Source: CSAL-3D (MICCAI 2025), URDS.
    """
    low, high = float(uncertainty.min()), float(uncertainty.max())
    scaled = (uncertainty - low) / (high - low) if high > low else np.zeros(len(points))
    own = kernel_kmeans(uncertain_kernel(points, scaled), seeds(points, k, rng))
    directions = points / np.maximum(np.linalg.norm(points, axis=1, keepdims=True), 1e-12)
    for inside in _members(own, scaled):
        kept = np.array(inside)
        # Itself counts as well, with a distance of 0, which changes no order.
        gaps = 1 - directions[kept] @ directions[kept].sum(axis=0) / len(kept)
        order = kept[np.argsort(gaps, kind="stable")]
        first = sorted(order[:most].tolist(), key=lambda index: (-scaled[index], index))
        yield [*first, *order[most:].tolist()]


def uncertain_kernel(points: np.ndarray, scaled: np.ndarray) -> np.ndarray:
    """Sum over gamma of ``exp(-gamma |x - x'|^2 / 2) / (u + u' + 1e-10)``, ``(point, point)``."""
    squared = squared_distances(points, points)
    total = np.zeros_like(squared)
    for gamma in _GAMMAS:
        total += np.exp(-gamma / 2 * squared)
    total /= scaled[:, None] + scaled[None, :] + _EPSILON
    return total


def kernel_kmeans(kernel: np.ndarray, first: list[int]) -> np.ndarray:
    """Cluster of each point, ``(point,)``: k-means in the space that a kernel spans.

    Args:
        kernel: ``(point, point)``.
        first: A point of each cluster to begin with.
    """
    alone = (np.ones(len(first)), (np.arange(len(first)), first))
    own = _kernel_nearest(kernel, csr_array(alone, shape=(len(first), len(kernel))))
    for _ in range(ITERATIONS):
        before, own = own, _kernel_nearest(kernel, _shares(own))
        if np.array_equal(own, before):
            break
    return own


def _kernel_nearest(kernel: np.ndarray, shares: csr_array) -> np.ndarray:
    """Nearest centre of each point, where a row of ``shares`` says what a centre is made of."""
    across = shares @ kernel
    lengths = np.asarray(shares.multiply(across).sum(axis=1)).reshape(-1, 1)
    return _dense((lengths - 2 * across).argmin(axis=0))


def _dense(own: np.ndarray) -> np.ndarray:
    """Clusters numbered without gaps: what has lost all its points is none."""
    return np.asarray(np.unique(own, return_inverse=True)[1])


def _members(own: np.ndarray, worth: np.ndarray) -> Iterator[list[int]]:
    """Points of each cluster, the most worth first; the largest cluster first."""
    sizes = np.bincount(own)
    for cluster in np.argsort(-sizes, kind="stable"):
        inside = np.flatnonzero(own == cluster)
        if len(inside):
            yield inside[np.argsort(-worth[inside], kind="stable")].tolist()
