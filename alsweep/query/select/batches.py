"""Stochastic batches: uncertainty chooses among random groups."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import ClassVar

import numpy as np

from alsweep.query.candidates import Candidate, CaseLimit, Known
from alsweep.query.parameters import searchable
from alsweep.query.select.base import SELECTORS, Select
from alsweep.query.stage import stage

_SCORES: dict[str, Callable[[np.ndarray], float]] = {
    "mean": lambda scores: float(scores.mean()),
    "max": lambda scores: float(scores.max()),
    # Ranks groups of one size as the mean does, hence no choice of its own any more.
    "sum": lambda scores: float(scores.sum()),
}


@stage(SELECTORS, "stochastic_batches")
@dataclass(frozen=True)
class StochasticBatches(Select):
    """Cut the candidates into random groups; those that score best make up the query together.

    Groups have ``group_size`` patches, at most as many as the query; what is left of the query when
    it is no multiple of that comes from the best of smaller groups. With groups as large as the
    query it is the original, which takes one: of a query of some hundred patches such a group
    differs little from a random one, hence small groups. The original's candidates are all slices:
    write ``candidates: tiling`` beside it, or they are each case's best windows, four times the
    most per case.

    Source: Gaillochet et al. 2023, stochastic batch querying; groups smaller than the query are
    ours.
    """

    candidates_factor: ClassVar[int] = 4

    group_score: str = searchable(
        "mean", choices=("mean", "max"), former=("sum",), help="score of a group"
    )
    n_groups: int = searchable(
        0,
        low=0,
        high=100_000,
        help="groups drawn independently; 0 cuts one permutation into as many as there are",
    )
    group_size: int = searchable(
        10,
        low=0,
        high=10_000,
        neutral=0,
        help="patches of a group, at most those of a query; 0 is as many as a query has",
    )

    def __call__(
        self,
        candidates: Sequence[Candidate],
        n: int,
        known: Known,
        limit: CaseLimit,
        rng: np.random.Generator,
    ) -> list[Candidate]:
        """Choose; see :class:`Select`. What the groups lack is filled up best first."""
        scores = np.array([candidate.score for candidate in candidates])
        size = min(self.group_size or n, n)
        best = self._best(scores, size, n - n % size if size else 0, rng)
        rest = np.setdiff1d(np.arange(len(candidates)), best)
        best += rest[self._best(scores[rest], n - len(best), n - len(best), rng)].tolist()
        order = [*sorted(best), *sorted(set(range(len(candidates))) - set(best))]
        taken = (candidates[i] for i in order if limit.take(candidates[i]))
        return list(islice(taken, n))

    def _best(
        self, scores: np.ndarray, size: int, wanted: int, rng: np.random.Generator
    ) -> list[int]:
        """Up to ``wanted`` indices: the groups of the highest scores, none counted twice."""
        groups = self._groups(len(scores), size, rng) if wanted else []
        groups.sort(key=lambda group: -self._score(scores, group))
        found = dict.fromkeys(index for group in groups for index in group)
        return list(islice(found, wanted))

    def _score(self, scores: np.ndarray, group: list[int]) -> float:
        return _SCORES[self.group_score](scores[group]) if group else -np.inf

    def _groups(self, count: int, size: int, rng: np.random.Generator) -> list[list[int]]:
        """Indices of each group; the incomplete one is dropped, unless it is the only one."""
        if count <= size:
            return [list(range(count))]
        if self.n_groups:
            return [rng.permutation(count)[:size].tolist() for _ in range(self.n_groups)]
        whole = rng.permutation(count)[: count // size * size]
        return [group.tolist() for group in whole.reshape(-1, size)]
