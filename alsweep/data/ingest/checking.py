"""Reading and checking all files of one case."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from alsweep.data.case import Source
from alsweep.data.ingest.crop import nonzero_box, whole
from alsweep.data.raw.folder import check_paths
from alsweep.data.raw.grids import Oddity, displacement
from alsweep.data.raw.layout import DESCRIPTION
from alsweep.data.raw.reading import read_volume
from alsweep.data.raw.volume import RawVolume
from alsweep.errors import IngestError
from alsweep.geometry import triple
from alsweep.label_codes import IGNORE

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from jaxtyping import Shaped

    from alsweep.data.case import AffineRow, Box
    from alsweep.data.raw.layout import RawCase, RawDataset
    from alsweep.types import LabelMap

_ROUNDING = 0.01
"""By how much a label may miss an integer: 254 times a ``scl_slope`` of 1.00002 does by half of it.
What was interpolated misses by more somewhere."""

_CODES = 256
_MOST_SHOWN = 5


@dataclass(frozen=True)
class RawImages:
    """A case on its original grid, checked.

    Attributes:
        channels: Each ``(z, y, x)``, of the file's own type.
        labels: uint8 ``(z, y, x)``, within the classes of the dataset, or 255 for ignore; 255
            throughout where nobody has labelled the case.
        free: uint8 ``(z, y, x)``, labels that cost nothing, 255 where there is none.
        before: uint8 ``(z, y, x)``, what somebody labelled earlier, 255 elsewhere.
        source: Grid and files.
        offsets: Voxels by which each file lies off the first one.
        oddities: What the headers say besides.
    """

    channels: tuple[Shaped[np.ndarray, "z y x"], ...]
    labels: LabelMap
    free: LabelMap | None
    before: LabelMap | None
    source: Source
    offsets: dict[str, float]
    oddities: tuple[Oddity, ...]


def read_case(dataset: RawDataset, case: RawCase) -> RawImages:
    """Read all files of a case.

    Raises:
        IngestError: A file is missing, malformed or does not fit the others; one line names it and
            the mend.
    """
    try:
        return _read(dataset, case)
    except MemoryError:
        raise IngestError(
            f"{dataset.root / case.images[0]}: does not fit into memory; free some or leave the "
            "case out"
        ) from None


def _read(dataset: RawDataset, case: RawCase) -> RawImages:
    root, classes = dataset.root, len(dataset.labels.classes)
    check_paths(dataset, case)
    volumes = {
        path: read_volume(
            root / path,
            str(root / path),
            stacked=dataset.stacked and path in case.images,
            reorient=dataset.reorient,
        )
        for path in dict.fromkeys(case.files)
    }
    first = case.images[0]
    for path, volume in volumes.items():
        _check_shape(volume, volumes[first], str(root / path), str(root / first))
    images = [volumes[path] for path in case.images]
    channels = _split_channels(images, len(dataset.channels), str(root / first))
    codes = {} if dataset.labels.ignore is None else {dataset.labels.ignore: IGNORE}
    unknown = codes | {IGNORE: IGNORE}

    def checked(path: Path | None, codes: Mapping[int, int]) -> LabelMap | None:
        if path is None:
            return None
        return _checked_labels(volumes[path].array, classes, codes, str(root / path))

    labels = checked(case.label, unknown if dataset.unlabelled else codes)
    if labels is None:
        labels = np.full(volumes[first].array.shape[-3:], IGNORE, dtype=np.uint8)
    crop = whole(volumes[first].array.shape) if dataset.cropped else nonzero_box(channels)
    return RawImages(
        channels,
        labels,
        checked(case.free, {IGNORE: IGNORE}),
        checked(case.before, unknown),
        _source(volumes, first, crop),
        offsets={str(path): _offset(volume, volumes[first]) for path, volume in volumes.items()},
        oddities=tuple(
            oddity.model_copy(update={"file": str(path)})
            for path, volume in volumes.items()
            for oddity in volume.oddities
        ),
    )


def _source(volumes: Mapping[Path, RawVolume], first: Path, crop: Box) -> Source:
    affine = volumes[first].affine
    return Source(
        shape=triple(volumes[first].array.shape[-3:]),
        spacing=volumes[first].spacing,
        affine=(_row(affine[0]), _row(affine[1]), _row(affine[2]), _row(affine[3])),
        crop=crop,
        files={str(path): volume.sha256 for path, volume in volumes.items()},
    )


def _check_shape(volume: RawVolume, first: RawVolume, name: str, first_name: str) -> None:
    shape, wanted = volume.array.shape[-3:], first.array.shape[-3:]
    if shape != wanted:
        raise IngestError(
            f"{name}: has {_by(shape[::-1])} voxels, but {first_name} has {_by(wanted[::-1])}; "
            "resample one onto the other"
        )


def _offset(volume: RawVolume, first: RawVolume) -> float:
    return displacement(volume.affine, first.affine, volume.array.shape[-3:])


def _split_channels(
    volumes: list[RawVolume], channels: int, name: str
) -> tuple[Shaped[np.ndarray, "z y x"], ...]:
    arrays = [part for v in volumes for part in (v.array if v.array.ndim == 4 else v.array[None])]
    if len(arrays) != channels:
        raise IngestError(
            f"{name}: has {len(arrays)} channels, but {DESCRIPTION} names {channels}; correct one"
        )
    return tuple(arrays)


def _checked_labels(
    labels: Shaped[np.ndarray, "z y x"], classes: int, codes: Mapping[int, int], name: str
) -> LabelMap:
    """Labels as uint8; ``codes`` maps numbers beyond the classes to what they are stored as."""
    if labels.dtype.kind == "f":
        # Plane by plane, since each step makes a copy.
        if any(np.abs(plane - np.rint(plane)).max() > _ROUNDING for plane in labels):
            raise _wrong_labels(labels, classes, codes, name)
        labels = np.rint(labels)
    if labels.min() >= 0 and labels.max() < classes:
        return labels.astype(np.uint8)
    if labels.min() >= 0 and labels.max() < _CODES:
        table = np.arange(_CODES, dtype=np.uint8)
        table[list(codes)] = list(codes.values())
        known = np.arange(_CODES) < classes
        known[list(codes)] = True
        small = labels.astype(np.uint8)
        if known[small].all():
            return table[small]
    raise _wrong_labels(labels, classes, codes, name)


def _wrong_labels(
    labels: Shaped[np.ndarray, "z y x"], classes: int, codes: Mapping[int, int], name: str
) -> IngestError:
    # Sorting all voxels takes seconds, so only a message that needs the values pays for it.
    found = np.unique(labels)
    broken = found[np.abs(found - np.rint(found)) > _ROUNDING]
    if len(broken):
        return IngestError(
            f"{name}: holds labels that are not integers ({_few(broken)}); "
            "resample labels with nearest neighbour"
        )
    found = np.unique(np.rint(found))
    foreign = found[((found < 0) | (found >= classes)) & ~np.isin(found, list(codes))]
    return IngestError(
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
