"""Whether a case can give a patch at all."""

import numpy as np

from alsweep.query.free import too_free
from alsweep.query.pool import PoolCase, Request
from alsweep.query.select import greedy
from alsweep.query.windows import Windows


def has_room(case: PoolCase, request: Request) -> bool:
    """Whether any candidate box of a case is allowed beside what is annotated there."""
    windows = Windows(case.shape, request.patch_size, request.strides)
    excluded = too_free(case, request, request.strides)
    level = np.zeros([len(starts) for starts in windows.grid], dtype=np.float32)
    grid = (case.shape, request.patch_size, request.strides)
    return bool(greedy(level, *grid, case.taken, n=1, overlap=request.overlap, excluded=excluded))
