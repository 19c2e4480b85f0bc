"""The layout of the Medical Segmentation Decathlon: ``dataset.json`` lists the cases."""

from __future__ import annotations

from pathlib import Path, PurePosixPath

from alsweep.data.foreign import Foreign
from alsweep.data.layout import (
    DESCRIPTION,
    RawCase,
    RawDataset,
    RawLabels,
    by_index,
    read_folds,
)
from alsweep.data.reading import ENDINGS
from alsweep.errors import IngestError


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
    """Find out what a Decathlon folder holds.

    Raises:
        IngestError: A class or channel has no number of its own, or an entry is no volume.
    """
    cases = [
        RawCase(
            id=_stem(entry.image),
            origin="training",
            images=(Path(entry.image),),
            label=Path(entry.label),
        )
        for entry in description.training
        # What a Mac leaves beside each file.
        if not PurePosixPath(entry.image).name.startswith(".")
    ]
    classes = by_index(description.labels, "labels")
    return RawDataset(
        root=root,
        name=root.resolve().name,
        labels=RawLabels(classes, declared=len(classes)),
        channels=by_index(description.modality, "modality", repeats=True),
        stacked=True,
        reorient=False,
        cases=tuple(cases),
        folds=read_folds(root),
        announced=description.numTraining,
    )


def _stem(image: str) -> str:
    name = PurePosixPath(image).name
    for ending in ENDINGS:
        if name.endswith(ending) and name != ending:
            return name.removesuffix(ending)
    raise IngestError(
        f"{DESCRIPTION}: 'training': '{image[:200]}' is no volume; "
        f"alsweep reads {', '.join(ENDINGS)}"
    )
