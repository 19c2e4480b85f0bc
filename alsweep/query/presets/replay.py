"""Replay: the queries that another trajectory made."""

from dataclasses import dataclass
from typing import ClassVar

from alsweep.geometry import QueriedPatch
from alsweep.query.base import Pool, Request, Strategy, Streams, required, strategy


@strategy("replay", aliases=("precomputed-queries",))
@dataclass(frozen=True)
class Replay(Strategy):
    """The query that another trajectory made in the same loop, to train on it differently.

    Dataset, starting patches, patch size, query size and overlap must be the same. It needs no
    labels by itself; what it replays may have been chosen with them.

    Source: Luth et al. 2025 (nnActive, TMLR), precomputed queries.
    """

    needs: ClassVar[tuple[str, ...]] = ()

    source: str = required(str, help="trajectory folder, RUN/trajectories/ID")

    def query(self, pool: Pool, request: Request, rng: Streams) -> list[QueriedPatch]:
        """The other trajectory's choices, with its scores."""
        return list(pool.replayed(self.source))[: request.patches]
