"""Raw datasets whose cases are still to be labelled: by whom they are judged, if by any."""

from __future__ import annotations

from dataclasses import replace
from math import prod
from typing import TYPE_CHECKING

import numpy as np

from alsweep.data.ingest.normalise import scheme_for
from alsweep.data.ingest.splits import given_validation
from alsweep.data.raw.layout import few, is_leftover
from alsweep.data.raw.reading import ENDINGS
from alsweep.errors import IngestError
from alsweep.label_codes import IGNORE

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from jaxtyping import Shaped

    from alsweep.data.case import Part
    from alsweep.data.ingest.measuring import CaseFacts
    from alsweep.data.raw.layout import RawCase, RawDataset
    from alsweep.types import LabelMap

_BODY_HU = -500
"""Darker than all tissue but the lung, brighter than what is round a body."""

_MOST_SKETCHED = 1 << 20


def still_to_label(raw: RawDataset, labels_from: Path | None) -> RawDataset:
    """The raw dataset, in which a case of the training part may lack its labels.

    Args:
        raw: As it was read.
        labels_from: Folder with a file for each case of which some voxels were labelled before,
            named as the case; voxels without a label are 255 there. None where there is none.

    Raises:
        IngestError: The folder is none, or a file in it belongs to no case.
    """
    before = {} if labels_from is None else _labelled_before(raw, labels_from)
    cases = tuple(_case(raw, case, before.get(case.id)) for case in raw.cases)
    return replace(raw, cases=cases, unlabelled=True)


def _case(raw: RawDataset, case: RawCase, before: Path | None) -> RawCase:
    lacking = case.label is None or not (raw.root / case.label).exists()
    if case.origin == "training" and lacking:
        case = replace(case, label=None)
    return replace(case, before=before)


def _labelled_before(raw: RawDataset, folder: Path) -> dict[str, Path]:
    if not folder.is_dir():
        raise IngestError(f"--labels-from {folder}: is not a folder; name the one with the labels")
    pool = {case.id for case in raw.cases if case.origin == "training"}
    found: dict[str, Path] = {}
    for path in sorted(folder.iterdir()):
        if is_leftover(path.name) or path.name == "dataset.json":
            continue
        case = next((path.name[: -len(e)] for e in ENDINGS if path.name.endswith(e)), None)
        if case not in pool:
            raise IngestError(
                f"{path}: belongs to no case that may be annotated; name it as its case, such as "
                f"{min(pool)}{ENDINGS[0]}, or move it out of that folder"
            )
        if case in found:
            raise IngestError(f"{path}: case '{case}' has {found[case].name} too; keep one of them")
        found[case] = path.absolute()
    return found


def parts_of_unlabelled(
    raw: RawDataset, facts: Mapping[RawCase, CaseFacts], fold: int | None
) -> dict[str, Part]:
    """Part of each usable case; there need be no validation.

    Where neither a folder nor ``splits_final.json`` says which cases validate, those with complete
    labels do, and the others are the pool.

    Raises:
        IngestError: A case that is to validate has no complete labels, or nothing is left to label.
    """
    complete = {case.id for case, fact in facts.items() if is_complete(fact)}
    given = given_validation(raw, list(facts), fold)
    training = {case.id for case in facts if case.origin == "training"}
    validation = complete & training if given is None else given
    for case in facts:
        judged = case.origin == "test" or case.id in validation
        if judged and case.id not in complete:
            raise IngestError(
                f"{raw.root / (case.label or case.images[0])}: case '{case.id}' is to be judged "
                "by, but not all of its voxels are labelled; label them, or leave it to the pool"
            )
    parts: dict[str, Part] = {
        case.id: "test"
        if case.origin == "test"
        else ("validation" if case.id in validation else "pool")
        for case in facts
    }
    if "pool" not in parts.values():
        raise IngestError(
            f"{raw.root}: every case is labelled already, so nothing is left to label; ingest "
            "without --unlabelled, or name those that validate in splits_final.json"
        )
    return parts


def is_complete(fact: CaseFacts) -> bool:
    """Whether every voxel of a case has a label."""
    return sum(fact.class_voxels) == prod(fact.source.shape)


def labelled_before(given: LabelMap | None, own: LabelMap) -> LabelMap | None:
    """What is known of a case of the pool before anybody is asked; None where that is nothing.

    Args:
        given: From the folder of earlier labels, 255 where there is none; it counts where both are.
        own: From the dataset's own label file.
    """
    known = own if given is None else np.where(given == IGNORE, own, given)
    return known if (known != IGNORE).any() else None


def body(channel: Shaped[np.ndarray, "z y x"], name: str) -> Shaped[np.ndarray, " voxel"]:
    """Values of what is no air, in place of the foreground, which nobody knows yet.

    At most a million, at even steps; none where a channel's window is not measured.
    """
    if scheme_for(name) != "ct":
        return channel[:0].ravel()
    values = channel[channel > _BODY_HU]
    return values[:: max(1, len(values) // _MOST_SKETCHED)]


def remarks_of_unlabelled(raw: RawDataset, parts: Mapping[str, Part]) -> list[str]:
    """What follows from labels that are missing."""
    said = []
    if "validation" not in parts.values():
        said.append(
            "no case has complete labels, so that no Dice can be measured; how far an ensemble's "
            "members agree is told instead, which is no measure of how right they are"
        )
    if ct := [name for name in raw.channels if scheme_for(name) == "ct"]:
        said.append(
            f"the window of {few(ct)} is measured on all that is brighter than {_BODY_HU} HU, as "
            "nobody knows the foreground yet"
        )
    return said
