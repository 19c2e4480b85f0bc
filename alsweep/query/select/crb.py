"""CRB: representative by gradients, then balanced by the sizes of the classes."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from alsweep.query.balance import Balance
from alsweep.query.candidates import Candidate, CaseLimit, Known
from alsweep.query.clusters import seeds
from alsweep.query.parameters import searchable
from alsweep.query.select.base import SELECTORS, Select
from alsweep.query.stage import stage


@stage(SELECTORS, "crb")
@dataclass(frozen=True)
class Crb(Select):
    """Prototypes by k-means++ seeding on gradients, of which a balanced set is chosen greedily.

    Write the filter ``label_entropy`` before it, which is the first step of the three: concise.
    Representative: k-means++ seeding, no more, on the mean gradients of the first member's loss by
    its last layer against the ensemble's mean probability; the first is a uniform draw. Balanced:
    the first prototype, then whichever brings the kernel density of each class's size in a patch
    (logarithm of its predicted voxels; bandwidth by Scott's rule over the pool) nearest to uniform
    between the 5 % and 95 % quantiles of the pool. The original is for detection in point clouds:
    its gradients are of one dropout pass against the mean of many, its sizes densities of points in
    boxes, its bandwidth 5 of these.

    Source: Luo et al. 2023, arXiv:2301.09249 (CRB), as in its code; a kernel density is additive,
    hence no fit for each candidate.
    """

    needs: ClassVar[tuple[str, ...]] = ("probs", "soft_gradient", "class_volumes")
    candidates_factor: ClassVar[int] = 4

    prototypes: float = searchable(
        3.0, low=1.0, high=100.0, log=True, help="prototypes, as a multiple of the query size"
    )
    include_annotated: bool = searchable(
        False, help="whether the patches that are annotated already count for the balance"
    )

    def __call__(
        self,
        candidates: Sequence[Candidate],
        n: int,
        known: Known,
        limit: CaseLimit,
        rng: np.random.Generator,
    ) -> list[Candidate]:
        """Choose; see :class:`Select`. What prototypes lack is filled up best first."""
        free = [candidate for candidate in candidates if not limit.full(candidate)]
        if not free or n == 0:
            return []
        gradients = np.array([c.soft_gradient for c in free], dtype=np.float64)
        order = seeds(gradients, max(n, round(self.prototypes * n)), rng)
        left = [free[index] for index in order]
        chosen = self._balanced(left, n, known, limit)
        picked = {candidate.patch for candidate in chosen}
        rest = [candidate for candidate in free if candidate.patch not in picked]
        for candidate in rest:
            if len(chosen) < n and limit.take(candidate):
                chosen.append(candidate)
        return chosen

    def _balanced(
        self, prototypes: Sequence[Candidate], n: int, known: Known, limit: CaseLimit
    ) -> list[Candidate]:
        volumes = np.array([candidate.volumes for candidate in prototypes])
        every = np.array([candidate.volumes for candidate in known.every])
        before = known.annotated.volumes if self.include_annotated else volumes[:0]
        parts = (some.reshape(-1, volumes.shape[1]) for some in (volumes, every, before))
        balance = Balance(*map(_sizes, parts))
        free = np.ones(len(prototypes), dtype=bool)
        chosen: list[Candidate] = []
        while len(chosen) < n and free.any():
            # The head of the list is the first, whatever the scores; of equal ones it is the first.
            best = int(np.where(free, balance.scores, -1.0).argmax()) if chosen else 0
            best = best if free[best] else int(free.argmax())
            free[best] = False
            if limit.take(prototypes[best]):
                chosen.append(prototypes[best])
                balance.add(best)
        return chosen


def _sizes(volumes: np.ndarray) -> np.ndarray:
    """Logarithms of the predicted voxels, ``(patch, class)``; NaN where there are none."""
    counts = volumes.astype(np.float64)
    return np.log(counts, out=np.full_like(counts, np.nan), where=counts > 0)
