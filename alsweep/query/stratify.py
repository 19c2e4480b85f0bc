"""Sharing a query out, so that it does not all go to one structure."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from alsweep.query.candidates import GENERAL
from alsweep.query.parameters import searchable
from alsweep.query.stage import Stage, stage
from alsweep.registry import Registry

if TYPE_CHECKING:
    from alsweep.query.pool import Request


@dataclass(frozen=True)
class Stratify(Stage):
    """A stage that shares candidates and query out over channels.

    Channel 0 is general: the map itself. With :attr:`by_class` there is one more for each
    foreground class: the map times the class's probability.
    """

    @property
    def by_class(self) -> bool:
        """Whether classes have channels."""
        return False

    def case_shares(
        self, per_case: int, foreground: int, rng: np.random.Generator
    ) -> list[tuple[int, int]]:
        """Channels in the order in which they choose in one case, and how many each may.

        Args:
            per_case: Candidates that are kept of the case.
            foreground: Foreground classes; their channels are 1 to ``foreground``.
            rng: The case's own.
        """
        return [(GENERAL, per_case)]

    def query_shares(
        self, request: "Request", foreground: int, rng: np.random.Generator
    ) -> dict[int, int]:
        """Channel to its share of the query; classes first, the general channel last.

        Args:
            request: How many patches are wanted.
            foreground: Foreground classes; their channels are 1 to ``foreground``.
            rng: Of the query.
        """
        return {GENERAL: request.patches}


STRATIFIERS: Registry[type[Stratify]] = Registry("stratification")
"""Stratifications by the name that stages use."""


@stage(STRATIFIERS, "none")
@dataclass(frozen=True)
class NoStrata(Stratify):
    """The whole query goes by one score.

    Source: Luth et al. 2025 (nnActive), greedy top-k.
    """

    draws: ClassVar[bool] = False


@stage(STRATIFIERS, "by_class")
@dataclass(frozen=True)
class ByClass(Stratify):
    """A share of the query is split evenly over the predicted classes, the rest is general.

    Source: Luth et al. 2026 (ClaSP PE), class-stratified querying. Where a class has too few
    candidates, the general channel takes its deficit; the original stops.
    """

    r: float = searchable(0.66, low=0.0, high=1.0, help="share of the query that goes by class")

    @property
    def by_class(self) -> bool:
        """They do."""
        return True

    def case_shares(
        self, per_case: int, foreground: int, rng: np.random.Generator
    ) -> list[tuple[int, int]]:
        """A random order; the general channel counts when the class share is divided."""
        each = max(1, int(per_case * self.r / (foreground + 1)))
        general = max(1, int(per_case * (1 - self.r)))
        order = rng.permutation(foreground + 1)
        return [(int(c), general if c == GENERAL else each) for c in order]

    def query_shares(
        self, request: "Request", foreground: int, rng: np.random.Generator
    ) -> dict[int, int]:
        """Even shares; the remainder goes one each to classes drawn at random."""
        by_class = int(request.patches * self.r) if foreground else 0
        shares = dict.fromkeys(range(1, foreground + 1), by_class // max(1, foreground))
        for drawn in rng.permutation(foreground)[: by_class % max(1, foreground)]:
            shares[int(drawn) + 1] += 1
        return shares | {GENERAL: request.patches - by_class}
