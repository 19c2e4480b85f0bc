"""What a user should know of a dataset that was ingested all the same."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod
from typing import TYPE_CHECKING

from alsweep.data.ingest.normalise import scheme_for
from alsweep.data.ingest.placing import contradictions
from alsweep.data.ingest.remarks_of_content import remarks_of_content
from alsweep.data.raw.layout import SPLITS, distinct, few

if TYPE_CHECKING:
    from collections.abc import Mapping

    from alsweep.data.case import Dataset
    from alsweep.data.ingest.measuring import CaseFacts
    from alsweep.data.ingest.plans_file import Prescription
    from alsweep.data.raw.layout import RawCase, RawDataset

_MOST_NAMED = 10
_LOST = 0.1
"""A class of which less is left, by volume, is as good as lost."""

_CROP_MEND = "look whether image and labels fit"
_RESAMPLING_MEND = "a finer grid (--spacing) keeps more"


@dataclass(frozen=True)
class Findings:
    """What an ingest found and what it made of it.

    Attributes:
        raw: The raw dataset.
        facts: Of each usable case.
        dataset: What came of it.
        prescribed: What a plans file decided, if there was one.
    """

    raw: RawDataset
    facts: Mapping[RawCase, CaseFacts]
    dataset: Dataset
    prescribed: Prescription | None


def remarks(found: Findings) -> tuple[str, ...]:
    """One sentence each; none of it makes the Dataset wrong, all of it may surprise."""
    return (
        *_counts(found.raw),
        *_schemes(found.raw, found.prescribed),
        *contradictions(found.facts),
        *_constant(found),
        *_copies(found),
        *_lost(found),
        *remarks_of_content(found.dataset, _file_of_split(found.raw)),
    )


def _file_of_split(raw: RawDataset) -> str | None:
    """What decided on the split, if files did."""
    if any(case.origin == "validation" for case in raw.cases):
        return "imagesVal"
    return SPLITS if raw.folds is not None else None


def _counts(dataset: RawDataset) -> list[str]:
    training = sum(case.origin == "training" for case in dataset.cases)
    if dataset.announced in (None, training):
        return []
    return [f"dataset.json announces {dataset.announced} training cases, {training} are there"]


def _schemes(dataset: RawDataset, prescribed: Prescription | None) -> list[str]:
    if prescribed is None:
        return []
    shown = distinct(dataset.channels)
    pairs = zip(shown, dataset.channels, prescribed.normalisation, strict=True)
    return [
        f"the plans normalise channel '{name}' by {how.scheme}, its name stands for "
        f"{scheme_for(channel)}"
        for name, channel, how in pairs
        if how.scheme != scheme_for(channel)
    ]


def _constant(found: Findings) -> list[str]:
    return [
        f"channel '{name}' has one value throughout in {few(cases, _MOST_NAMED)}"
        for index, name in enumerate(distinct(found.raw.channels))
        if (cases := [case.id for case, fact in found.facts.items() if index in fact.constant])
    ]


def _copies(found: Findings) -> list[str]:
    return [
        f"channel '{name}' is the same as an earlier channel in {few(cases, _MOST_NAMED)}; look "
        "whether a file was copied in place of another"
        for index, name in enumerate(distinct(found.raw.channels))
        if (cases := [case.id for case, fact in found.facts.items() if index in fact.copies])
    ]


def _lost(found: Findings) -> list[str]:
    """Foreground classes that the crop or the resampling took out of a case, or nearly so."""
    said = []
    for label, name in list(enumerate(found.dataset.classes))[1:]:
        cropped, resampled = [], []
        for case, fact in found.facts.items():
            before, kept = fact.class_voxels[label], fact.cropped_voxels[label]
            info = found.dataset.cases[case.id]
            after = info.class_voxels[label]
            text = f"{case.id} ({before} voxels before, {after} after)"
            if kept < _LOST * before:
                cropped.append(text)
            elif after * prod(info.crop.size) / info.voxels < _LOST * before:
                resampled.append(text)
        said += _loss(name, "cropping to where the image is not zero", cropped, _CROP_MEND)
        said += _loss(name, _grid(found.dataset), resampled, _RESAMPLING_MEND)
    return said


def _loss(name: str, by: str, cases: list[str], mend: str) -> list[str]:
    if not cases:
        return []
    return [f"class '{name}' is lost, or nearly, by {by}: {few(cases, _MOST_NAMED)}; {mend}"]


def _grid(dataset: Dataset) -> str:
    return f"resampling to {' x '.join(f'{value:.4g}' for value in dataset.manifest.spacing)} mm"
