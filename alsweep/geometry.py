"""Axis-aligned boxes on the resampled grid: half-open, ``(z, y, x)``, in voxels."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from math import prod

Triple = tuple[int, int, int]


def triple(values: Iterable[int]) -> Triple:
    """Return three plain integers.

    Raises:
        ValueError: There are not exactly three values.
    """
    z, y, x = (int(value) for value in values)
    return z, y, x


def clip_size(size: Triple, shape: Triple) -> Triple:
    """Cut a patch size to the volume, axis by axis."""
    return triple(map(min, size, shape))


def centred_start(centre: Triple, size: Triple, shape: Triple) -> Triple:
    """Lowest corner of a box around ``centre``, moved inside where it would stick out."""
    return triple(
        min(max(c - s // 2, 0), n - s) for c, s, n in zip(centre, size, shape, strict=True)
    )


def axis_starts(length: int, size: int, stride: int) -> list[int]:
    """Starts of all boxes along one axis: the multiples of ``stride`` and the last valid start.

    >>> axis_starts(10, 4, 4)
    [0, 4, 6]
    """
    last = length - min(size, length)
    starts = list(range(0, last + 1, stride))
    return starts if starts[-1] == last else [*starts, last]


@dataclass(frozen=True, order=True)
class Patch:
    """A box in one case, the unit of annotation.

    Attributes:
        case: The case id.
        start: Lowest corner ``(z, y, x)``, voxels of the resampled grid.
        size: Extent ``(z, y, x)``, already clipped to the case.
    """

    case: str
    start: Triple
    size: Triple

    @property
    def stop(self) -> Triple:
        """First voxel behind the box on each axis."""
        return triple(a + b for a, b in zip(self.start, self.size, strict=True))

    @property
    def slices(self) -> tuple[slice, slice, slice]:
        """Index of the box in a ``(z, y, x)`` array."""
        return box_slices(self.start, self.size)

    @property
    def voxels(self) -> int:
        """Number of voxels in the box."""
        return prod(self.size)

    def intersects(self, other: "Patch") -> bool:
        """Whether both boxes share a voxel; boxes of different cases never do."""
        return self.case == other.case and boxes_intersect(
            self.start, self.size, other.start, other.size
        )

    def inside(self, shape: Sequence[int]) -> bool:
        """Whether the box is not empty and lies within a volume of ``shape``."""
        return all(
            a >= 0 and s > 0 and a + s <= n
            for a, s, n in zip(self.start, self.size, shape, strict=True)
        )


def by_case(patches: Iterable[Patch]) -> dict[str, list[Patch]]:
    """The patches of each case; cases and patches in the order in which they come."""
    grouped: dict[str, list[Patch]] = {}
    for patch in patches:
        grouped.setdefault(patch.case, []).append(patch)
    return grouped


@dataclass(frozen=True)
class QueriedPatch:
    """A patch of a query and its score (higher = queried first); None where there is no score."""

    patch: Patch
    score: float | None = None


def box_slices(start: Sequence[int], size: Sequence[int]) -> tuple[slice, slice, slice]:
    """Index of the box in a ``(z, y, x)`` array."""
    z, y, x = (slice(a, a + s) for a, s in zip(start, size, strict=True))
    return z, y, x


def boxes_intersect(start: Triple, size: Triple, other_start: Triple, other_size: Triple) -> bool:
    """Whether two half-open boxes share a voxel: they do iff they overlap on every axis."""
    return all(
        a < b + t and a + s > b
        for a, s, b, t in zip(start, size, other_start, other_size, strict=True)
    )


def intersection(
    start: Triple, size: Triple, other_start: Triple, other_size: Triple
) -> tuple[Triple, Triple] | None:
    """Start and size of the common box, or None where the boxes share no voxel."""
    low = triple(map(max, start, other_start))
    high = triple(
        min(a + s, b + t) for a, s, b, t in zip(start, size, other_start, other_size, strict=True)
    )
    if any(a >= b for a, b in zip(low, high, strict=True)):
        return None
    return low, triple(b - a for a, b in zip(low, high, strict=True))


def union_voxels(boxes: Sequence[tuple[Triple, Triple]]) -> int:
    """Number of voxels that lie in at least one of the boxes ``(start, size)``.

    Exact and independent of the volume: the grid of all box faces is filled cell by cell.
    """
    import numpy as np

    if not boxes:
        return 0
    starts = np.array([start for start, _ in boxes])
    stops = starts + np.array([size for _, size in boxes])
    edges = [np.unique(np.concatenate([starts[:, a], stops[:, a]])) for a in range(3)]
    covered = np.zeros([len(edge) - 1 for edge in edges], dtype=bool)
    for start, stop in zip(starts, stops, strict=True):
        low, high = (
            [int(np.searchsorted(edges[a], v[a])) for a in range(3)] for v in (start, stop)
        )
        covered[tuple(slice(i, j) for i, j in zip(low, high, strict=True))] = True
    cells = np.einsum("i,j,k->ijk", *[np.diff(edge) for edge in edges])
    return int(cells[covered].sum())
