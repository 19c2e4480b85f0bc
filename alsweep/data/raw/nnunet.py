"""The layout of nnU-Net v2 raw datasets: folders by part, files by case and channel."""

from __future__ import annotations

from dataclasses import replace
from os.path import lexists
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import Field

from alsweep.data.case import Region
from alsweep.data.raw.filenames import cases_of, check_free, check_labels, volumes_in
from alsweep.data.raw.foreign import Foreign
from alsweep.data.raw.layout import (
    DESCRIPTION,
    Origin,
    RawCase,
    RawDataset,
    RawLabels,
    by_index,
    few,
    read_folds,
)
from alsweep.data.raw.painting import advice, flaw, told
from alsweep.data.raw.reading import ENDINGS
from alsweep.errors import IngestError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

IGNORE_NAME = "ignore"
FREE = "addTr"
"""Where nnActive keeps labels that cost nothing."""

_FOLDERS: dict[Origin, str] = {"training": "Tr", "validation": "Val", "test": "Ts"}
_READERS = {
    "SimpleITKIO": False,
    "NibabelIO": False,
    "SimpleITKIOWithReorient": True,
    "NibabelIOWithReorient": True,
}
"""Readers of nnU-Net for our endings, and whether they turn volumes to RAS."""


class _Files(Foreign):
    images: tuple[str, ...] = Field(min_length=1)
    label: str


class _Own(Foreign):
    """What alsweep's export says of itself."""

    cropped: bool = False


class NnunetJson(Foreign):
    """What alsweep reads of ``dataset.json``."""

    channel_names: dict[str, str]
    labels: dict[str, int | list[int]]
    file_ending: str
    regions_class_order: tuple[int, ...] | None = None
    overwrite_image_reader_writer: str | None = None
    use_mask_for_norm: bool | tuple[bool, ...] | None = None
    dataset: dict[str, _Files] | None = None
    alsweep: _Own = _Own()
    numTraining: int | None = None  # noqa: N815  (the format's own key)


def read_nnunet(root: Path, description: NnunetJson) -> RawDataset:
    """Find out what an nnU-Net raw folder holds.

    Raises:
        IngestError: ``dataset.json`` contradicts itself, or a file name does not fit it.
    """
    channels = by_index(description.channel_names, "channel_names", repeats=True)
    _check_ending(description.file_ending)
    return RawDataset(
        root=root,
        name=root.resolve().name,
        labels=_labels(description),
        channels=channels,
        stacked=False,
        reorient=_reorient(description.overwrite_image_reader_writer),
        cases=tuple(_cases(root, description, len(channels))),
        folds=read_folds(root),
        announced=description.numTraining,
        mask_for_norm=_mask_for_norm(description.use_mask_for_norm, len(channels)),
        cropped=description.alsweep.cropped,
    )


def _check_ending(ending: str) -> None:
    if ending in ENDINGS:
        return
    meant = "." + ending.lower().lstrip("*.")
    mend = f'write "{meant}"' if meant in ENDINGS else "convert the volumes"
    raise IngestError(
        f"{DESCRIPTION}: 'file_ending': alsweep reads {', '.join(ENDINGS)}, got "
        f"'{ending[:60]}'; {mend}"
    )


def _reorient(reader: str | None) -> bool:
    if reader is None:
        return False
    if reader not in _READERS:
        raise IngestError(
            f"{DESCRIPTION}: 'overwrite_image_reader_writer': alsweep knows "
            f"{', '.join(_READERS)}, got '{reader[:60]}'; remove the key or convert the volumes"
        )
    return _READERS[reader]


def _mask_for_norm(value: bool | tuple[bool, ...] | None, channels: int) -> tuple[bool, ...] | None:
    if value is None or isinstance(value, bool):
        return None if value is None else (value,) * channels
    if len(value) != channels:
        raise IngestError(
            f"{DESCRIPTION}: 'use_mask_for_norm': expected {channels} values, one per channel, "
            f"got {len(value)}; correct them"
        )
    return value


# Labels


def _labels(description: NnunetJson) -> RawLabels:
    declared = description.labels
    sets = {name: _set(name, value) for name, value in declared.items() if name != IGNORE_NAME}
    numbers = sorted({label for labels in sets.values() for label in labels})
    _check_background(sets)
    classes = by_index({str(n): _class_name(n, sets) for n in numbers}, "labels")
    regions: tuple[Region, ...] = ()
    order: tuple[int, ...] = ()
    # As nnU-Net: a list of one number is a class like any other.
    if all(len(labels) == 1 for labels in sets.values()):
        if len(sets) > len(numbers):
            raise IngestError(
                f"{DESCRIPTION}: 'labels': two classes have the same number; write one name "
                "for it, or number them here and in the label files alike"
            )
    else:
        regions = tuple(Region(name=n, labels=s) for n, s in sets.items() if s != (0,))
        order = _order(description.regions_class_order, regions, numbers)
    return RawLabels(
        classes=classes,
        ignore=_ignore(declared, numbers),
        regions=regions,
        regions_class_order=order,
        declared=len(declared),
    )


def _check_background(sets: Mapping[str, Sequence[int]]) -> None:
    """Label 0 is the background, whatever it is called, and nothing else is called so."""
    if not any(0 in labels for labels in sets.values()):
        raise IngestError(
            f"{DESCRIPTION}: 'labels': nothing is numbered 0, which voxels of no class have; add "
            '"background": 0'
        )
    for name, labels in sets.items():
        if name.lower() == "background" and tuple(labels) != (0,):
            raise IngestError(
                f"{DESCRIPTION}: 'labels.{name}': must be 0, got {few(labels)}; give it the number "
                "0 here and in the label files alike"
            )


def _set(name: str, value: int | list[int]) -> tuple[int, ...]:
    labels = tuple(value) if isinstance(value, list) else (value,)
    if not labels or len(set(labels)) < len(labels):
        raise IngestError(
            f"{DESCRIPTION}: 'labels.{name[:60]}': must name different labels, got "
            f"{few(labels) or 'none'}; correct it"
        )
    return labels


def _class_name(label: int, sets: Mapping[str, Sequence[int]]) -> str:
    """The name of a label: its own, or a number if it only occurs in regions."""
    own = (name for name, labels in sets.items() if tuple(labels) == (label,))
    return next(own, "background" if label == 0 else f"label_{label}")


def _order(
    order: tuple[int, ...] | None, regions: Sequence[Region], numbers: Sequence[int]
) -> tuple[int, ...]:
    place = f"{DESCRIPTION}: 'regions_class_order'"
    if order is None:
        raise IngestError(
            f"{place}: is missing, but labels has regions, and each is painted with one label; "
            f"{advice(regions)}"
        )
    if len(order) != len(regions) or not set(order) <= set(numbers):
        raise IngestError(
            f"{place}: expected {len(regions)} of the labels {few(numbers)}, one per region, got "
            f"{few(order) or 'none'}; {advice(regions)}"
        )
    found = flaw(regions, order)
    if found is not None:
        raise IngestError(f"{place}: {told(regions, order, found)}")
    return order


def _ignore(labels: Mapping[str, int | list[int]], numbers: Sequence[int]) -> int | None:
    value = labels.get(IGNORE_NAME)
    if value is None:
        return None
    if value != len(numbers):
        raise IngestError(
            f"{DESCRIPTION}: 'labels.ignore': must be the highest label, {len(numbers)}, got "
            f"{str(value)[:60]}; renumber it here and in the label files alike"
        )
    return len(numbers)


# Cases


def _cases(root: Path, description: NnunetJson, channels: int) -> list[RawCase]:
    ending = description.file_ending
    if description.dataset is None:
        cases = [case for origin in _FOLDERS for case in _cases_in(root, origin, ending, channels)]
    else:
        cases = [_listed(root, case, files) for case, files in description.dataset.items()]
        cases += _cases_in(root, "validation", ending, channels)
        cases += _cases_in(root, "test", ending, channels)
    return _with_free_labels(root, cases, ending)


def _listed(root: Path, case: str, files: _Files) -> RawCase:
    """A case whose files ``dataset.json`` names itself."""
    for path in (*files.images, files.label):
        # nnU-Net expands them; here a Dataset follows from the raw folder alone.
        if "$" in path and not lexists(root / path):
            raise IngestError(
                f"{DESCRIPTION}: 'dataset.{case[:60]}': '{path[:200]}' holds a variable, or is "
                "missing; write the path out"
            )
    if case.startswith(".") or "/" in case or "\\" in case:
        raise IngestError(f"{DESCRIPTION}: 'dataset': '{case[:60]}' cannot be a case id; rename it")
    return RawCase(case, "training", tuple(map(Path, files.images)), Path(files.label))


def _cases_in(root: Path, origin: Origin, ending: str, channels: int) -> list[RawCase]:
    """Cases of one pair of folders; a test image without a label is of no use and no case."""
    images, labels = (f"{kind}{_FOLDERS[origin]}" for kind in ("images", "labels"))
    if not (root / images).is_dir():
        if origin == "training":
            raise IngestError(
                f"{root / images}: is missing; put the images of the training cases there"
            )
        return []
    labelled = volumes_in(root / labels, ending)
    if origin == "test" and not labelled.stems:
        return []
    imaged = cases_of(volumes_in(root / images, ending), set(labelled.stems), channels)
    check_labels(labelled, imaged)
    return [
        RawCase(
            id=case,
            origin=origin,
            images=tuple(Path(images, f"{case}_{c:04d}{ending}") for c in range(channels)),
            label=Path(labels, f"{case}{ending}"),
        )
        for case in sorted({*labelled.stems, *(() if origin == "test" else imaged)})
    ]


def _with_free_labels(root: Path, cases: list[RawCase], ending: str) -> list[RawCase]:
    free = volumes_in(root / FREE, ending)
    freed = set(free.stems)
    check_free(free, {case.id for case in cases if case.origin == "training"})
    return [
        replace(case, free=Path(FREE, f"{case.id}{ending}")) if case.id in freed else case
        for case in cases
    ]
