"""The raw datasets and lists of shapes that nnU-Net's planner was asked about.

Used by the script that asks it and by the tests that compare, so it needs numpy and nibabel alone.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import nibabel as nib
import numpy as np


@dataclass(frozen=True)
class Tiny:
    """A dataset that is written out; sizes and spacings ``(z, y, x)`` are those of its cases."""

    channels: tuple[str, ...]
    shapes: tuple[tuple[int, int, int], ...]
    spacings: tuple[tuple[float, float, float], ...]
    border: int
    """Zero voxels around the body on each side."""


TINY = {
    "isotropic": Tiny(
        ("MR",),
        ((40, 48, 44), (36, 52, 44), (44, 50, 40), (40, 46, 48)),
        ((1.0, 1.0, 1.0), (1.0, 1.0, 1.0), (1.2, 1.0, 1.0), (1.0, 0.9, 0.9)),
        border=5,
    ),
    "thick": Tiny(
        ("T2",),
        ((10, 60, 64), (9, 58, 66), (12, 64, 60), (17, 66, 66)),
        ((8.0, 1.4, 1.4), (9.0, 1.3, 1.3), (8.0, 1.5, 1.5), (5.0, 1.4, 1.4)),
        border=0,
    ),
    "ct": Tiny(
        ("CT",),
        ((30, 64, 60), (36, 60, 56), (44, 56, 60), (28, 70, 66)),
        ((2.5, 0.8, 0.8), (2.0, 0.75, 0.75), (1.5, 0.9, 0.9), (3.0, 0.7, 0.7)),
        border=0,
    ),
    "two_channels": Tiny(
        ("T1", "CT"),
        ((50, 44, 14), (46, 48, 12), (48, 44, 15), (52, 40, 13)),
        ((1.0, 1.0, 4.0), (1.1, 1.0, 4.5), (1.0, 1.1, 4.0), (0.9, 1.0, 3.5)),
        border=3,
    ),
}


def volumes(name: str, index: int) -> tuple[list[np.ndarray], np.ndarray]:
    """Channels int16 and labels uint8 ``(z, y, x)`` of a case; background, organ and lesion."""
    tiny = TINY[name]
    shape = tiny.shapes[index]
    rng = np.random.default_rng([sorted(TINY).index(name), index])
    grid = np.meshgrid(*[(np.arange(n) + 0.5) / n - 0.5 for n in shape], indexing="ij")
    labels = np.zeros(shape, dtype=np.uint8)
    labels[sum((g / 0.33) ** 2 for g in grid) < 1] = 1
    labels[sum(((g - 0.08) / 0.15) ** 2 for g in grid) < 1] = 2
    body = np.zeros(shape, dtype=bool)
    body[tuple(slice(tiny.border, n - tiny.border) for n in shape)] = True
    images = []
    for channel in tiny.channels:
        base = (-900, 40, 180) if channel == "CT" else (120, 300, 520)
        noise = rng.integers(-60, 61, shape) + rng.integers(-60, 61, shape)
        image = np.choose(labels, base) + noise + 15 * index
        images.append(np.where(body, image, 0).astype(np.int16))
    labels[~body] = 0
    return images, labels


def write(root: Path, name: str, validation: bool = False) -> None:
    """Write a dataset as nnU-Net raw; with ``validation`` its last case once more as imagesVal."""
    tiny = TINY[name]
    root.mkdir(parents=True)
    (root / "dataset.json").write_text(
        json.dumps(
            {
                "channel_names": {str(i): c for i, c in enumerate(tiny.channels)},
                "labels": {"background": 0, "organ": 1, "lesion": 2},
                "numTraining": len(tiny.shapes),
                "file_ending": ".nii.gz",
            }
        )
    )
    for index in range(len(tiny.shapes)):
        _write_case(root, name, index, "Tr", f"case_{index}")
    if validation:
        _write_case(root, name, len(tiny.shapes) - 1, "Val", "held_out")


def _write_case(root: Path, name: str, index: int, part: str, case: str) -> None:
    images, labels = volumes(name, index)
    spacing = TINY[name].spacings[index]
    for channel, image in enumerate(images):
        _save(root / f"images{part}" / f"{case}_{channel:04d}.nii.gz", image, spacing)
    _save(root / f"labels{part}" / f"{case}.nii.gz", labels, spacing)


def _save(path: Path, array: np.ndarray, spacing: tuple[float, float, float]) -> None:
    path.parent.mkdir(exist_ok=True)
    nib.save(nib.Nifti1Image(array.T, np.diag([*spacing[::-1], 1.0])), path)


@dataclass(frozen=True)
class Listed:
    """A dataset of which the planner is told shapes and spacings only."""

    channels: int
    labels: int
    spacings: list[list[float]]
    shapes: list[list[int]]


def listed() -> Iterator[tuple[str, Listed]]:
    """Lists like those of known datasets, and 24 drawn at random."""
    rng = np.random.default_rng(0)

    def some(cases, shape, spacing, spread=0.1):
        factors = 1 + spread * rng.uniform(-1, 1, (2, cases, 3))
        return (
            np.round(spacing * factors[0], 3).tolist(),
            np.maximum(1, np.rint(shape * factors[1])).astype(int).tolist(),
        )

    for name, channels, labels, cases, shape, spacing in (
        ("hippocampus", 1, 3, 208, (36, 50, 35), (1.0, 1.0, 1.0)),
        ("acdc", 1, 4, 150, (9, 235, 210), (9.5, 1.56, 1.56)),
        ("kits", 1, 4, 157, (216, 512, 512), (2.0, 0.78, 0.78)),
        ("brats", 4, 4, 484, (138, 170, 138), (1.0, 1.0, 1.0)),
        ("prostate", 2, 3, 32, (19, 320, 318), (3.6, 0.625, 0.625)),
        ("liver", 1, 3, 131, (432, 512, 512), (1.0, 0.77, 0.77)),
        ("amos", 1, 16, 200, (101, 500, 500), (5.0, 0.7, 0.7)),
        ("few_cases", 1, 2, 3, (60, 60, 60), (1.0, 1.0, 1.0)),
        ("slab", 1, 2, 40, (5, 300, 300), (6.0, 0.5, 0.5)),
        ("coarse_x", 2, 5, 40, (200, 220, 30), (0.8, 0.9, 5.0)),
        ("tiny", 1, 2, 12, (6, 7, 5), (1.0, 1.0, 1.0)),
    ):
        spacings, shapes = some(cases, np.array(shape), np.array(spacing))
        yield name, Listed(channels, labels, spacings, shapes)
    for index in range(24):
        shape = np.rint(np.exp(rng.uniform(np.log(8), np.log(600), 3)))
        spacing = np.exp(rng.uniform(np.log(0.4), np.log(6), 3))
        spacings, shapes = some(int(rng.integers(2, 60)), shape, spacing, spread=0.3)
        channels, labels = (int(n) for n in rng.integers((1, 2), (5, 20)))
        yield f"random_{index:02d}", Listed(channels, labels, spacings, shapes)


def grids() -> Iterator[tuple[str, np.ndarray, np.ndarray, tuple[int, int, int], list, list]]:
    """Resampling tasks: name, image, labels, new shape, old and new spacing."""
    rng = np.random.default_rng(1)
    for name, old, new, before, after in (
        ("finer", (6, 7, 8), (9, 10, 12), [1.5, 1.5, 1.5], [1.0, 1.05, 1.0]),
        ("coarser", (10, 12, 9), (7, 6, 6), [1.0, 1.0, 1.0], [1.4, 2.0, 1.5]),
        ("thick", (5, 10, 10), (8, 7, 12), [8.0, 1.0, 1.0], [5.0, 1.4, 0.8]),
        ("thick_x", (9, 10, 6), (7, 12, 3), [1.0, 1.0, 4.0], [1.3, 0.8, 8.0]),
        ("two_coarse", (10, 6, 6), (12, 8, 8), [0.25, 1.25, 1.25], [0.2, 0.9, 0.9]),
    ):
        image = rng.integers(-100, 101, old).astype(np.float32)
        labels = rng.integers(0, 3, [-(-n // 3) for n in old]).astype(np.uint8) * 2
        for axis in range(3):
            labels = np.repeat(labels, 3, axis=axis)
        yield name, image, labels[tuple(map(slice, old))], new, before, after
