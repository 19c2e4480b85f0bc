"""Choosing candidates that differ: farthest-first on encoder features."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from alsweep.query.candidates import Candidate, CaseLimit, features_of
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
        annotated: Sequence[np.ndarray],
        limit: CaseLimit,
        rng: np.random.Generator,
    ) -> list[Candidate]:
        """Choose; see :class:`Select`."""
        if not candidates:
            return []
        every = features_of(candidates, self._centres(annotated))
        own, centres = every[: len(candidates)], every[len(candidates) :]
        distance = np.full(len(own), np.inf)
        for centre in centres:
            distance = np.minimum(distance, _squared(own, centre))
        chosen: list[Candidate] = []
        free = np.array([not limit.full(c) for c in candidates])
        while len(chosen) < n and free.any():
            index = self._next(own, distance, free, rng)
            free[index] = False
            if limit.take(candidates[index]):
                chosen.append(candidates[index])
                distance = np.minimum(distance, _squared(own, own[index]))
        return chosen

    def _centres(self, annotated: Sequence[np.ndarray]) -> Sequence[np.ndarray]:
        """Features of centres that are there before anything is chosen."""
        return ()

    def _next(
        self, own: np.ndarray, distance: np.ndarray, free: np.ndarray, rng: np.random.Generator
    ) -> int:
        """The farthest free candidate; without any centre, that of the largest norm."""
        far = (own**2).sum(axis=1) if np.isinf(distance).all() else distance
        return int(np.where(free, far, -1.0).argmax())


def _squared(own: np.ndarray, centre: np.ndarray) -> np.ndarray:
    return np.asarray(((own - centre) ** 2).sum(axis=1))


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
        return int(rng.choice(len(own), p=weights / weights.sum()))


@stage(SELECTORS, "k_center")
@dataclass(frozen=True)
class KCenter(FarthestFirst):
    """Core-set: farthest-first, with the annotated patches as the first centres.

    Source: Sener and Savarese 2018, arXiv:1708.00489, k-center greedy.
    """

    def _centres(self, annotated: Sequence[np.ndarray]) -> Sequence[np.ndarray]:
        return annotated
