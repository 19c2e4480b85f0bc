"""A raw dataset whose labels lie elsewhere, and a person who paints them from there."""

import json
import shutil
from pathlib import Path

import nibabel as nib
import numpy as np

from alsweep.rng import stream

SHAPES = [(18, 20, 16), (14, 20, 18)]
"""(x, y, z)"""

SPACINGS = [(1.0, 1.0, 1.0), (1.1, 0.9, 1.5)]


def affine(rng, spacing) -> np.ndarray:
    """A turned head: oblique, and mirrored as DICOM is."""
    axes, _ = np.linalg.qr(np.diag([-1.0, -1.0, 1.0]) + rng.normal(0, 0.2, (3, 3)))
    found = np.eye(4)
    found[:3, :3] = axes * spacing
    found[:3, 3] = rng.normal(0, 80, 3)
    return found


def make_raw(root: Path, cases: int, validation: int) -> Path:
    """Images of balls in a cube, of which the first few come with labels; returns the truth."""
    truth = root.parent / "truth"
    for folder in (root / "imagesTr", root / "labelsTr", truth):
        folder.mkdir(parents=True)
    for index in range(cases):
        rng = stream(7, "raw", index)
        shape = np.array(SHAPES[index % 2])
        where = np.indices(shape) - (shape * rng.uniform(0.4, 0.6, 3)).reshape(3, 1, 1, 1)
        away = np.sqrt((where**2).sum(axis=0))
        labels = np.select([away < 3.5, away < 6], [2, 1], 0).astype(np.uint8)
        image = (100 * labels + rng.normal(50, 20, shape)).astype(np.int16)
        # Nothing is there: it is cropped.
        image[: 1 + index % 3] = 0
        labels[: 1 + index % 3] = 0
        place = affine(rng, SPACINGS[index % 2])
        name = f"case_{index}"
        nib.save(nib.Nifti1Image(image, place), root / f"imagesTr/{name}_0000.nii.gz")
        nib.save(nib.Nifti1Image(labels, place), truth / f"{name}.nii.gz")
        if index < validation:
            shutil.copy(truth / f"{name}.nii.gz", root / "labelsTr")
    description = {
        "channel_names": {"0": "MR"},
        "labels": {"background": 0, "shell": 1, "core": 2},
        "numTraining": cases,
        "file_ending": ".nii.gz",
    }
    (root / "dataset.json").write_text(json.dumps(description))
    return truth


def true_labels(truth: Path, case: str, image: nib.Nifti1Image) -> np.ndarray:
    """Truth on the grid of a crop, which is found by where both lie in space, and nothing else."""
    whole = nib.load(truth / f"{case}.nii.gz")
    there = np.linalg.inv(whole.affine) @ image.affine
    start = np.rint(there[:3, 3]).astype(int)
    assert np.allclose(there[:3, :3], np.eye(3), atol=1e-4), "turned, or of another spacing"
    assert np.allclose(there[:3, 3], start, atol=1e-2), "shifted"
    part = tuple(slice(a, a + n) for a, n in zip(start, image.shape, strict=True))
    return np.asarray(whole.dataobj)[part]


def paint(
    tasks: Path, patch: str, truth: Path, crop, out: Path | None = None, seconds=60.0, who="Ada"
) -> Path:
    """Paint a patch as a person would who knows the truth, and save it as a program would."""
    label = nib.load(tasks / f"{patch}_label.nii.gz")
    codes = np.asarray(label.dataobj).copy()
    right = true_labels(truth, patch.rsplit("-", 1)[0], label)
    box = tuple(
        slice(a, a + s) for a, s in zip(crop.box.start[::-1], crop.box.size[::-1], strict=True)
    )
    codes[box] = right[box]
    folder = out or tasks
    folder.mkdir(exist_ok=True)
    path = folder / f"{patch}_label.nii.gz"
    nib.save(nib.Nifti1Image(codes, label.affine), path)
    told = {"patch": patch, "annotator": who, "seconds": seconds, "corrections": 0}
    path.with_name(f"{patch}_label.json").write_text(json.dumps(told))
    return path
