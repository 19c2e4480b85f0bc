"""Choosing one candidate of each cluster."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from alsweep.query.candidates import Candidate, CaseLimit, Known, features_of
from alsweep.query.clusters import nearest_to_centres
from alsweep.query.parameters import searchable
from alsweep.query.select.base import SELECTORS, Select
from alsweep.query.stage import stage


@stage(SELECTORS, "kmeans")
@dataclass(frozen=True)
class KMeans(Select):
    """k-means with as many clusters as patches are wanted; of each the nearest to its centre.

    Features are divided by their spread over the candidates, as for ``kmeans++``; the original's
    are as they are.

    Source: Zhong et al. 2025 (OpenPath), as in its code: the one selection step there.
    """

    needs: ClassVar[tuple[str, ...]] = ("probs", "embedding")
    candidates_factor: ClassVar[int] = 2

    keep_factor: float = searchable(
        0.0,
        low=0.0,
        high=100.0,
        help="candidates clustered, best first, as a multiple of the query size; 0 is all",
    )

    def __call__(
        self,
        candidates: Sequence[Candidate],
        n: int,
        known: Known,
        limit: CaseLimit,
        rng: np.random.Generator,
    ) -> list[Candidate]:
        """Choose; see :class:`Select`. Where clusters do not suffice, they are gone round again."""
        most = max(n, round(self.keep_factor * n)) if self.keep_factor else len(candidates)
        kept = candidates[:most]
        if not kept or n == 0:
            return []
        clusters = nearest_to_centres(features_of(kept, ()), n, rng)
        first = one_of_each(clusters, kept, n, limit)
        rest = [candidate for candidate in candidates[most:] if not limit.full(candidate)]
        return first + [c for c in rest if len(first) < n and limit.take(c)][: n - len(first)]


def one_of_each(
    clusters: Iterable[Sequence[int]],
    candidates: Sequence[Candidate],
    n: int,
    limit: CaseLimit,
) -> list[Candidate]:
    """The first of each cluster that its case has room for; then the next ones, till there are n.

    Args:
        clusters: Indices of candidates; those that come first are chosen first.
        candidates: That the indices are of.
        n: How many.
        limit: Of patches per case; what is chosen is counted.
    """
    waiting = [list(cluster) for cluster in clusters]
    chosen: list[Candidate] = []
    while waiting and len(chosen) < n:
        for cluster in waiting:
            while cluster and len(chosen) < n:
                candidate = candidates[cluster.pop(0)]
                if limit.take(candidate):
                    chosen.append(candidate)
                    break
        waiting = [cluster for cluster in waiting if cluster]
    return chosen
