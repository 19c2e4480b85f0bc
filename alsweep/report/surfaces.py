"""Surfaces of label maps as triangles, for plotly's meshes."""

from dataclasses import dataclass
from itertools import product
from math import ceil

import numpy as np
from numpy.typing import NDArray

_MOST_TRIANGLES = 9_000
"""Of one surface; more are drawn coarser, so that a page stays small."""

_EDGE = 56
"""Voxels along the longest axis that a surface is made of at most."""


@dataclass(frozen=True, eq=False)
class Surface:
    """Triangles.

    Attributes:
        points: ``(point, 3)``, z y x in mm from the centre of the first voxel.
        triangles: ``(triangle, 3)``, places of points; seen from outside they run one way round.
    """

    points: NDArray[np.float64]
    triangles: NDArray[np.int64]


def surface(mask: NDArray[np.bool_], spacing: tuple[float, float, float]) -> Surface | None:
    """Return the surface of a mask, coarser where it is large; None where there is none.

    One point in each cell of eight voxels that the surface runs through, at the mean of where it
    cuts the cell's edges; four around each edge that it cuts make two triangles.

    Args:
        mask: ``(z, y, x)``.
        spacing: Voxel size ``(z, y, x)`` in mm.

    Source: Gibson 1998, Constrained elastic surface nets, without the relaxation.
    """
    step = max(1, ceil(max(mask.shape) / _EDGE))
    while True:
        found = _net(_coarser(mask, step))
        if found is None or len(found.triangles) <= _MOST_TRIANGLES:
            break
        step += 1
    if found is None:
        return None
    middle = (step - 1) / 2
    return Surface((found.points * step + middle) * np.asarray(spacing), found.triangles)


def _coarser(mask: NDArray[np.bool_], step: int) -> NDArray[np.bool_]:
    """Blocks of which at least half is in the mask, so that thin things keep their volume."""
    if step == 1:
        return mask
    shape = [ceil(n / step) * step for n in mask.shape]
    padded = np.pad(mask, [(0, m - n) for n, m in zip(mask.shape, shape, strict=True)])
    z, y, x = (n // step for n in shape)
    share = padded.reshape(z, step, y, step, x, step).mean(axis=(1, 3, 5))
    kept: NDArray[np.bool_] = (share >= min(0.5, share.max())) & (share > 0)
    return kept


def _net(mask: NDArray[np.bool_]) -> Surface | None:
    inside = np.pad(mask, 1)
    sums, cuts = _middles(inside)
    active = cuts > 0
    if not active.any():
        return None
    place = np.full(active.shape, -1)
    place[active] = np.arange(int(active.sum()))
    # The first corner of cell (0, 0, 0) is the padding.
    points = np.argwhere(active) + sums[active] / cuts[active][:, None] - 1
    triangles = [_around(inside, place, axis) for axis in range(3)]
    return Surface(points, np.concatenate(triangles))


def _middles(inside: NDArray[np.bool_]) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Of each cell: sum of the places where its edges are cut, and how many are."""
    shape = tuple(n - 1 for n in inside.shape)
    sums, cuts = np.zeros((*shape, 3)), np.zeros(shape, dtype=np.int64)
    for axis in range(3):
        for corner in product((0, 1), repeat=2):
            low = np.insert(np.array(corner), axis, 0)
            high = np.insert(np.array(corner), axis, 1)
            cut = _from(inside, low, shape) != _from(inside, high, shape)
            sums += cut[..., None] * ((low + high) / 2)
            cuts += cut
    return sums, cuts


def _from(
    inside: NDArray[np.bool_], corner: NDArray[np.int64], shape: tuple[int, ...]
) -> NDArray[np.bool_]:
    parts = tuple(slice(int(c), int(c) + n) for c, n in zip(corner, shape, strict=True))
    part: NDArray[np.bool_] = inside[parts]
    return part


def _around(inside: NDArray[np.bool_], place: NDArray[np.int64], axis: int) -> NDArray[np.int64]:
    """Two triangles for each cut edge along an axis, of the points of the cells around it."""
    low = np.take(inside, range(inside.shape[axis] - 1), axis=axis)
    high = np.take(inside, range(1, inside.shape[axis]), axis=axis)
    edges = np.argwhere(low != high)
    one, other = ((axis + 1) % 3, (axis + 2) % 3)
    corners = []
    for a, b in ((1, 1), (0, 1), (0, 0), (1, 0)):
        cell = edges.copy()
        cell[:, one] -= a
        cell[:, other] -= b
        corners.append(place[tuple(cell.T)])
    ring = np.stack(corners, axis=1)
    outward = low[tuple(edges.T)]
    ring[~outward] = ring[~outward][:, ::-1]
    return np.concatenate([ring[:, [0, 1, 2]], ring[:, [0, 2, 3]]])
