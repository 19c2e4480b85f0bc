"""Noise on patch scores, so that one query is not many copies of one patch; and its schedules."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from alsweep.query.parameters import searchable
from alsweep.query.stage import Stage, stage
from alsweep.registry import Registry

if TYPE_CHECKING:
    from alsweep.query.pool import Request

SHAPES = ("constant", "linear", "exponential", "sigmoid")


@dataclass(frozen=True)
class Noise(Stage):
    """A stage that disturbs patch scores.

    Attributes:
        candidates_factor: Candidates kept per case, as a multiple of the most per case.
        case_limit: Patches of one case in a query, as a multiple of the most per case.
    """

    candidates_factor: ClassVar[int] = 1
    case_limit = 1

    def on_windows(
        self, scores: np.ndarray, request: "Request", rng: np.random.Generator
    ) -> np.ndarray:
        """Disturb the scores of all windows of one case, before any is chosen.

        Args:
            scores: Of one channel, ``(z_start, y_start, x_start)``.
            request: Which loop of how many, for schedules.
            rng: The case's own; its channels draw from it one after the other.

        Returns:
            Disturbed scores of the same shape.
        """
        return scores

    def on_candidates(
        self, scores: np.ndarray, request: "Request", rng: np.random.Generator
    ) -> np.ndarray:
        """Disturb the scores of one channel's candidates, of all cases.

        Args:
            scores: ``(candidate,)``, best first; those of candidates that were kept beyond the
                channel's share come behind the others.
            request: Which loop of how many, for schedules.
            rng: Of the query; its channels draw from it one after the other.

        Returns:
            Disturbed scores, ``(candidate,)``.
        """
        return scores


NOISES: Registry[type[Noise]] = Registry("noise")
"""Noise by the name that stages use."""


@stage(NOISES, "none")
@dataclass(frozen=True)
class NoNoise(Noise):
    """Scores as they are: always the best patches.

    Source: Luth et al. 2025 (nnActive), greedy top-k.
    """

    draws: ClassVar[bool] = False


@dataclass(frozen=True)
class Scheduled(Noise):
    """Gumbel noise whose inverse strength may change from query to query.

    Source: schedules of Luth et al. 2026 (ClaSP PE).
    """

    beta: float = searchable(
        1.0, low=0.01, high=1000.0, log=True, help="inverse noise at the first query; large = none"
    )
    schedule: str = searchable("constant", choices=SHAPES, help="how beta goes on to beta_end")
    beta_end: float = searchable(
        100.0, low=0.01, high=1000.0, log=True, help="inverse noise at the end of the schedule"
    )
    temperature: float = searchable(
        2.0, low=0.1, high=10.0, log=True, help="of the sigmoid: 2 is smooth, 0.5 is sharp"
    )
    span: str = searchable(
        "loops",
        choices=("loops", "queries"),
        help="whether beta_end belongs to the last loop, which has no query, or the last query",
    )

    @property
    def reads_loops(self) -> bool:
        """A schedule ends with the last loop, whichever that is."""
        return self.schedule != "constant" or super().reads_loops

    def beta_at(self, request: "Request") -> float:
        """Beta of the request's loop."""
        steps = request.loops if self.span == "loops" else request.loops - 1
        if self.schedule == "constant" or steps < 2:
            return self.beta
        along = request.loop / (steps - 1)
        if self.schedule == "exponential":
            return float(self.beta * (self.beta_end / self.beta) ** along)
        if self.schedule == "sigmoid":
            low, here, high = (_sigmoid(12 * x - 6, self.temperature) for x in (0, along, 1))
            along = (here - low) / (high - low)
        return self.beta + (self.beta_end - self.beta) * along

    def gumbel(
        self, count: "int | tuple[int, ...]", request: "Request", rng: np.random.Generator
    ) -> np.ndarray:
        """One draw of Gumbel(0, 1/beta) for each score."""
        return rng.gumbel(0.0, 1.0 / self.beta_at(request), count)


def _sigmoid(x: float, temperature: float) -> float:
    return float(1 / (1 + np.exp(-x / temperature)))


@stage(NOISES, "power")
@dataclass(frozen=True)
class Power(Scheduled):
    """Gumbel noise on the logarithm of the score: sampling in proportion to ``score ** beta``.

    One draw for each window, since noise for each voxel would average out. A score of 0 becomes
    minus infinity: chosen only when nothing else is left.

    Source: Kirsch et al. 2021, arXiv:2106.12059, power acquisition.
    """

    def on_windows(
        self, scores: np.ndarray, request: "Request", rng: np.random.Generator
    ) -> np.ndarray:
        """Logarithm of the scores plus noise."""
        logs = np.full(scores.shape, -np.inf)
        np.log(scores, out=logs, where=scores > 0)
        return np.asarray(logs + self.gumbel(scores.shape, request, rng))


@stage(NOISES, "softmax")
@dataclass(frozen=True)
class Softmax(Scheduled):
    """Gumbel noise on the score itself: sampling in proportion to ``exp(beta * score)``.

    Source: Kirsch et al. 2021, arXiv:2106.12059, softmax acquisition.
    """

    def on_windows(
        self, scores: np.ndarray, request: "Request", rng: np.random.Generator
    ) -> np.ndarray:
        """Scores plus noise."""
        return np.asarray(scores + self.gumbel(scores.shape, request, rng))


@stage(NOISES, "softrank")
@dataclass(frozen=True)
class SoftRank(Scheduled):
    """Gumbel noise on minus the logarithm of the rank among the candidates of all cases.

    Twice the usual candidates are kept per case; each has a draw of its own. Where the query is
    shared out over channels, each channel has ranks of its own.

    Source: Kirsch et al. 2021, arXiv:2106.12059, soft-rank acquisition; Luth et al. 2025
    (nnActive).
    """

    candidates_factor: ClassVar[int] = 2

    case_limit: int = searchable(
        1,
        low=1,
        high=2,
        neutral=1,
        help="most patches of one case in a query, as a multiple of query.per_case; nnActive: 2",
    )

    def on_candidates(
        self, scores: np.ndarray, request: "Request", rng: np.random.Generator
    ) -> np.ndarray:
        """Minus log rank plus noise; the best candidate has rank 1."""
        ranks = np.arange(1, len(scores) + 1)
        return np.asarray(self.gumbel(len(scores), request, rng) - np.log(ranks))
