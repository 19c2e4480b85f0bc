"""The first pass over a raw dataset: every case is checked, and a few numbers of it are kept."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial
from math import prod
from typing import TYPE_CHECKING

import numpy as np

from alsweep.config.base import Frozen
from alsweep.data.case import Source
from alsweep.data.ingest.checking import RawImages, read_case
from alsweep.data.ingest.intensities import Sketch, sketch
from alsweep.data.ingest.normalise import scheme_for
from alsweep.data.ingest.unlabelled import body
from alsweep.data.ingest.writing import class_voxels
from alsweep.data.raw.grids import Oddity
from alsweep.data.raw.layout import distinct
from alsweep.data.raw.volume import file_digest
from alsweep.errors import IngestError
from alsweep.label_codes import IGNORE

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from jaxtyping import Shaped

    from alsweep.data.ingest.notes import Notes
    from alsweep.data.ingest.parallel import CasePool
    from alsweep.data.raw.layout import RawCase, RawDataset

_NUMERICS = 3
"""Raised when the facts of a case are computed otherwise, so that old notes are not believed."""


class CaseFacts(Frozen):
    """What is kept of a case between the passes.

    Attributes:
        source: Grid and files.
        class_voxels: Voxels of each class, background first.
        cropped_voxels: Those of them that the crop leaves.
        sketches: Of each channel, over the foreground; None without foreground.
        constant: Channels that have one value throughout.
        copies: Channels that are an earlier one over again, and not constant.
        offsets: Voxels by which each file lies off the first image.
        oddities: What the headers say of where the files lie besides.
    """

    source: Source
    class_voxels: tuple[int, ...]
    cropped_voxels: tuple[int, ...]
    sketches: tuple[Sketch | None, ...]
    constant: tuple[int, ...]
    copies: tuple[int, ...]
    offsets: dict[str, float]
    oddities: tuple[Oddity, ...]

    @property
    def kept_share(self) -> float:
        """Of the voxels, after the crop."""
        return prod(self.source.crop.size) / prod(self.source.shape)


@dataclass(frozen=True)
class Measured:
    """All usable cases with their facts, in order, and the reason for each of the others."""

    facts: dict[RawCase, CaseFacts]
    skipped: dict[str, str]


@dataclass(frozen=True)
class _Refusal:
    reason: str


def measure(
    dataset: RawDataset,
    notes: Notes,
    pool: CasePool,
    on_done: Callable[[int], None],
) -> Measured:
    """Check all cases, each by itself; ``placing.usable`` decides on the bad ones."""
    # Without the list of cases, which every task would carry to its process.
    task = partial(_examine, replace(dataset, cases=()), notes)
    outcomes = pool.map(task, dataset.cases, on_done)
    facts, refused = {}, {}
    for case, outcome in zip(dataset.cases, outcomes, strict=True):
        if isinstance(outcome, _Refusal):
            refused[case.id] = outcome.reason
        else:
            facts[case] = outcome
    return Measured(facts, refused)


def _examine(dataset: RawDataset, notes: Notes, case: RawCase) -> CaseFacts | _Refusal:
    key = {
        "numerics": _NUMERICS,
        "classes": len(dataset.labels.classes),
        "ignore": dataset.labels.ignore,
        "channels": dataset.channels,
        "reorient": dataset.reorient,
        "cropped": dataset.cropped,
        "unlabelled": dataset.unlabelled,
        "files": list(map(str, case.files)),
        # What was read by a link is not believed by who does not follow it.
        "follow_links": dataset.follow_links,
    }
    known = notes.known("facts", case.id, key, CaseFacts)
    if known is not None and known.source.files == _digests(dataset, case):
        return known
    try:
        facts = _facts(dataset, read_case(dataset, case), str(dataset.root / case.images[0]))
    except IngestError as error:
        return _Refusal(str(error))
    notes.keep("facts", case.id, key, facts)
    return facts


def _digests(dataset: RawDataset, case: RawCase) -> dict[str, str] | None:
    try:
        return {str(path): file_digest(dataset.root / path) for path in case.files}
    except OSError:
        return None


def _facts(dataset: RawDataset, images: RawImages, name: str) -> CaseFacts:
    spans = [(float(channel.min()), float(channel.max())) for channel in images.channels]
    shown = distinct(dataset.channels)
    for channel, called, (low, high) in zip(dataset.channels, shown, spans, strict=True):
        if scheme_for(channel) == "rgb_to_0_1" and not 0 <= low <= high <= 255:
            raise IngestError(
                f"{name}: channel '{called}' has values from {low:g} to {high:g}, expected 0 to "
                "255; name the channel otherwise in channel_names"
            )
    constant = tuple(index for index, (low, high) in enumerate(spans) if low == high)
    classes = len(dataset.labels.classes)
    crop = images.source.crop
    counted = class_voxels(images.labels, classes)
    return CaseFacts(
        source=images.source,
        class_voxels=counted,
        cropped_voxels=counted
        if crop.size == images.source.shape
        else class_voxels(images.labels[crop.slices], classes),
        sketches=_sketches(dataset, images),
        constant=constant,
        copies=tuple(i for i in _copies(images.channels) if i not in constant),
        offsets=images.offsets,
        oddities=images.oddities,
    )


def _sketches(dataset: RawDataset, images: RawImages) -> tuple[Sketch | None, ...]:
    """Of the foreground; of the body where the foreground is still to be labelled."""
    if dataset.unlabelled:
        pairs = zip(images.channels, dataset.channels, strict=True)
        return tuple(sketch(body(channel, name)) for channel, name in pairs)
    inside = (images.labels > 0) & (images.labels != IGNORE)
    return tuple(sketch(channel[inside]) for channel in images.channels)


def _copies(channels: Sequence[Shaped[np.ndarray, "z y x"]]) -> list[int]:
    """Channels that equal an earlier one."""
    return [
        later
        for later in range(1, len(channels))
        if any(_equal(channels[earlier], channels[later]) for earlier in range(later))
    ]


def _equal(one: Shaped[np.ndarray, "z y x"], other: Shaped[np.ndarray, "z y x"]) -> bool:
    # Plane by plane, since two channels mostly differ in the first.
    return all(np.array_equal(*planes) for planes in zip(one, other, strict=True))
