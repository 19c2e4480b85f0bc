"""Where the sliding window lies in a case, and which planes are worked on at once."""

from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import product
from math import prod

from alsweep.geometry import Triple, axis_starts, triple

Box = tuple[slice, slice, slice]
"""Part of a case, ``(z, y, x)``, each with its begin and its end."""


def whole(shape: Triple) -> Box:
    """All of a case."""
    z, y, x = (slice(0, length) for length in shape)
    return z, y, x


def mirrored(box: Box, shape: Triple, flips: Sequence[int]) -> Box:
    """Where a part lies once the case is mirrored along the axes ``flips``; and the other way."""
    z, y, x = (
        slice(length - one.stop, length - one.start) if axis in flips else one
        for axis, (one, length) in enumerate(zip(box, shape, strict=True))
    )
    return z, y, x


@dataclass(frozen=True)
class Lattice:
    """The places of the sliding window in one case.

    Attributes:
        shape: Of the case, ``(z, y, x)`` in voxels.
        window: In voxels; it may be larger than the case, which lies in its middle then.
        step: Distance of neighbouring windows as a share of the window.
    """

    shape: Triple
    window: Triple
    step: float

    @cached_property
    def starts(self) -> list[list[int]]:
        """Starts per axis, ascending; negative where the window is larger than the case.

        Source: MONAI 1.6, ``sliding_window_inference`` with ``overlap=1 - step``, to the rounding.
        """
        return [
            axis_starts(length, window, max(1, int(window * (1 - (1 - self.step)))))
            if window < length
            else [-((window - length) // 2)]
            for length, window in zip(self.shape, self.window, strict=True)
        ]

    @property
    def windows(self) -> int:
        """How many there are."""
        return prod(map(len, self.starts))

    def corners(self, box: Box) -> list[Triple]:
        """Lowest corners of the windows that hold a voxel of the box, z outermost, ascending."""
        touching = [
            starts[bisect_right(starts, part.start - window) : bisect_left(starts, part.stop)]
            for starts, window, part in zip(self.starts, self.window, box, strict=True)
        ]
        return [triple(corner) for corner in product(*touching)]

    def slab(self, first: int, most: int) -> slice:
        """Planes from ``first``, at most so many, that few windows straddle the end of.

        It ends where a window begins or ends, unless that would cost more than half of the planes.
        """
        last = min(first + most, self.shape[0])
        if last == self.shape[0]:
            return slice(first, last)
        starts = self.starts[0]
        edges = {edge for start in starts for edge in (start, start + self.window[0])}
        fitting = [edge for edge in edges if first + (most + 1) // 2 <= edge <= last]
        return slice(first, max(fitting, default=last))

    def slabs(self, most: int) -> list[slice]:
        """All planes, each once, in slabs of at most so many."""
        cut: list[slice] = []
        while not cut or cut[-1].stop < self.shape[0]:
            cut.append(self.slab(cut[-1].stop if cut else 0, most))
        return cut

    def passes(self, most: int) -> float:
        """How often a window is predicted on average, where slabs of so many planes are."""
        _, height, width = whole(self.shape)
        slabs = self.slabs(most)
        return sum(len(self.corners((slab, height, width))) for slab in slabs) / self.windows
