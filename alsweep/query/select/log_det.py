"""Choosing the set of the largest coding rate: greedy log-determinant by pivoted Cholesky."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from alsweep.query.candidates import Candidate, CaseLimit, Known, features_of
from alsweep.query.kernels import (
    NOISE,
    Posterior,
    laplace_posterior,
    linear_posterior,
    proxy_features,
)
from alsweep.query.measures import label_entropy
from alsweep.query.parameters import searchable
from alsweep.query.select.base import SELECTORS, Select
from alsweep.query.stage import stage

MOST = 5000
"""Candidates, best first, that are chosen among: the time grows with them."""


@stage(SELECTORS, "log_det")
@dataclass(frozen=True)
class LogDet(Select):
    """Greedily the largest ``log det(K + 0.01 I + eta diag(H))`` of the chosen.

    ``K`` is a Gaussian process's posterior given the annotated patches, of a kernel on encoder
    features; ``H`` the entropy of the classes' shares of what is predicted in a patch, where an
    absent class counts as one voxel. Half of it is the coding rate with alpha = 100 where eta is 0.
    Of the candidates the best 5,000 count. Original: detection in point clouds, with the features
    of one network, and ``H`` of counts of boxes; the proxy network learns the mean probabilities of
    annotated patches here. Once no determinant grows any more, the rest is drawn at random.

    Source: Luo et al. 2023, arXiv:2307.07942 (KECOR), with the scale and the kernels of its code.
    """

    needs: ClassVar[tuple[str, ...]] = ("probs", "embedding", "class_volumes", "class_probs")
    candidates_factor: ClassVar[int] = 2

    kernel: str = searchable(
        "ntk",
        choices=("linear", "laplace", "last_layer", "ntk"),
        help="of features, of a proxy network's last layer, or of its gradients",
    )
    eta: float = searchable(0.1, low=0.0, high=10.0, help="weight of the entropy of the classes")

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
        first, rest = candidates[:MOST], candidates[MOST:]
        volumes = np.array([candidate.volumes for candidate in first])
        added = NOISE + self.eta * label_entropy(volumes, absent=1)
        chosen = greedy_log_det(self.posterior(first, known, rng), added, first, n, limit)
        picked = {candidate.patch for candidate in chosen}
        left = [c for c in (*first, *rest) if c.patch not in picked]
        for index in rng.permutation(len(left)) if len(chosen) < n else ():
            if len(chosen) < n and limit.take(left[index]):
                chosen.append(left[index])
        return chosen

    def posterior(
        self, candidates: Sequence[Candidate], known: Known, rng: np.random.Generator
    ) -> Posterior:
        """Kernel of the candidates, given the annotated patches."""
        every = features_of(candidates, list(known.annotated.features))
        own, annotated = every[: len(candidates)], every[len(candidates) :]
        if self.kernel == "laplace":
            return laplace_posterior(own, annotated)
        if self.kernel != "linear":
            outputs = len(candidates[0].probs) if candidates[0].probs is not None else 0
            targets = known.annotated.probs.reshape(-1, outputs)
            own, annotated = proxy_features(own, annotated, targets, self.kernel, rng)
        return linear_posterior(own, annotated)


def greedy_log_det(
    kernel: Posterior,
    added: np.ndarray,
    candidates: Sequence[Candidate],
    n: int,
    limit: CaseLimit,
) -> list[Candidate]:
    """Up to ``n`` candidates, each the one by which ``log det(K_S + diag(added_S))`` grows most.

    Args:
        kernel: Of the candidates.
        added: To its diagonal, ``(candidate,)``.
        candidates: To choose among; of equal ones the first.
        n: How many.
        limit: Of patches per case; what is chosen is counted.

    Source: Luo et al. 2023 (KECOR), by a Cholesky decomposition with pivots.
    """
    gain = kernel.diagonal + added
    free = np.array([not limit.full(candidate) for candidate in candidates])
    rows = np.empty((min(n, len(candidates)), len(candidates)))
    chosen: list[Candidate] = []
    while len(chosen) < len(rows) and free.any():
        best = int(np.where(free, gain, -np.inf).argmax())
        if not gain[best] > 0:
            break
        free[best] = False
        if not limit.take(candidates[best]):
            continue
        done = rows[: len(chosen)]
        row = (kernel.column(best) - done[:, best] @ done) / np.sqrt(gain[best])
        rows[len(chosen)] = row
        gain = gain - row**2
        chosen.append(candidates[best])
    return chosen
