"""The first pass over a raw dataset: every case is checked, and a few numbers of it are kept."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial
from math import prod
from typing import TYPE_CHECKING

import numpy as np

from alsweep.config.base import Frozen
from alsweep.data.case import Source
from alsweep.data.checking import RawImages, read_case
from alsweep.data.intensities import Sketch, sketch
from alsweep.data.normalise import scheme_for
from alsweep.data.volume import file_digest
from alsweep.errors import IngestError
from alsweep.label_codes import IGNORE

if TYPE_CHECKING:
    from collections.abc import Callable

    from alsweep.data.layout import RawCase, RawDataset
    from alsweep.data.notes import Notes
    from alsweep.data.parallel import CasePool

_NUMERICS = 1
"""Raised when the facts of a case are computed otherwise, so that old notes are not believed."""


class CaseFacts(Frozen):
    """What is kept of a case between the passes.

    Attributes:
        source: Grid and files.
        present: Classes that occur.
        sketches: Of each channel, over the foreground; None without foreground.
        constant: Channels that have one value throughout.
    """

    source: Source
    present: frozenset[int]
    sketches: tuple[Sketch | None, ...]
    constant: tuple[int, ...]

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
    *,
    skip_bad: bool,
    on_done: Callable[[int], None],
) -> Measured:
    """Check all cases; bad ones are refused together or left out, each by name.

    Raises:
        IngestError: A case is bad and is not to be left out, or all are bad.
    """
    # Without the list of cases, which every task would carry to its process.
    task = partial(_examine, replace(dataset, cases=()), notes)
    outcomes = pool.map(task, dataset.cases, on_done)
    facts, refused = {}, {}
    for case, outcome in zip(dataset.cases, outcomes, strict=True):
        if isinstance(outcome, _Refusal):
            refused[case.id] = outcome.reason
        else:
            facts[case] = outcome
    if refused and not (skip_bad and facts):
        reason, *others = refused.values()
        hint = "" if skip_bad else "; see --bad-cases skip"
        more = f" ({len(others)} more bad cases{hint})" if others else ""
        raise IngestError(reason + more)
    return Measured(facts, refused)


def _examine(dataset: RawDataset, notes: Notes, case: RawCase) -> CaseFacts | _Refusal:
    key = {
        "numerics": _NUMERICS,
        "classes": len(dataset.labels.classes),
        "ignore": dataset.labels.ignore,
        "channels": dataset.channels,
        "reorient": dataset.reorient,
        "files": list(map(str, case.files)),
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
    for channel, (low, high) in zip(dataset.channels, spans, strict=True):
        if scheme_for(channel) == "rgb_to_0_1" and not 0 <= low <= high <= 255:
            raise IngestError(
                f"{name}: channel '{channel}' has values from {low:g} to {high:g}, expected 0 to "
                "255; name the channel otherwise in channel_names"
            )
    inside = (images.labels > 0) & (images.labels != IGNORE)
    counts = sum(np.bincount(plane.ravel(), minlength=256) for plane in images.labels)
    present = np.flatnonzero(counts)
    return CaseFacts(
        source=images.source,
        present=frozenset(int(label) for label in present if label != IGNORE),
        sketches=tuple(sketch(channel[inside]) for channel in images.channels),
        constant=tuple(index for index, (low, high) in enumerate(spans) if low == high),
    )
