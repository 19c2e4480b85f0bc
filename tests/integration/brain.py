"""Real anatomy, small: the ICBM 152 template and its tissues, which ship inside nilearn."""

import json
from pathlib import Path

import nibabel as nib
import nilearn.datasets
import numpy as np
from scipy import ndimage

from alsweep.rng import stream

NAMES = ("csf", "grey_matter", "white_matter")


def template() -> tuple[np.ndarray, np.ndarray]:
    """T1 in 0..1 and labels (0 air, then :data:`NAMES`), 1 mm."""
    folder = Path(nilearn.datasets.__file__).parent / "data"
    t1, grey, white = (
        np.asarray(
            nib.load(folder / f"mni_icbm152_{name}_tal_nlin_sym_09a_converted.nii.gz").dataobj,
            dtype=np.float32,
        )
        for name in ("t1", "gm", "wm")
    )
    brain = ndimage.binary_fill_holes(t1 > 0.02 * t1.max())
    grey, white = grey / grey.max(), white / white.max()
    tissues = np.stack([np.clip(1 - grey - white, 0, 1), grey, white])
    return t1 / t1.max(), np.where(brain, 1 + tissues.argmax(axis=0), 0).astype(np.uint8)


def make_brains(root: Path, cases: int, validation: int, spacing: float = 6.0) -> Path:
    """Heads that are turned, stretched and noisy, each its own way; returns the truth's folder.

    Args:
        root: The raw dataset; the first ``validation`` cases have their labels in it.
        cases: How many.
        validation: Of them.
        spacing: mm; the slices are thicker.
    """
    t1, labels = template()
    truth = root.parent / "truth"
    for folder in (root / "imagesTr", root / "labelsTr", truth):
        folder.mkdir(parents=True)
    for index in range(cases):
        rng = stream(3, "brain", index)
        steps = spacing * np.array([1, 1, 1.25])
        shape = np.ceil(np.array(t1.shape) / steps).astype(int)
        axes, _ = np.linalg.qr(np.eye(3) + rng.normal(0, 0.06, (3, 3)))
        axes = axes * np.sign(np.diag(axes)) * rng.uniform(0.93, 1.07, 3)
        grid = np.indices(shape) * steps.reshape(3, 1, 1, 1)
        centre = (np.array(t1.shape) / 2).reshape(3, 1, 1, 1)
        where = np.einsum("ij,jxyz->ixyz", axes, grid - centre) + centre
        image = ndimage.map_coordinates(t1, where, order=1) * rng.uniform(300, 900)
        image = (image + rng.normal(0, 15, shape)).clip(0).astype(np.int16)
        place = np.eye(4)
        place[:3, :3] = np.diag([-1, -1, 1]) @ axes * steps
        place[:3, 3] = rng.normal(0, 60, 3)
        target = ndimage.map_coordinates(labels, where, order=0)
        nib.save(nib.Nifti1Image(image, place), root / f"imagesTr/brain_{index}_0000.nii.gz")
        nib.save(nib.Nifti1Image(target, place), truth / f"brain_{index}.nii.gz")
        if index < validation:
            nib.save(nib.Nifti1Image(target, place), root / f"labelsTr/brain_{index}.nii.gz")
    description = {
        "channel_names": {"0": "T1"},
        "labels": {"background": 0, **{name: i for i, name in enumerate(NAMES, start=1)}},
        "numTraining": cases,
        "file_ending": ".nii.gz",
    }
    (root / "dataset.json").write_text(json.dumps(description))
    return truth
