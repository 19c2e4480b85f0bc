"""Where a case has room for a patch: beside what is annotated and what costs nothing to label."""

from typing import TYPE_CHECKING

import numpy as np

from alsweep.geometry import Triple, box_slices
from alsweep.label_codes import IGNORE
from alsweep.query.pool import PoolCase, Request
from alsweep.query.select import Space, greedy
from alsweep.query.windows import Windows, box_mean

if TYPE_CHECKING:
    from jaxtyping import Bool


def has_room(case: PoolCase, request: Request) -> bool:
    """Whether any candidate box of a case is allowed beside what is annotated there."""
    space = space_of(case, request)
    level = np.zeros([len(starts) for starts in space.windows.grid], dtype=np.float32)
    return bool(greedy(level, space, 1))


def space_of(case: PoolCase, request: Request) -> Space:
    """The candidate boxes of a case, and what keeps them from being chosen."""
    windows = Windows(case.shape, request.patch_size, request.strides)
    return Space(windows, case.taken, request.overlap, too_free(case, request))


def too_free(
    case: PoolCase, request: Request
) -> "Bool[np.ndarray, 'z_start y_start x_start'] | None":
    """Which candidate boxes hold more free labels than allowed; None where the case has none.

    Source: Luth et al. 2025 (nnActive), additional labels.
    """
    if case.free is None:
        return None
    free = (case.free != IGNORE).astype(np.float32)
    share = box_mean(free, request.patch_size, request.strides)
    return np.asarray(share > request.free_label_share)


def is_too_free(case: PoolCase, request: Request, start: Triple, size: Triple) -> bool:
    """Whether one box holds more free labels than allowed."""
    if case.free is None:
        return False
    share = (case.free[box_slices(start, size)] != IGNORE).mean()
    return bool(share > request.free_label_share)
