"""What a selection stage is."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from alsweep.query.candidates import Candidate, CaseLimit, Known
from alsweep.query.stage import Stage
from alsweep.registry import Registry


@dataclass(frozen=True)
class Select(Stage):
    """A stage that chooses among the candidates of all cases, none of which overlap.

    Attributes:
        candidates_factor: Candidates kept per case, as a multiple of the most per case.
        case_limit: Patches of one case in a query, as a multiple of the most per case.
    """

    candidates_factor: ClassVar[int] = 1
    case_limit = 1

    def __call__(
        self,
        candidates: Sequence[Candidate],
        n: int,
        known: Known,
        limit: CaseLimit,
        rng: np.random.Generator,
    ) -> list[Candidate]:
        """Choose up to ``n``, in the order of choice.

        Args:
            candidates: Best first; :attr:`Candidate.features` are ``(feature,)`` where ``needs``
                name the embedding.
            n: How many.
            known: The annotated patches and the candidates before any filter.
            limit: Of patches per case; what is chosen is counted.
            rng: For all draws of the stage.
        """
        raise NotImplementedError


SELECTORS: Registry[type[Select]] = Registry("selection")
"""Selections by the name that stages use."""
