"""What may surprise in a Dataset, as far as its own content tells."""

from __future__ import annotations

from typing import TYPE_CHECKING

from alsweep.config.trajectory import PRESETS
from alsweep.data.ingest.patients import several_per_patient
from alsweep.data.ingest.sizes import dwarfed, dwarfed_text, training_patch
from alsweep.data.raw.layout import few
from alsweep.data.raw.painting import flaw, told

if TYPE_CHECKING:
    from alsweep.data.case import CaseInfo, Dataset, Part
    from alsweep.data.ingest.patients import Likeness

_MOST_NAMED = 10
_MOST_GROUPS = 5


def remarks_of_content(dataset: Dataset, file_of_split: str | None = None) -> tuple[str, ...]:
    """One sentence each; all of it may surprise.

    Args:
        dataset: What was made.
        file_of_split: What decided which cases validate, where a file did and that is known.
    """
    return (
        *_painting(dataset),
        *_few_cases(dataset),
        *_same_image(dataset),
        *_patients(dataset, file_of_split),
        *_small(dataset),
        *_empty(dataset),
    )


def _painting(dataset: Dataset) -> list[str]:
    regions, order = dataset.manifest.regions, dataset.manifest.regions_class_order
    found = flaw(regions, order)
    if found is None:
        return []
    return [
        f"regions_class_order {told(regions, order, found)} in the raw dataset, and ingest again"
    ]


def _few_cases(dataset: Dataset) -> list[str]:
    pool, validation = dataset.pool, dataset.validation
    if len(pool) == len(validation) == 1:
        return [
            f"only two cases in all: '{pool[0]}' is annotated and '{validation[0]}' gives the "
            "Dice, so that no result says anything of other cases; add some"
        ]
    if len(pool) == 1:
        return [f"only one case, '{pool[0]}', can be annotated; add some"]
    return []


def _same_image(dataset: Dataset) -> list[str]:
    twins: dict[tuple[object, str], list[CaseInfo]] = {}
    for case in dataset.cases.values():
        twins.setdefault((case.shape, case.image_sha256), []).append(case)
    # Two that are empty are no copies of each other.
    found = [cases for cases in twins.values() if len(cases) > 1 and _varies(dataset, cases[0].id)]
    apart = [cases for cases in found if _trained_and_judged({case.part for case in cases})]
    together = [cases for cases in found if cases not in apart]
    return [
        *_twins(apart, "so that Dice is measured on what was trained on"),
        *_twins(together, "so that it counts twice"),
    ]


def _trained_and_judged(parts: set[Part]) -> bool:
    return "pool" in parts and len(parts) > 1


def _twins(found: list[list[CaseInfo]], what: str) -> list[str]:
    if not found:
        return []
    shown = [" = ".join(f"{case.id} ({case.part})" for case in cases) for cases in found]
    return [f"the same image is in several cases, {what}: {few(shown, _MOST_NAMED)}; keep one"]


def _varies(dataset: Dataset, case: str) -> bool:
    return any(channel.min() < channel.max() for channel in dataset.image(case))


def _patients(dataset: Dataset, file_of_split: str | None) -> list[str]:
    found = several_per_patient(list(dataset.cases))
    if found is None:
        return []
    mend = (
        f"mend {file_of_split}"
        if file_of_split
        else f"ingest with --group-by '{found.pattern}', which keeps them together"
    )
    return [
        *_torn(dataset, found, ("pool", "validation"), mend),
        *_torn(dataset, found, ("pool", "test"), "keep them together in imagesTr or imagesTs"),
    ]


def _torn(dataset: Dataset, found: Likeness, parts: tuple[Part, Part], mend: str) -> list[str]:
    """Patients with images in both parts."""
    part = {case.id: case.part for case in dataset.cases.values()}
    torn = [ids for ids in found.groups.values() if set(parts) <= {part[case] for case in ids}]
    if not torn:
        return []
    shown = [" with ".join(f"{case} ({part[case]})" for case in ids) for ids in torn]
    return [
        f"case ids look like several of one patient, and {len(torn)} of {len(found.groups)} such "
        f"patients are in {parts[0]} and {parts[1]} both: {few(shown, _MOST_GROUPS)}; if they are, "
        f"{mend}"
    ]


def _small(dataset: Dataset) -> list[str]:
    """Cases that the preset's own training patch dwarfs; a run knows its own patch."""
    patch = training_patch(PRESETS["small"]["patch_size"], dataset)
    cases = dwarfed(dataset.cases.values(), patch)
    return [f"{dwarfed_text(cases, patch)}; look whether they are whole"] if cases else []


def _empty(dataset: Dataset) -> list[str]:
    # Of those that are still to be labelled nothing can be said.
    cases = [case for case in dataset.cases.values() if case.has_reference]
    if not cases:
        return []
    empty = [case.id for case in cases if not any(case.class_voxels[1:])]
    if len(empty) == len(cases):
        return [
            "no foreground is labelled in any case, so that there is nothing to learn; look "
            "whether these are the label files"
        ]
    said = [f"no foreground is labelled in {few(empty, _MOST_NAMED)}"] if empty else []
    return said + [
        f"class '{name}' occurs in no {part} case"
        for label, name in enumerate(dataset.classes)
        for part, ids in (("pool", dataset.pool), ("validation", dataset.validation))
        if all(dataset.cases[case].has_reference for case in ids)
        if not any(dataset.cases[case].class_voxels[label] for case in ids)
    ]
