"""What a patch's labels tell where an annotator does not label every voxel of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from scipy.ndimage import distance_transform_edt, find_objects, generate_binary_structure
from scipy.ndimage import label as pieces_of

from alsweep.config.base import fingerprint
from alsweep.label_codes import IGNORE, boxed

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from jaxtyping import Bool, Float64

    from alsweep.config.reveal import Reveal
    from alsweep.data.annotator import Annotator
    from alsweep.geometry import Patch, Triple
    from alsweep.types import LabelMap

    Mask = Bool[np.ndarray, "z y x"]
    Index = tuple[Any, ...]

_VERSION = 1
"""Raised where the same labels tell something else, so that members are trained anew."""

_CORNERS = generate_binary_structure(3, 3)


def revealed(labels: LabelMap, mode: Reveal, classes: int) -> LabelMap:
    """What is told of a patch: labels where they are told, IGNORE elsewhere.

    Every piece of a class, voxels that touch at corners being one, is told of, so that a patch
    tells of the same foreground classes in all modes.

    The innermost voxel of a piece is that farthest from its edge in the slice across z that holds
    most of it. ``box``: the tight box of each piece of foreground, and its innermost voxel. Outside
    all boxes is background. Inside a box a voxel is background or the box's class, which has a code
    of its own (:func:`~alsweep.label_codes.boxed`); inside boxes of several classes nothing is
    told. ``points``: the innermost voxel of each piece, background included.
    ``scribbles``: a stroke through each piece, background included, in that slice: along its longer
    side, the voxel of each row that is farthest from the edge.

    Args:
        labels: Of one patch; what is IGNORE stays so.
        mode: What is asked of the annotator.
        classes: Number of classes, background included.

    Source: boxes, Rajchl et al. 2017 (DeepCut), arXiv:1605.07866; points, Bearman et al. 2016,
    arXiv:1506.02106; strokes in slices of a volume, Gotkowski et al. 2024, arXiv:2403.12834.
    Innermost voxels stand for a person's click, and are ours.
    """
    return _MODES[mode](labels, classes)


def _dense(labels: LabelMap, classes: int) -> LabelMap:
    return labels


def _box(labels: LabelMap, classes: int) -> LabelMap:
    told = np.where(labels == IGNORE, labels, np.uint8(0))
    inside = np.zeros(labels.shape, dtype=np.uint8)
    seeds = []
    for value, box, piece in _pieces(labels, range(1, classes)):
        code = boxed(value, classes)
        shared = (inside[box] != 0) & (inside[box] != code)
        inside[box] = np.where(shared, IGNORE, code)
        seeds.append((_within(box, _innermost(piece)), value))
    np.copyto(told, inside, where=(inside != 0) & (labels != IGNORE))
    for place, value in seeds:
        told[place] = value
    return told


def _points(labels: LabelMap, classes: int) -> LabelMap:
    told = np.full(labels.shape, IGNORE, dtype=np.uint8)
    for value, box, piece in _pieces(labels, range(classes)):
        told[_within(box, _innermost(piece))] = value
    return told


def _scribbles(labels: LabelMap, classes: int) -> LabelMap:
    told = np.full(labels.shape, IGNORE, dtype=np.uint8)
    for value, box, piece in _pieces(labels, range(classes)):
        told[box][_stroke(piece)] = value
    return told


_MODES: dict[Reveal, Callable[[LabelMap, int], LabelMap]] = {
    "dense": _dense,
    "box": _box,
    "points": _points,
    "scribbles": _scribbles,
}


def _pieces(labels: LabelMap, values: Iterable[int]) -> Iterator[tuple[int, Index, Mask]]:
    """Each connected piece of some classes: its class, its box, and its voxels in that box."""
    there = set(np.unique(labels).tolist())
    for value in there.intersection(values):
        numbered, _ = pieces_of(labels == value, _CORNERS)
        for number, box in enumerate(find_objects(numbered), start=1):
            yield value, box, numbered[box] == number


def _largest_slice(piece: Mask) -> tuple[int, Float64[np.ndarray, "y x"]]:
    """Where across z most of a piece is, and how far each voxel there is from the outside.

    The border of the array is an edge, too. Of equal slices it is the first.
    """
    z = int(np.argmax(piece.sum(axis=(1, 2))))
    depth: Float64[np.ndarray, "y x"] = distance_transform_edt(np.pad(piece[z], 1))
    return z, depth[1:-1, 1:-1]


def _innermost(piece: Mask) -> Triple:
    """The voxel of the largest slice that is farthest from its outside; of equals the first."""
    z, depth = _largest_slice(piece)
    y, x = np.unravel_index(int(np.argmax(depth)), depth.shape)
    return z, int(y), int(x)


def _within(box: Index, place: Triple) -> Triple:
    z, y, x = (part.start + step for part, step in zip(box, place, strict=True))
    return z, y, x


def _stroke(piece: Mask) -> Index:
    """The voxels of a stroke along the longer side of a piece, in its largest slice."""
    z, depth = _largest_slice(piece)
    there = [np.flatnonzero(depth.any(axis=axis)) for axis in (1, 0)]
    along = 0 if np.ptp(there[0]) >= np.ptp(there[1]) else 1
    rows = there[along]
    across = depth.argmax(axis=1 - along)[rows]
    y, x = (rows, across) if along == 0 else (across, rows)
    return np.full(len(rows), z), y, x


class Revealing:
    """An annotator who is asked for a part of each patch's labels; another one knows them all.

    Args:
        annotator: Who knows.
        mode: What is asked for.
        classes: Number of classes, background included.
    """

    def __init__(self, annotator: Annotator, mode: Reveal, classes: int) -> None:
        self._annotator = annotator
        self._mode: Reveal = mode
        self._classes = classes

    def reveal(self, case: str, start: Triple, size: Triple) -> LabelMap:
        """See :class:`alsweep.data.annotator.Annotator`."""
        return revealed(self._annotator.reveal(case, start, size), self._mode, self._classes)

    def missing(self, patches: Iterable[Patch]) -> tuple[Patch, ...]:
        """See :class:`alsweep.data.annotator.Annotator`."""
        return self._annotator.missing(patches)

    def digest(self, patches: Iterable[Patch]) -> str:
        """What is told follows from the mode and from what the other annotator knows."""
        return fingerprint([self._mode, _VERSION, self._annotator.digest(patches)])
