"""Stochastic batches: uncertainty chooses among random groups."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import ClassVar

import numpy as np

from alsweep.query.candidates import Candidate, CaseLimit
from alsweep.query.parameters import searchable
from alsweep.query.select.base import SELECTORS, Select
from alsweep.query.stage import stage

_SCORES: dict[str, Callable[[np.ndarray], float]] = {
    "mean": lambda scores: float(scores.mean()),
    "sum": lambda scores: float(scores.sum()),
    "max": lambda scores: float(scores.max()),
}


@stage(SELECTORS, "stochastic_batches")
@dataclass(frozen=True)
class StochasticBatches(Select):
    """Cut the candidates into random groups of the query's size; take the group that scores best.

    Source: Gaillochet et al. 2023, stochastic batch querying. Candidates are the best windows of
    each case that do not overlap, four times the most per case; the original's are slices.
    """

    candidates_factor: ClassVar[int] = 4

    group_score: str = searchable("mean", choices=tuple(_SCORES), help="score of a group")
    n_groups: int = searchable(
        0,
        low=0,
        high=100_000,
        help="groups drawn independently; 0 cuts one permutation into as many as there are",
    )

    def __call__(
        self,
        candidates: Sequence[Candidate],
        n: int,
        annotated: Sequence[np.ndarray],
        limit: CaseLimit,
        rng: np.random.Generator,
    ) -> list[Candidate]:
        """Choose; see :class:`Select`. What the best group lacks is filled up best first."""
        scores = np.array([candidate.score for candidate in candidates])
        best = max(self._groups(len(candidates), n, rng), key=lambda g: self._score(scores, g))
        order = [*sorted(best), *sorted(set(range(len(candidates))) - set(best))]
        taken = (candidates[i] for i in order if limit.take(candidates[i]))
        return list(islice(taken, n))

    def _score(self, scores: np.ndarray, group: list[int]) -> float:
        return _SCORES[self.group_score](scores[group]) if group else -np.inf

    def _groups(self, count: int, n: int, rng: np.random.Generator) -> list[list[int]]:
        """Indices of each group; the incomplete one is dropped, unless it is the only one."""
        if n == 0 or count <= n:
            return [list(range(count))[:n]]
        if self.n_groups:
            return [rng.permutation(count)[:n].tolist() for _ in range(self.n_groups)]
        whole = rng.permutation(count)[: count // n * n]
        return [group.tolist() for group in whole.reshape(-1, n)]
