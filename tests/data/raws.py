"""Tiny raw datasets, written anew for each test."""

import gzip
import json
from pathlib import Path

import nibabel as nib
import numpy as np

SHAPE = (12, 10, 8)
"""(z, y, x)"""


def volume(shape=SHAPE, seed=0) -> tuple[np.ndarray, np.ndarray]:
    """An image and labels: a box of class 1 with a smaller box of class 2 in it, both brighter."""
    labels = np.zeros(shape, dtype=np.uint8)
    labels[tuple(slice(n // 4, -(n // 4)) for n in shape)] = 1
    labels[tuple(slice(n // 3, n // 2) for n in shape)] = 2
    noise = np.random.default_rng(seed).normal(0, 5, shape)
    return (100 + 50 * labels + noise).astype(np.int16), labels


def save(path: Path, array: np.ndarray, spacing=(1.0, 1.0, 1.0), origin=(0.0, 0.0, 0.0)) -> None:
    """Write a ``(z, y, x)`` array, or ``(c, z, y, x)`` with channels last, as NIfTI."""
    affine = np.diag([*spacing[::-1], 1.0])
    affine[:3, 3] = origin
    spatial_first = array.T if array.ndim == 3 else np.moveaxis(array, 0, -1).transpose(2, 1, 0, 3)
    path.parent.mkdir(parents=True, exist_ok=True)
    nib.save(nib.Nifti1Image(spatial_first, affine), path)


def describe(root: Path, **changes: object) -> None:
    """Write ``dataset.json``; a value of None removes the key."""
    path = root / "dataset.json"
    raw = json.loads(path.read_text()) if path.exists() else {}
    raw |= changes
    root.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({k: v for k, v in raw.items() if v is not None}))


def nnunet(
    root: Path, cases=4, spacings=((1.0, 1.0, 1.0),), channels=("MR",), shapes=(SHAPE,)
) -> Path:
    """An nnU-Net v2 raw dataset; spacings and shapes are used in turn."""
    describe(
        root,
        channel_names={str(i): name for i, name in enumerate(channels)},
        labels={"background": 0, "organ": 1, "lesion": 2},
        numTraining=cases,
        file_ending=".nii.gz",
    )
    for index in range(cases):
        spacing, shape = spacings[index % len(spacings)], shapes[index % len(shapes)]
        for channel in range(len(channels)):
            image, labels = volume(shape, seed=10 * index + channel)
            save(root / f"imagesTr/case_{index}_{channel:04d}.nii.gz", image, spacing)
        save(root / f"labelsTr/case_{index}.nii.gz", labels, spacing)
    return root


def decathlon(root: Path, cases=4, channels=2) -> Path:
    """A Decathlon dataset with the channels of a case in one 4D file."""
    entries = []
    for index in range(cases):
        pairs = [volume(seed=10 * index + channel) for channel in range(channels)]
        image = np.stack([image for image, _ in pairs])
        save(root / f"imagesTr/case_{index}.nii.gz", image if channels > 1 else image[0])
        save(root / f"labelsTr/case_{index}.nii.gz", pairs[0][1])
        entries.append(
            {
                "image": f"./imagesTr/case_{index}.nii.gz",
                "label": f"./labelsTr/case_{index}.nii.gz",
            }
        )
    describe(
        root,
        name="Tiny",
        relase="1.0",
        tensorImageSize="4D",
        modality={str(i): f"M{i}" for i in range(channels)},
        labels={"0": "background", "1": "organ", "2": "lesion"},
        numTraining=cases,
        training=entries,
        test=[],
    )
    (root / "imagesTr/._case_0.nii.gz").write_bytes(b"rubbish that a Mac left")
    return root


def edit_header(path: Path, field: str, value: object) -> None:
    """Change one field of the header of a .nii.gz as it is stored, past the library's checks."""
    raw = bytearray(gzip.decompress(path.read_bytes()))
    header = nib.Nifti1Header(bytes(raw[:348]), check=False)
    header[field] = value
    raw[:348] = header.binaryblock
    path.write_bytes(gzip.compress(bytes(raw)))
