"""Queried patches as rows with a small picture each: three planes through the patch."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from alsweep.data.case import Dataset
from alsweep.geometry import Patch, QueriedPatch
from alsweep.layout import query_path
from alsweep.report.volumes import DatasetVolumes
from alsweep.results.records import TrajectoryFolder, read_query

_EDGE = 96
"""Pixels of each plane, which is square."""

_AROUND = 1.0
"""Of the patch's longest edge, how much is shown around it to each side."""

_BOX = (255, 214, 10)
_COLOURS = ((0, 229, 255), (255, 93, 162), (124, 255, 107), (255, 159, 28), (179, 157, 255))

MOST_PICTURES = 200
"""Of one trajectory; of a query, the first ones are drawn."""


@dataclass(frozen=True, eq=False)
class Shown:
    """A patch, its place in the log, and what is in it where the dataset is at hand."""

    loop: int
    rank: int
    queried: QueriedPatch
    classes: str | None = None
    slices: NDArray[np.uint8] | None = None


def queried_patches(trajectory: TrajectoryFolder, dataset: Dataset | None) -> list[Shown]:
    """All patches that a trajectory annotated, in the order of its log.

    Args:
        trajectory: Has records.
        dataset: None where it is gone: then there are neither classes nor pictures.
    """
    log = [
        Shown(loop, rank, queried)
        for loop in range(len(trajectory.records))
        for rank, queried in enumerate(read_query(query_path(trajectory.folder, loop)))
    ]
    if dataset is None:
        return log
    each = max(1, MOST_PICTURES // max(1, len(trajectory.records)))
    by_place = {(one.loop, one.rank): one for one in _seen(log, dataset, each)}
    return [by_place[one.loop, one.rank] for one in log]


def _seen(log: list[Shown], dataset: Dataset, each: int) -> Iterator[Shown]:
    """The same with classes, and pictures of the first of each query; case by case."""
    volumes = DatasetVolumes(dataset)
    by_case: dict[str, list[Shown]] = {}
    for one in log:
        by_case.setdefault(one.queried.patch.case, []).append(one)
    for case, ones in by_case.items():
        image, labels = volumes.image(case)[0], volumes.reference(case)
        low, high = np.percentile(image[::2, ::2, ::2], (1, 99))
        grey = (low, max(float(high), float(low) + 1e-6))
        for one in ones:
            patch = one.queried.patch
            there = np.unique(labels[patch.slices])
            names = [volumes.classes[int(label)] for label in there if 0 < label < 255]
            slices = patch_slices(image, labels, patch, grey) if one.rank < each else None
            yield Shown(one.loop, one.rank, one.queried, ", ".join(names), slices)


def patch_slices(
    image: NDArray[np.floating],
    labels: NDArray[np.integer],
    patch: Patch,
    grey: tuple[float, float],
) -> NDArray[np.uint8]:
    """Draw axial, coronal and sagittal slices through a patch's centre, side by side.

    Args:
        image: One channel, ``(z, y, x)``.
        labels: Reference labels, ``(z, y, x)``; outlines of classes are drawn.
        patch: Its box is drawn.
        grey: What is black, and what is white.

    Returns:
        RGB, ``(96, 296, 3)``.
    """
    planes = [_plane(image, labels, patch, axis, grey) for axis in range(3)]
    gap = np.zeros((_EDGE, 4, 3), dtype=np.uint8)
    return np.concatenate([planes[0], gap, planes[1], gap, planes[2]], axis=1)


def _plane(
    image: NDArray[np.floating],
    labels: NDArray[np.integer],
    patch: Patch,
    axis: int,
    grey: tuple[float, float],
) -> NDArray[np.uint8]:
    centre = [start + size // 2 for start, size in zip(patch.start, patch.size, strict=True)]
    rows, columns = (a for a in range(3) if a != axis)
    half = max(patch.size) * (0.5 + _AROUND)
    # Where each pixel of the plane lies, voxels; what is outside of the case stays black.
    steps = np.floor(np.linspace(-half, half, _EDGE, endpoint=False)).astype(int)
    down, right = centre[rows] + steps, centre[columns] + steps
    flat = image.take(min(centre[axis], image.shape[axis] - 1), axis=axis)
    known = labels.take(min(centre[axis], image.shape[axis] - 1), axis=axis)
    inside = np.ix_(_within(down, flat.shape[0]), _within(right, flat.shape[1]))
    clipped = np.ix_(down.clip(0, flat.shape[0] - 1), right.clip(0, flat.shape[1] - 1))
    value = np.clip((flat[clipped] - grey[0]) / (grey[1] - grey[0]), 0, 1)
    drawn = np.repeat((255 * value)[..., None], 3, axis=2).astype(np.uint8)
    _outline_classes(drawn, known[clipped])
    outside = np.ones(drawn.shape[:2], dtype=bool)
    outside[inside] = False
    drawn[outside] = 0
    drawn[_frame(patch, down, right, rows, columns)] = _BOX
    return drawn


def _within(places: NDArray[np.intp], length: int) -> NDArray[np.bool_]:
    found: NDArray[np.bool_] = (places >= 0) & (places < length)
    return found


def _outline_classes(drawn: NDArray[np.uint8], labels: NDArray[np.integer]) -> None:
    """Draw pixels of a class that have a neighbour of another."""
    edge = np.zeros(labels.shape, dtype=bool)
    for axis in range(2):
        other = np.diff(labels.astype(np.int16), axis=axis) != 0
        edge |= np.insert(other, 0, False, axis=axis)
        edge |= np.append(other, np.zeros_like(other.take([0], axis=axis)), axis=axis)
    for label in np.unique(labels[edge & (labels > 0) & (labels < 255)]):
        drawn[edge & (labels == label)] = _COLOURS[(int(label) - 1) % len(_COLOURS)]


def _frame(
    patch: Patch, down: NDArray[np.intp], right: NDArray[np.intp], rows: int, columns: int
) -> NDArray[np.bool_]:
    """Where the outline of the patch's box is."""
    inside = np.outer(
        (down >= patch.start[rows]) & (down < patch.start[rows] + patch.size[rows]),
        (right >= patch.start[columns]) & (right < patch.start[columns] + patch.size[columns]),
    )
    core = inside.copy()
    core[1:-1, 1:-1] = (
        inside[1:-1, 1:-1]
        & inside[:-2, 1:-1]
        & inside[2:, 1:-1]
        & inside[1:-1, :-2]
        & inside[1:-1, 2:]
    )
    found: NDArray[np.bool_] = inside & ~core
    return found
