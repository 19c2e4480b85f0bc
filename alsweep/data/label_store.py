"""Partial labels: what the annotator revealed, as boxes; never a dense label volume."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from functools import cached_property, lru_cache, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from alsweep.config.base import fingerprint
from alsweep.errors import DatasetError
from alsweep.geometry import Patch, box_slices, by_case, intersection, triple
from alsweep.label_codes import IGNORE

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from jaxtyping import Bool, Int64

    from alsweep.data.annotator import Annotator
    from alsweep.data.case import Spacing
    from alsweep.geometry import Triple
    from alsweep.types import LabelMap

    FreeLabels = Callable[[str], LabelMap | None]

_OPEN_CASES = 64


class _Common(NamedTuple):
    """The voxels that a window and an annotated box share.

    Attributes:
        box: Its number.
        here: The voxels, as an index into the window.
        there: The same, as an index into the box's crop.
    """

    box: int
    here: tuple[slice, slice, slice]
    there: tuple[slice, slice, slice]


@dataclass(frozen=True)
class _Boxes:
    """The annotated boxes of one case, in log order."""

    patches: tuple[Patch, ...]

    @cached_property
    def _corners(self) -> Int64[np.ndarray, "box 6"]:
        """Lowest corners, then the negated ends, so that one maximum intersects both."""
        return np.array([(*patch.start, *(-end for end in patch.stop)) for patch in self.patches])

    def meeting(self, start: Triple, size: Triple) -> list[_Common]:
        """What the boxes share with the given one, in log order."""
        (z, y, x), (depth, height, width) = start, size
        # All boxes of the case at once: training asks this for every window.
        common = np.maximum(self._corners, (z, y, x, -z - depth, -y - height, -x - width))
        hit = np.flatnonzero((common[:, :3] + common[:, 3:] < 0).all(axis=1))
        found = []
        for index, (z0, y0, x0, z1, y1, x1) in zip(hit.tolist(), common[hit].tolist(), strict=True):
            oz, oy, ox = self.patches[index].start
            here = slice(z0 - z, -z1 - z), slice(y0 - y, -y1 - y), slice(x0 - x, -x1 - x)
            there = slice(z0 - oz, -z1 - oz), slice(y0 - oy, -y1 - oy), slice(x0 - ox, -x1 - ox)
            found.append(_Common(index, here, there))
        return found

    def owned(self, index: int) -> Bool[np.ndarray, "z y x"] | None:
        """Voxels of a box that no later box covers, or None where it owns them all."""
        patch = self.patches[index]
        later = [c for c in self.meeting(patch.start, patch.size) if c.box > index]
        if not later:
            return None
        mask = np.ones(patch.size, dtype=bool)
        for common in later:
            mask[common.here] = False
        return mask


def _show_free(labels: LabelMap, free: LabelMap, window: Patch) -> None:
    """Fill what is not annotated in a window's labels with the free labels there."""
    common = intersection(window.start, window.size, (0, 0, 0), triple(free.shape))
    if common is None:
        return
    low, size = common
    target = labels[box_slices(triple(np.subtract(low, window.start)), size)]
    np.copyto(target, free[box_slices(low, size)], where=target == IGNORE)


class PartialLabels:
    """The labels that a trajectory may see: an immutable view of its annotated patches.

    Where boxes overlap, the later one counts. Free labels, which cost nobody anything, show through
    where nothing is annotated; they are never counted.

    Args:
        shapes: Grid ``(z, y, x)`` of every case that may be annotated.
        classes: Number of classes, background included.
        annotator: Asked once for the labels of each patch, when they are first needed.
        patches: Annotated patches in the order of the query log.
        free: Gives the free labels of a case, uint8 ``(z, y, x)``, IGNORE where there are none; or
            None for a case, or a dataset, without any.

    Raises:
        DatasetError: A patch names an unknown case or leaves its volume.
    """

    def __init__(
        self,
        shapes: Mapping[str, Triple],
        classes: int,
        annotator: Annotator,
        patches: Iterable[Patch] = (),
        *,
        free: FreeLabels | None = None,
    ) -> None:
        self.patches: tuple[Patch, ...] = ()
        self._shapes = shapes
        self._classes = classes
        self._annotator = annotator
        # Training asks for every window; each map of a file keeps it open.
        self._free = None if free is None else lru_cache(_OPEN_CASES)(free)
        self._crops: dict[Patch, LabelMap] = {}
        self._boxes: dict[str, _Boxes] = {}
        self._counts: dict[str, Int64[np.ndarray, " class"]] = {}
        self._append(tuple(patches))

    def __reduce__(self) -> tuple[Any, ...]:
        # Rebuilt from what it was made of: files that are open here are opened again there.
        free = None if self._free is None else self._free.__wrapped__
        made = partial(PartialLabels, free=free)
        return made, (self._shapes, self._classes, self._annotator, self.patches)

    def _append(self, new: tuple[Patch, ...]) -> None:
        """Index more patches; what is known of cases without new ones stays as it is."""
        for patch in new:
            _check(patch, self._shapes)
        grown = {case: _Boxes((*self.boxes(case), *own)) for case, own in by_case(new).items()}
        self._boxes = dict(sorted({**self._boxes, **grown}.items()))
        self._counts = {case: known for case, known in self._counts.items() if case not in grown}
        self.patches = (*self.patches, *new)

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
        crop = self._crops.get(patch)
        if crop is None:
            crop = self._crops[patch] = self._ask(patch)
        return crop

    def _ask(self, patch: Patch) -> LabelMap:
        answer = np.asarray(self._annotator.reveal(patch.case, patch.start, patch.size))
        if answer.shape != patch.size or answer.dtype != np.uint8:
            raise DatasetError(
                f"{patch.case}: labels of the patch at {patch.start} must be uint8 of shape "
                f"{patch.size}, got {answer.dtype} of shape {answer.shape}; annotate it again"
            )
        crop = answer.view()
        crop.flags.writeable = False
        return crop

    def window(self, case: str, start: Triple, size: Triple) -> LabelMap:
        """Labels of a box as a new array: IGNORE, also outside the volume, where not annotated.

        Args:
            case: Case id.
            start: Lowest corner ``(z, y, x)``; may lie outside the volume.
            size: Extent ``(z, y, x)``, voxels.
        """
        labels = np.empty(size, dtype=np.uint8)
        self.read_window(case, start, labels)
        return labels

    def read_window(self, case: str, start: Triple, labels: LabelMap) -> None:
        """What :meth:`window` gives, written into an array of the window's size."""
        self._read_annotated(case, start, labels)
        free = None if self._free is None else self._free(case)
        if free is not None:
            _show_free(labels, free, Patch(case, start, triple(labels.shape)))

    def _read_annotated(self, case: str, start: Triple, labels: LabelMap) -> None:
        """A window without free labels."""
        labels.fill(IGNORE)
        if case not in self._boxes:
            return
        boxes = self._boxes[case]
        for box, here, there in boxes.meeting(start, triple(labels.shape)):
            labels[here] = self.crop(boxes.patches[box])[there]

    def overlap(self, patch: Patch) -> float:
        """Share of a candidate's voxels, in 0..1, that lie in any annotated patch; reads no labels.

        Source: methods 1, the overlap rule: of the union of the patches, not their sum.
        """
        if patch.case not in self._boxes:
            return 0.0
        mask = np.zeros(patch.size, dtype=bool)
        for common in self._boxes[patch.case].meeting(patch.start, patch.size):
            mask[common.here] = True
        return float(mask.mean())

    def class_voxels(self, case: str | None = None) -> Int64[np.ndarray, " class"]:
        """Annotated voxels of each class, of one case or of all.

        Each voxel counts once, however many boxes hold it; ignore-coded and free ones do not.
        """
        counts = np.zeros(self._classes, dtype=np.int64)
        for name in self.cases if case is None else (case,):
            if name not in self._counts:
                self._counts[name] = self._count(name)
            counts += self._counts[name]
        return counts

    def _count(self, case: str) -> Int64[np.ndarray, " class"]:
        counts = np.zeros(self._classes, dtype=np.int64)
        for index, patch in enumerate(self.boxes(case)):
            owned = self._boxes[case].owned(index)
            crop = self.crop(patch)
            values = crop.ravel() if owned is None else crop[owned]
            counts += np.bincount(values, minlength=256)[: self._classes]
        return counts

    def digest(self) -> str | None:
        """Hash of the labels; None where they follow from dataset and patches."""
        return self._annotator.digest(self.patches)

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
        more = PartialLabels(self._shapes, self._classes, self._annotator)
        more.patches, more._boxes = self.patches, self._boxes
        more._crops, more._free = self._crops, self._free
        more._append(tuple(new))
        return more

    def write_zarr(self, path: Path, names: tuple[str, ...], spacing: Spacing) -> None:
        """Bring a ``labels.zarr`` up to date, for people and tools; training never reads it.

        One OME-Zarr label a case; free labels, being the dataset's, are not in it. Only cases whose
        patches changed, or whose files are damaged, are written; those without patches go.

        Args:
            path: The Zarr group; made when missing.
            names: Class names, background first.
            spacing: Voxel size ``(z, y, x)``, mm.
        """
        # zarr takes a third of a second to import, which reading labels must not cost.
        from alsweep.data.labels.sparse import is_whole
        from alsweep.data.ome import label_metadata, write_label_list

        path.mkdir(parents=True, exist_ok=True)
        for stale in path.iterdir():
            if stale.is_dir() and stale.name not in self._boxes:
                shutil.rmtree(stale)
        for case, boxes in self._boxes.items():
            digest = fingerprint([[patch.start, patch.size] for patch in boxes.patches])
            notes = {"patches": digest}
            if not is_whole(path / case, self._shapes[case], notes):
                metadata = label_metadata(case, names, spacing)
                self._write_case(path / case, case, {"ome": metadata, "alsweep": notes})
        write_label_list(path, self.cases)

    def _write_case(self, folder: Path, case: str, attributes: dict[str, Any]) -> None:
        from alsweep.data.labels.sparse import touched_chunks, write_sparse_label

        shape = self._shapes[case]
        boxes = [(patch.start, patch.size) for patch in self._boxes[case].patches]

        def window(start: Triple, size: Triple) -> LabelMap:
            labels = np.empty(size, dtype=np.uint8)
            self._read_annotated(case, start, labels)
            return labels

        write_sparse_label(folder, shape, touched_chunks(shape, boxes), window, attributes)


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
