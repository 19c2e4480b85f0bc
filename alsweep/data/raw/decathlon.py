"""The layout of the Medical Segmentation Decathlon: ``dataset.json`` lists the cases.

nnU-Net v1 has the same ``dataset.json``, which lists ``case.nii.gz``, and one file per channel,
named ``case_0000.nii.gz``.
"""

from __future__ import annotations

from os.path import lexists
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from alsweep.data.raw.foreign import Foreign
from alsweep.data.raw.layout import (
    DESCRIPTION,
    RawCase,
    RawDataset,
    RawLabels,
    by_index,
    is_leftover,
    read_folds,
)
from alsweep.data.raw.reading import ENDINGS
from alsweep.errors import IngestError

if TYPE_CHECKING:
    from collections.abc import Sequence


class _Entry(Foreign):
    image: str
    label: str


class DecathlonJson(Foreign):
    """What alsweep reads of ``dataset.json``.

    Labels are named by number here, the other way round than in nnU-Net. Keys that some of the ten
    datasets misspell (``relase`` for ``release``) say nothing that matters here.
    """

    name: str | None = None
    modality: dict[str, str]
    labels: dict[str, str]
    training: list[_Entry]
    numTraining: int | None = None  # noqa: N815  (the format's own key)


def read_decathlon(root: Path, description: DecathlonJson) -> RawDataset:
    """Find out what a Decathlon folder holds, or one of nnU-Net v1.

    Raises:
        IngestError: A class or channel has no number of its own, or an entry is no volume.
    """
    channels = by_index(description.modality, "modality", repeats=True)
    entries = [
        entry for entry in description.training if not is_leftover(PurePosixPath(entry.image).name)
    ]
    by_channel = _is_by_channel(root, entries)
    if "0" not in description.labels:
        raise IngestError(
            f"{DESCRIPTION}: 'labels': nothing is numbered 0, which voxels of no class have; add "
            '"0": "background"'
        )
    classes = by_index(description.labels, "labels")
    return RawDataset(
        root=root,
        name=root.resolve().name,
        labels=RawLabels(classes, declared=len(classes)),
        channels=channels,
        stacked=not by_channel,
        reorient=False,
        cases=tuple(_case(root, e, len(channels) if by_channel else None) for e in entries),
        folds=read_folds(root),
        announced=description.numTraining,
    )


def _is_by_channel(root: Path, entries: Sequence[_Entry]) -> bool:
    """Whether the files are those of nnU-Net v1: none as it is listed, but some by channel."""
    return not any(lexists(root / entry.image) for entry in entries) and any(
        lexists(root / _of_channel(entry.image, 0)) for entry in entries
    )


def _case(root: Path, entry: _Entry, channels: int | None) -> RawCase:
    """A case whose image is one file, or one for each of ``channels``."""
    images: tuple[Path, ...] = (Path(entry.image),)
    if channels is not None:
        images = tuple(_of_channel(entry.image, channel) for channel in range(channels))
        further = root / _of_channel(entry.image, channels)
        if lexists(further):
            raise IngestError(
                f"{further}: is channel {channels}, but {DESCRIPTION} names {channels}, counted "
                "from 0000; add it to modality, or move the file out of that folder"
            )
    return RawCase(_stem(entry.image), "training", images, Path(entry.label))


def _of_channel(image: str, channel: int) -> Path:
    stem = _stem(image)
    ending = PurePosixPath(image).name.removeprefix(stem)
    return Path(image).with_name(f"{stem}_{channel:04d}{ending}")


def _stem(image: str) -> str:
    name = PurePosixPath(image).name
    for ending in ENDINGS:
        if name.endswith(ending) and name != ending:
            return name.removesuffix(ending)
    raise IngestError(
        f"{DESCRIPTION}: 'training': '{image[:200]}' is no volume; "
        f"alsweep reads {', '.join(ENDINGS)}"
    )
