"""Which windows of a case become candidates."""

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from alsweep.query.select.boxes import Selected, Space, check_scores, greedy
from alsweep.query.stage import Stage, stage
from alsweep.registry import Registry

if TYPE_CHECKING:
    from jaxtyping import Bool


@dataclass(frozen=True)
class Proposal(Stage):
    """A stage that takes windows of a case which do not overlap, as candidates."""

    def __call__(
        self, scores: np.ndarray, space: Space, n: int, rng: np.random.Generator
    ) -> list[Selected]:
        """Up to ``n`` windows of one channel.

        Args:
            scores: ``(z_start, y_start, x_start)``; higher = query first.
            space: The windows, and what keeps them from being chosen.
            n: How many.
            rng: The case's own; its channels draw from it one after the other.
        """
        raise NotImplementedError


PROPOSALS: Registry[type[Proposal]] = Registry("way to candidates")
"""Ways to candidates by the name that stages use."""


@stage(PROPOSALS, "best")
@dataclass(frozen=True)
class BestWindows(Proposal):
    """The windows of the highest scores.

    Source: Luth et al. 2025 (nnActive), greedy top-k.
    """

    draws: ClassVar[bool] = False

    def __call__(
        self, scores: np.ndarray, space: Space, n: int, rng: np.random.Generator
    ) -> list[Selected]:
        """Best first; see :class:`Proposal`."""
        return greedy(scores, space, n)


@stage(PROPOSALS, "tiling")
@dataclass(frozen=True)
class RandomTiling(Proposal):
    """The tiles of a tiling whose place is drawn anew for each case: no score has a say.

    Tiles begin at windows, hence at the stride; between two there are gaps where the patch is no
    multiple of it. What room annotated patches or an image's rim leave beside the tiles is filled
    with other windows in a random order, so that a pool is used up as with any other way.

    Source: Gaillochet et al. 2023 (stochastic batches), whose candidates are all slices, whatever
    they score; tiles take the place of slices.
    """

    def __call__(
        self, scores: np.ndarray, space: Space, n: int, rng: np.random.Generator
    ) -> list[Selected]:
        """Tiles in a random order, then others; see :class:`Proposal`."""
        rounded = check_scores(scores)
        order = rng.random(scores.shape, dtype=np.float32)
        # Drawn in [0, 1): a tile comes before whatever is none.
        order += self._tiles(space, rng)
        found = greedy(order, space, n)
        grid = space.windows.grid
        return [
            box._replace(score=float(rounded[tuple(map(bisect_left, grid, box.start))]))
            for box in found
        ]

    def _tiles(
        self, space: Space, rng: np.random.Generator
    ) -> "Bool[np.ndarray, 'z_start y_start x_start']":
        mask = np.zeros([len(starts) for starts in space.windows.grid], dtype=bool)
        axes = zip(space.windows.grid, space.windows.size, strict=True)
        mask[np.ix_(*(_chain(starts, size, rng) for starts, size in axes))] = True
        return mask


def _chain(starts: Sequence[int], size: int, rng: np.random.Generator) -> list[int]:
    """Indices of starts that are a patch or a bit more apart; the first is within one patch."""
    chain = [int(rng.integers(bisect_left(starts, starts[0] + size)))]
    while (following := bisect_left(starts, starts[chain[-1]] + size)) < len(starts):
        chain.append(following)
    return chain
