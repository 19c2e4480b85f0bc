"""The best candidates."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from alsweep.query.candidates import Candidate, CaseLimit, Known
from alsweep.query.select.base import SELECTORS, Select
from alsweep.query.stage import stage


@stage(SELECTORS, "greedy")
@dataclass(frozen=True)
class Greedy(Select):
    """The highest scores, best first.

    Source: Luth et al. 2025 (nnActive), greedy top-k.
    """

    draws: ClassVar[bool] = False

    def __call__(
        self,
        candidates: Sequence[Candidate],
        n: int,
        known: Known,
        limit: CaseLimit,
        rng: np.random.Generator,
    ) -> list[Candidate]:
        """Choose; see :class:`Select`."""
        chosen: list[Candidate] = []
        for candidate in candidates:
            if len(chosen) == n:
                break
            if limit.take(candidate):
                chosen.append(candidate)
        return chosen
