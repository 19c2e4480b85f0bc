"""From patch scores to patches: greedy, without overlap, ties alike on every machine."""

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from alsweep.errors import StrategyError
from alsweep.geometry import Patch, Triple, box_slices, triple
from alsweep.query.windows import Windows, box_mean, strides_of

if TYPE_CHECKING:
    from torch import Tensor

Box = tuple[Triple, Triple]


class Selected(NamedTuple):
    """A chosen box: its lowest corner, its clipped size, its score."""

    start: Triple
    size: Triple
    score: float


def select_patches(
    score: "np.ndarray | Tensor",
    patch_size: Triple,
    stride: int | Sequence[int] = 1,
    taken: Iterable[Box | Patch] = (),
    *,
    n: int,
    overlap: float = 0.0,
) -> list[Selected]:
    """Choose the ``n`` best boxes of one volume by their mean score, best first, none overlapping.

    Args:
        score: Voxel scores ``(z, y, x)``; higher = chosen first.
        patch_size: ``(z, y, x)`` in voxels; cut to the volume, axis by axis.
        stride: Voxels between candidate starts.
        taken: Boxes ``(start, size)`` that may not be touched.
        n: How many boxes are wanted.
        overlap: Share of a box (0..1) that may lie in the union of taken and chosen boxes.

    Returns:
        ``(start, size, score)`` of plain numbers; fewer than ``n`` when nothing more fits. Ties
        (equal after rounding to float32) go to the lowest start in C order.

    Raises:
        StrategyError: A mean score is NaN.

    Source: Luth et al. 2025 (nnActive), greedy top-k; the tie rule is ours, the original has none.
    """
    windows = Windows(triple(score.shape), triple(patch_size), strides_of(stride))
    space = Space(windows, tuple(taken), overlap)
    if isinstance(score, np.ndarray):
        return greedy(box_mean(score, windows.size, windows.strides), space, n)
    return greedy(box_mean(score, windows.size, windows.strides).cpu().numpy(), space, n)


@dataclass(frozen=True)
class Space:
    """The candidate boxes of one volume, and what keeps them from being chosen.

    Attributes:
        windows: All candidates.
        taken: Boxes that may not be touched.
        overlap: Share of a box (0..1) that may lie in the union of taken and chosen boxes.
        excluded: True where a candidate is never chosen, ``(z_start, y_start, x_start)``.
    """

    windows: Windows
    taken: Sequence[Box | Patch] = ()
    overlap: float = 0.0
    excluded: np.ndarray | None = None


def greedy(scores: np.ndarray, space: Space, n: int) -> list[Selected]:
    """Like :func:`select_patches`, from the scores ``(z_start, y_start, x_start)``."""
    field = _Candidates(check_scores(scores), space)
    chosen: list[Selected] = []
    while len(chosen) < n and (best := field.pop()) is not None:
        chosen.append(best)
        field.block(best.start, best.size)
    return chosen


def check_scores(scores: np.ndarray) -> np.ndarray:
    """The scores, rounded to float32.

    Raises:
        StrategyError: One is NaN.
    """
    rounded = np.asarray(scores, dtype=np.float32)
    if np.isnan(rounded).any():
        raise StrategyError(
            f"{int(np.isnan(rounded).sum())} patch scores are NaN; mend the score map"
        )
    return rounded


def _box(box: Box | Patch) -> Box:
    start, size = (box.start, box.size) if isinstance(box, Patch) else box
    return triple(start), triple(size)


class _Candidates:
    """The candidate boxes of one volume, and which of them are still free."""

    def __init__(self, scores: np.ndarray, space: Space) -> None:
        self._scores = scores
        self._free = np.ones(scores.shape, dtype=bool)
        # -inf is a legal score (log 0 in power noise): it is chosen when nothing else is left.
        self._left = scores.copy()
        self._starts = space.windows.grid
        self._size = space.windows.size
        self._allowed = space.overlap * float(space.windows.voxels)
        self._covered = np.zeros(space.windows.shape, dtype=bool) if space.overlap else None
        if space.excluded is not None:
            self._free[space.excluded] = False
            self._left[space.excluded] = -np.inf
        for box in space.taken:
            self.block(*_box(box))

    def block(self, start: Triple, size: Triple) -> None:
        """Take out candidates that touch the box, or mark its voxels if overlap is allowed."""
        if self._covered is not None:
            self._covered[box_slices(start, size)] = True
            return
        touching = tuple(
            slice(bisect_right(axis, a - own), bisect_left(axis, a + s))
            for axis, own, a, s in zip(self._starts, self._size, start, size, strict=True)
        )
        self._free[touching] = False
        self._left[touching] = -np.inf

    def pop(self) -> Selected | None:
        """The best free candidate; None when none is left."""
        while True:
            flat = int(self._left.argmax())
            if not self._free.flat[flat]:
                # Only -inf is left: the first free candidate in C order, if there is one.
                flat = int(self._free.argmax())
                if not self._free.flat[flat]:
                    return None
            index = np.unravel_index(flat, self._free.shape)
            self._free.flat[flat] = False
            self._left.flat[flat] = -np.inf
            start = triple(axis[i] for axis, i in zip(self._starts, index, strict=True))
            if self._covered is None or self._covered_voxels(start) <= self._allowed:
                return Selected(start, self._size, float(self._scores.flat[flat]))

    def _covered_voxels(self, start: Triple) -> int:
        assert self._covered is not None
        return int(np.count_nonzero(self._covered[box_slices(start, self._size)]))
