"""Where labels come from: reference labels, revealed patch by patch or, to judge, whole."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol
from weakref import WeakValueDictionary

import numpy as np

from alsweep.data.case import BEFORE_CHUNK, ORIGINAL_CHUNK, REFERENCE_CHUNK, chunk_file
from alsweep.errors import DatasetError
from alsweep.geometry import box_slices

if TYPE_CHECKING:
    from collections.abc import Iterable

    from alsweep.data.case import Dataset
    from alsweep.geometry import Patch, Triple
    from alsweep.types import LabelMap


_OPEN_CASES = 256


class Annotator(Protocol):
    """Whoever knows the label of a voxel."""

    def reveal(self, case: str, start: Triple, size: Triple) -> LabelMap:
        """Labels inside one box that lies within the case, uint8 ``(z, y, x)``."""
        ...

    def missing(self, patches: Iterable[Patch]) -> tuple[Patch, ...]:
        """Those of ``patches`` whose labels are still to come."""
        ...

    def digest(self, patches: Iterable[Patch]) -> str | None:
        """Hash of the labels inside ``patches``; None where they follow from the dataset."""
        ...


class ReferenceLabels:
    """Ground truth of a dataset, for the oracle and the evaluator alone."""

    def __init__(self, dataset: Dataset) -> None:
        self._dataset = dataset
        # A map keeps a file open: crops that share one keep a case's file open once, however many
        # there are, and no map outlives its use.
        self._open: WeakValueDictionary[str, np.memmap[Any, np.dtype[np.uint8]]] = (
            WeakValueDictionary()
        )

    def __reduce__(self) -> tuple[Any, ...]:
        return ReferenceLabels, (self._dataset,)

    def volume(self, case: str) -> np.memmap[Any, np.dtype[np.uint8]]:
        """All labels of a case, uint8 ``(z, y, x)``, read-only and memory-mapped.

        Raises:
            DatasetError: There is no such case, or it has no reference labels.
        """
        volume = self._open.get(case)
        if volume is None:
            info = self._dataset.case(case)
            if not info.has_reference:
                raise DatasetError(
                    f"{self._dataset.path}: case '{case}' has no reference labels; ingest it with "
                    "its labels, or let a person annotate it"
                )
            path = chunk_file(self._dataset, case, REFERENCE_CHUNK)
            volume = np.memmap(path, np.uint8, "r", shape=info.shape)
            self._open[case] = volume
        return volume

    def original(self, case: str) -> np.memmap[Any, np.dtype[np.uint8]]:
        """All labels of a case on the grid of its source, uint8 ``(z, y, x)``, memory-mapped.

        Raises:
            DatasetError: There is no such case, or its labels are stored on the resampled grid
                alone.
        """
        info = self._dataset.case(case)
        if info.is_original:
            return self.volume(case)
        if info.original_sha256 is None:
            raise DatasetError(
                f"{self._dataset.path}: case '{case}' has no labels on its original grid; ingest "
                "again"
            )
        path = chunk_file(self._dataset, case, ORIGINAL_CHUNK)
        return np.memmap(path, np.uint8, "r", shape=info.original_shape)

    @property
    def open_cases(self) -> int:
        """How many cases' files are open, because somebody holds labels of them."""
        return len(self._open)


def labels_before(dataset: Dataset, case: str) -> np.memmap[Any, np.dtype[np.uint8]] | None:
    """What people labelled of a case before anybody was asked, uint8 ``(z, y, x)``, 255 elsewhere.

    Read-only and memory-mapped; None where that is nothing.

    Raises:
        DatasetError: There is no such case.
    """
    info = dataset.case(case)
    if info.before_sha256 is None:
        return None
    return np.memmap(chunk_file(dataset, case, BEFORE_CHUNK), np.uint8, "r", shape=info.shape)


class Oracle:
    """An annotator who looks the labels up; simulates a faultless human."""

    def __init__(self, dataset: Dataset) -> None:
        self._reference = ReferenceLabels(dataset)

    def reveal(self, case: str, start: Triple, size: Triple) -> LabelMap:
        """Reference labels inside the box.

        They stay in the memory-mapped file, so that annotated patches cost no memory of their own;
        but not in more files than a process may well keep open: labels of further cases are copied.
        """
        labels = np.asarray(self._reference.volume(case))[box_slices(start, size)]
        return labels if self._reference.open_cases <= _OPEN_CASES else labels.copy()

    def missing(self, patches: Iterable[Patch]) -> tuple[Patch, ...]:
        """None: it knows them all."""
        return ()

    def digest(self, patches: Iterable[Patch]) -> str | None:
        """None: its labels are the dataset's."""
        return None
