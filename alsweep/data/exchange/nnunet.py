"""Partial labels as a raw dataset that stock nnU-Net trains on, ``ignore`` where not annotated."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from alsweep.data.exchange.volumes import write_volume
from alsweep.data.ingest.writing import new_folder
from alsweep.errors import DatasetError
from alsweep.files import write_json
from alsweep.label_codes import IGNORE

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from jaxtyping import Float64

    from alsweep.data.annotator import ReferenceLabels
    from alsweep.data.case import CaseInfo, Dataset, Spacing
    from alsweep.data.label_store import PartialLabels
    from alsweep.types import LabelMap

_ENDING = ".nii.gz"


def write_raw_dataset(
    out: Path,
    dataset: Dataset,
    labels: PartialLabels,
    reference: ReferenceLabels,
    on_case: Callable[[int], None] = lambda done: None,
) -> tuple[str, ...]:
    """Write a raw dataset in nnU-Net's version 2 and return its cases.

    It holds the cases with annotated patches, everything else in them being ``ignore``, and the
    validation cases with all their labels; the one fold of ``splits_final.json`` trains on those
    and validates on these. Images and labels are on the resampled grid, which is the one that
    the patches were queried and annotated on, so that no label is interpolated; they have one
    spacing throughout, so that none is when somebody plans on them, and the affine places them
    where the source lies. The images are those that alsweep trains on, normalised already, so
    that each channel is called ``noNorm``.

    Args:
        out: Must not exist; nnU-Net wants it to be called ``DatasetXXX_Name``.
        dataset: Gives the images.
        labels: What is annotated.
        reference: Labels of the validation cases.
        on_case: Called with the number of finished cases.

    Raises:
        DatasetError: ``out`` exists, or nothing is annotated.
    """
    if not labels.cases:
        raise DatasetError(f"{out}: no patch is annotated yet; export a later loop")
    with new_folder(out) as new:
        _write_cases(new, dataset, labels, reference, on_case)
        write_json(new / "dataset.json", _description(dataset, labels))
        split = {"train": list(labels.cases), "val": list(dataset.validation)}
        write_json(new / "splits_final.json", [split])
    return (*labels.cases, *dataset.validation)


def _write_cases(
    folder: Path,
    dataset: Dataset,
    labels: PartialLabels,
    reference: ReferenceLabels,
    on_case: Callable[[int], None],
) -> None:
    for part in ("imagesTr", "labelsTr"):
        (folder / part).mkdir(parents=True)
    for done, case in enumerate((*labels.cases, *dataset.validation)):
        info = dataset.case(case)
        affine = grid_affine(info, dataset.manifest.spacing)
        for index, channel in enumerate(dataset.image(case)):
            write_volume(folder / "imagesTr" / f"{case}_{index:04d}{_ENDING}", channel, affine)
        known = (
            labels.window(case, (0, 0, 0), info.shape)
            if case in labels.cases
            else reference.volume(case)
        )
        coded = _ignored(known, len(dataset.classes))
        write_volume(folder / "labelsTr" / f"{case}{_ENDING}", coded, affine)
        on_case(done + 1)


def _ignored(labels: LabelMap, code: int) -> LabelMap:
    """The labels with nnU-Net's code for ignore: the number after the last class."""
    return np.where(labels == IGNORE, np.uint8(code), labels)


def grid_affine(case: CaseInfo, spacing: Spacing | None = None) -> Float64[np.ndarray, "4 4"]:
    """Affine of the resampled grid: voxel index ``(x, y, z)`` to RAS, mm.

    Resampling keeps the outer faces of the cropped volume in place and fits a whole number of
    voxels between them, so that their size differs a little from case to case. Whoever plans on an
    export would then choose some size in between and interpolate every label once more. With a
    spacing all cases have that one, about the centre of the volume, which puts its faces at most a
    quarter of a voxel off the source.

    Args:
        case: Says where the source lies.
        spacing: ``(z, y, x)``, mm; the case's own, exact one if left out.
    """
    source = np.asarray(case.affine, dtype=np.float64)
    first, old = np.array(case.crop.start[::-1]), np.array(case.crop.size[::-1])
    new = np.array(case.shape[::-1])
    axes = source[:3, :3] * (old / new)
    if spacing is not None:
        axes = axes / np.linalg.norm(axes, axis=0) * spacing[::-1]
    affine = np.eye(4)
    affine[:3, :3] = axes
    centre = source[:3, :3] @ (first + (old - 1) / 2) + source[:3, 3]
    affine[:3, 3] = centre - axes @ ((new - 1) / 2)
    return affine


def _labels(dataset: Dataset) -> dict[str, Any]:
    """nnU-Net's ``labels``, and the order of regions where the source defined any."""
    ignore = {"ignore": len(dataset.classes)}
    regions = dataset.manifest.regions
    if not regions:
        names = enumerate(("background", *dataset.classes[1:]))
        return {"labels": {name: label for label, name in names} | ignore}
    named = {region.name: list(region.labels) for region in regions}
    order = list(dataset.manifest.regions_class_order)
    return {"labels": {"background": 0} | named | ignore, "regions_class_order": order}


def _description(dataset: Dataset, labels: PartialLabels) -> dict[str, Any]:
    return {
        "name": dataset.name,
        "description": f"{len(labels.patches)} patches annotated in {len(labels.cases)} cases",
        "channel_names": {str(i): "noNorm" for i in range(len(dataset.channels))},
        **_labels(dataset),
        "numTraining": len(labels.cases) + len(dataset.validation),
        "file_ending": _ENDING,
        # nnU-Net's first choice, SimpleITK, refuses affines that rounding has tilted.
        "overwrite_image_reader_writer": "NibabelIO",
        "alsweep": {
            "dataset_fingerprint": dataset.fingerprint,
            "channels": list(dataset.channels),
            "cropped": True,
        },
    }
