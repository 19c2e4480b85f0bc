"""Choosing candidates that differ: farthest-first on encoder features."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from scipy.spatial.distance import cdist

from alsweep.query.candidates import Candidate, CaseLimit, Known, features_of
from alsweep.query.distances import nearest_distances
from alsweep.query.noise import SoftRank
from alsweep.query.parameters import same_as, searchable
from alsweep.query.select.base import SELECTORS, Select
from alsweep.query.stage import stage


@dataclass(frozen=True)
class FarthestFirst(Select):
    """Repeatedly the candidate that is farthest from all centres."""

    needs: ClassVar[tuple[str, ...]] = ("probs", "embedding")
    candidates_factor: ClassVar[int] = 2

    def __call__(
        self,
        candidates: Sequence[Candidate],
        n: int,
        known: Known,
        limit: CaseLimit,
        rng: np.random.Generator,
    ) -> list[Candidate]:
        """Choose; see :class:`Select`."""
        if not candidates or n == 0:
            return []
        every = self._points(candidates, self._centres(known))
        own, centres = every[: len(candidates)], every[len(candidates) :]
        distance = nearest_distances(own, centres)
        chosen: list[Candidate] = []
        free = np.array([not limit.full(c) for c in candidates])
        while len(chosen) < n and free.any():
            index = self._next(own, distance, free, rng)
            free[index] = False
            if limit.take(candidates[index]):
                chosen.append(candidates[index])
                distance = np.minimum(distance, _squared(own, own[index]))
        return chosen

    def _points(self, candidates: Sequence[Candidate], centres: Sequence[np.ndarray]) -> np.ndarray:
        """Where candidates and centres lie, ``(candidate + centre, feature)``."""
        return features_of(candidates, centres)

    def _centres(self, known: Known) -> Sequence[np.ndarray]:
        """Features of centres that are there before anything is chosen."""
        return ()

    def _next(
        self, own: np.ndarray, distance: np.ndarray, free: np.ndarray, rng: np.random.Generator
    ) -> int:
        """The farthest free candidate; without any centre, that of the largest norm."""
        far = (own**2).sum(axis=1) if np.isinf(distance).all() else distance
        return int(np.where(free, far, -1.0).argmax())


def _squared(own: np.ndarray, centre: np.ndarray) -> np.ndarray:
    return np.asarray(cdist(own, centre[None], "sqeuclidean")[:, 0])


def in_proportion(weights: np.ndarray, rng: np.random.Generator) -> int:
    """Draw an index in proportion to its weight; some must be above 0."""
    return int(rng.choice(len(weights), p=weights / weights.sum()))


@stage(SELECTORS, "kmeans++")
@dataclass(frozen=True)
class KMeansPlusPlus(FarthestFirst):
    """k-means++ seeding on encoder features, beginning at the candidate of the largest norm.

    Source: Luth et al. 2025 (nnActive), KMeansBALD; Arthur and Vassilvitskii 2007.
    """

    mode: str = searchable(
        "maxselect",
        choices=("maxselect", "stochastic"),
        help="next centre: the farthest, or drawn in proportion to the squared distance",
    )
    case_limit: int = same_as(SoftRank, "case_limit")

    def _next(
        self, own: np.ndarray, distance: np.ndarray, free: np.ndarray, rng: np.random.Generator
    ) -> int:
        weights = np.where(free, distance, 0.0)
        if self.mode == "maxselect" or np.isinf(distance).all() or not weights.sum() > 0:
            return super()._next(own, distance, free, rng)
        return in_proportion(weights, rng)


@stage(SELECTORS, "k_center")
@dataclass(frozen=True)
class KCenter(FarthestFirst):
    """Core-set: farthest-first, with the annotated patches as the first centres.

    Source: Sener and Savarese 2018, arXiv:1708.00489, k-center greedy.
    """

    def _centres(self, known: Known) -> Sequence[np.ndarray]:
        return list(known.annotated.features)


@stage(SELECTORS, "badge")
@dataclass(frozen=True)
class Badge(FarthestFirst):
    """k-means++ seeding on gradient embeddings: long ones are uncertain, other directions varied.

    A patch's embedding is the mean gradient of the first member's loss by its last layer, against
    the ensemble's likeliest class; the original's is one image's, against its own network's
    likeliest class. The first centre is the longest gradient, as in the original's code; each next
    one is drawn in proportion to the squared distance to the nearest.

    Source: Ash et al. 2020, arXiv:1906.03671 (BADGE), algorithm 1.
    """

    needs: ClassVar[tuple[str, ...]] = ("probs", "gradient")
    candidates_factor: ClassVar[int] = 4

    def _points(self, candidates: Sequence[Candidate], centres: Sequence[np.ndarray]) -> np.ndarray:
        return np.array([c.gradient for c in candidates], dtype=np.float64)

    def _next(
        self, own: np.ndarray, distance: np.ndarray, free: np.ndarray, rng: np.random.Generator
    ) -> int:
        weights = np.where(free, distance, 0.0)
        if np.isinf(distance).all() or not weights.sum() > 0:
            return super()._next(own, distance, free, rng)
        return in_proportion(weights, rng)
