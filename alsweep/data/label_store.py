"""Partial labels: what the annotator revealed, as boxes; never a dense label volume."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from alsweep.config.base import fingerprint
from alsweep.errors import DatasetError
from alsweep.files import read_json
from alsweep.geometry import Patch, box_slices, intersection, triple

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from jaxtyping import Bool, Int64

    from alsweep.data.annotator import Annotator
    from alsweep.data.case import Spacing
    from alsweep.geometry import Triple
    from alsweep.types import LabelMap

IGNORE = 255
"""Label code of a voxel whose label the trainer may not see."""


@dataclass(frozen=True)
class _Boxes:
    """The annotated boxes of one case, in log order."""

    patches: tuple[Patch, ...]

    @property
    def starts(self) -> Int64[np.ndarray, "box 3"]:
        return np.array([patch.start for patch in self.patches])

    @property
    def stops(self) -> Int64[np.ndarray, "box 3"]:
        return np.array([patch.stop for patch in self.patches])

    def meeting(self, start: Triple, size: Triple) -> list[int]:
        """Indices of the boxes that share a voxel with the given one, in log order."""
        stop = np.add(start, size)
        hit = (self.starts < stop).all(axis=1) & (self.stops > np.array(start)).all(axis=1)
        return [int(i) for i in np.flatnonzero(hit)]

    def owned(self, index: int) -> Bool[np.ndarray, "z y x"] | None:
        """Voxels of a box that no later box covers, or None where it owns them all."""
        patch = self.patches[index]
        later = [i for i in self.meeting(patch.start, patch.size) if i > index]
        if not later:
            return None
        mask = np.ones(patch.size, dtype=bool)
        for i in later:
            mask[_within(patch, self.patches[i])] = False
        return mask


def _within(patch: Patch, other: Patch) -> tuple[slice, slice, slice]:
    """The part of ``patch`` that ``other`` covers, as an index into the patch's crop."""
    common = intersection(patch.start, patch.size, other.start, other.size)
    if common is None:
        return slice(0, 0), slice(0, 0), slice(0, 0)
    return box_slices(triple(np.subtract(common[0], patch.start)), common[1])


class PartialLabels:
    """The labels that a trajectory may see: an immutable view of its annotated patches.

    Where boxes overlap, the later one counts.

    Args:
        shapes: Grid ``(z, y, x)`` of every case that may be annotated.
        classes: Number of classes, background included.
        annotator: Asked once for the labels of each patch, when they are first needed.
        patches: Annotated patches in the order of the query log.

    Raises:
        DatasetError: A patch names an unknown case or leaves its volume.
    """

    def __init__(
        self,
        shapes: Mapping[str, Triple],
        classes: int,
        annotator: Annotator,
        patches: Iterable[Patch] = (),
    ) -> None:
        self.patches = tuple(patches)
        self._shapes = shapes
        self._classes = classes
        self._annotator = annotator
        self._crops: dict[Patch, LabelMap] = {}
        for patch in self.patches:
            _check(patch, shapes)
        grouped: dict[str, list[Patch]] = {}
        for patch in self.patches:
            grouped.setdefault(patch.case, []).append(patch)
        self._boxes = {case: _Boxes(tuple(grouped[case])) for case in sorted(grouped)}

    @property
    def cases(self) -> tuple[str, ...]:
        """Ids of the cases that hold a patch, ascending."""
        return tuple(self._boxes)

    def boxes(self, case: str) -> tuple[Patch, ...]:
        """Annotated patches of one case, in log order."""
        return self._boxes[case].patches if case in self._boxes else ()

    def crop(self, patch: Patch) -> LabelMap:
        """Labels inside one annotated patch, read-only.

        Raises:
            DatasetError: The annotator's answer does not have the size of the patch.
        """
        if patch not in self._crops:
            crop = np.asarray(self._annotator.reveal(patch.case, patch.start, patch.size))
            if crop.shape != patch.size or crop.dtype != np.uint8:
                raise DatasetError(
                    f"{patch.case}: labels of the patch at {patch.start} must be uint8 of shape "
                    f"{patch.size}, got {crop.dtype} of shape {crop.shape}; annotate it again"
                )
            crop = crop.view()
            crop.flags.writeable = False
            self._crops[patch] = crop
        return self._crops[patch]

    def window(self, case: str, start: Triple, size: Triple) -> LabelMap:
        """Labels of a box as a new array: IGNORE, also outside the volume, where not annotated.

        Args:
            case: Case id.
            start: Lowest corner ``(z, y, x)``; may lie outside the volume.
            size: Extent ``(z, y, x)``, voxels.
        """
        labels = np.full(size, IGNORE, dtype=np.uint8)
        if case not in self._boxes:
            return labels
        boxes = self._boxes[case]
        here = Patch(case, start, size)
        for index in boxes.meeting(start, size):
            patch = boxes.patches[index]
            labels[_within(here, patch)] = self.crop(patch)[_within(patch, here)]
        return labels

    def class_voxels(self, case: str | None = None) -> Int64[np.ndarray, " class"]:
        """Annotated voxels of each class, of one case or of all.

        Each voxel counts once, however many boxes hold it, and ignore-coded ones not at all.
        """
        counts = np.zeros(self._classes, dtype=np.int64)
        for name in self.cases if case is None else (case,):
            for index, patch in enumerate(self.boxes(name)):
                owned = self._boxes[name].owned(index)
                crop = self.crop(patch)
                values = crop.ravel() if owned is None else crop[owned]
                counts += np.bincount(values, minlength=256)[: self._classes]
        return counts

    def annotated_voxels(self) -> int:
        """Voxels inside at least one annotated patch; reads no labels."""
        total = 0
        for boxes in self._boxes.values():
            for index, patch in enumerate(boxes.patches):
                owned = boxes.owned(index)
                total += patch.voxels if owned is None else int(owned.sum())
        return total

    def with_patches(self, new: Iterable[Patch]) -> PartialLabels:
        """The labels after ``new`` patches were annotated too; what was read already is shared."""
        more = PartialLabels(self._shapes, self._classes, self._annotator, (*self.patches, *new))
        more._crops = self._crops
        return more

    def write_zarr(self, path: Path, names: tuple[str, ...], spacing: Spacing) -> None:
        """Bring a ``labels.zarr`` up to date, for people and tools; training never reads it.

        One OME-Zarr label a case. Only cases whose patches changed, or whose files are torn, are
        written.

        Args:
            path: The Zarr group; made when missing.
            names: Class names, background first.
            spacing: Voxel size ``(z, y, x)``, mm.
        """
        # zarr takes a third of a second to import, which reading labels must not cost.
        from alsweep.data.ome import label_metadata, write_label_list, write_sparse_label

        path.mkdir(parents=True, exist_ok=True)
        for leftover in path.glob(".*.tmp"):
            shutil.rmtree(leftover)
        for case, boxes in self._boxes.items():
            digest = fingerprint([[patch.start, patch.size] for patch in boxes.patches])
            if _is_current(path / case, digest):
                continue
            labels = self.window(case, (0, 0, 0), self._shapes[case])
            temporary = path / f".{case}.tmp"
            metadata = label_metadata(case, names, spacing)
            write_sparse_label(temporary, labels, metadata, {"patches": digest})
            _replace_folder(temporary, path / case)
        write_label_list(path, self.cases)


def _check(patch: Patch, shapes: Mapping[str, Triple]) -> None:
    if patch.case not in shapes:
        raise DatasetError(
            f"query log: case '{patch.case}' is not in the pool; "
            "use the Dataset that the run began with"
        )
    if not patch.inside(shapes[patch.case]):
        raise DatasetError(
            f"query log: patch at {patch.start} of size {patch.size} leaves case '{patch.case}' of "
            f"shape {shapes[patch.case]}; use the Dataset that the run began with"
        )


def _is_current(folder: Path, digest: str) -> bool:
    """Whether the label image shows the patches of ``digest`` and has kept its size."""
    from alsweep.data.ome import array_bytes

    try:
        notes = read_json(folder / "zarr.json")["attributes"]["alsweep"]
    except (OSError, ValueError, KeyError, TypeError):
        return False
    return bool(notes == {"patches": digest, "bytes": array_bytes(folder)})


def _replace_folder(new: Path, place: Path) -> None:
    """Put a finished folder in its place; a kill in between leaves none, which the next mends."""
    if place.exists():
        old = place.with_name(f".{place.name}.old.tmp")
        place.rename(old)
        new.rename(place)
        shutil.rmtree(old)
    else:
        new.rename(place)
