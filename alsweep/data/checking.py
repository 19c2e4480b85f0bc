"""Reading and checking all files of one case."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product
from typing import TYPE_CHECKING, Any

import numpy as np

from alsweep.data.raw import DESCRIPTION, RawCase, check_paths
from alsweep.data.reading import RawVolume, read_volume
from alsweep.data.writing import Source
from alsweep.errors import IngestError
from alsweep.geometry import triple

if TYPE_CHECKING:
    from pathlib import Path

    from jaxtyping import Shaped

    from alsweep.data.case import AffineRow
    from alsweep.types import LabelMap

AFFINE_TOLERANCE = 1e-3
"""Voxels by which corners of the image and of the label may lie apart."""

_MOST_SHOWN = 5


@dataclass(frozen=True)
class RawImages:
    """A case on its original grid, checked.

    Attributes:
        channels: Each ``(z, y, x)``, of the file's own type.
        labels: uint8 ``(z, y, x)``, within the classes of the dataset.
        source: Grid and files.
    """

    channels: tuple[Shaped[np.ndarray, "z y x"], ...]
    labels: LabelMap
    source: Source


def read_case(
    root: Path, case: RawCase, channels: int, classes: int, *, stacked: bool
) -> RawImages:
    """Read all files of a case.

    Args:
        root: The raw dataset.
        case: Its files.
        channels: How many there must be.
        classes: Labels must be below.
        stacked: Whether the channels are the last axis of one file.

    Raises:
        IngestError: A file is missing, malformed or does not fit the others; one line names it and
            the mend.
    """
    check_paths(root, case)
    volumes = [read_volume(root / path, str(root / path), stacked=stacked) for path in case.images]
    label = read_volume(root / case.label, str(root / case.label))
    first = str(root / case.images[0])
    for path, volume in zip(case.images[1:], volumes[1:], strict=True):
        _check_grid(volume, volumes[0], str(root / path), first)
    _check_grid(label, volumes[0], str(root / case.label), first)
    files = {
        str(path): volume.sha256
        for path, volume in zip((*case.images, case.label), (*volumes, label), strict=True)
    }
    affine = volumes[0].affine
    return RawImages(
        channels=_split_channels(volumes, channels, first),
        labels=_checked_labels(label.array, classes, str(root / case.label)),
        source=Source(
            shape=triple(volumes[0].array.shape[-3:]),
            spacing=volumes[0].spacing,
            affine=(_row(affine[0]), _row(affine[1]), _row(affine[2]), _row(affine[3])),
            files=files,
        ),
    )


def _check_grid(volume: RawVolume, first: RawVolume, name: str, first_name: str) -> None:
    shape, wanted = volume.array.shape[-3:], first.array.shape[-3:]
    if shape != wanted:
        raise IngestError(
            f"{name}: has {_by(shape[::-1])} voxels, but {first_name} has {_by(wanted[::-1])}; "
            "resample one onto the other"
        )
    apart = _apart(volume.affine, first, shape)
    if apart > AFFINE_TOLERANCE:
        raise IngestError(
            f"{name}: its affine puts it {apart:.3g} voxels off {first_name}; "
            "register the volumes or mend the header"
        )


def _apart(affine: np.ndarray[Any, Any], first: RawVolume, shape: tuple[int, ...]) -> float:
    """Largest distance of two corners that should coincide, in voxels of the first volume."""
    corners = np.array(list(product(*[(0, n - 1) for n in shape[::-1]])), dtype=np.float64)
    homogeneous = np.column_stack([corners, np.ones(len(corners))])
    index = (np.linalg.solve(first.affine, affine) @ homogeneous.T)[:3].T
    return float(np.abs(index - corners).max())


def _split_channels(
    volumes: list[RawVolume], channels: int, name: str
) -> tuple[Shaped[np.ndarray, "z y x"], ...]:
    arrays = [part for v in volumes for part in (v.array if v.array.ndim == 4 else v.array[None])]
    if len(arrays) != channels:
        raise IngestError(
            f"{name}: has {len(arrays)} channels, but {DESCRIPTION} names {channels}; correct one"
        )
    return tuple(arrays)


def _checked_labels(labels: Shaped[np.ndarray, "z y x"], classes: int, name: str) -> LabelMap:
    integral = labels.dtype.kind in "iub" or bool((labels == np.rint(labels)).all())
    if integral and labels.min() >= 0 and labels.max() < classes:
        return labels.astype(np.uint8)
    # Sorting all voxels takes seconds, so only a message that needs the values pays for it.
    found = np.unique(labels)
    broken = found[found != np.rint(found)]
    if len(broken):
        raise IngestError(
            f"{name}: holds labels that are not integers ({_few(broken)}); "
            "resample labels with nearest neighbour"
        )
    foreign = found[(found < 0) | (found >= classes)]
    raise IngestError(
        f"{name}: holds labels that {DESCRIPTION} does not name ({_few(foreign)}); "
        "name or remove them"
    )


def _few(values: np.ndarray[Any, Any]) -> str:
    shown = ", ".join(f"{value:g}" for value in values[:_MOST_SHOWN].astype(float))
    return shown + (", ..." if len(values) > _MOST_SHOWN else "")


def _by(shape: tuple[int, ...]) -> str:
    return "x".join(map(str, shape))


def _row(values: np.ndarray[Any, Any]) -> AffineRow:
    a, b, c, d = (float(value) for value in values)
    return a, b, c, d
