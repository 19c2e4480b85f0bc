"""Images that are in no dataset, prepared like those that a Dataset holds."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from alsweep.data.case import CaseInfo
from alsweep.data.exchange.orientation import axis_codes, turned, turned_back
from alsweep.data.ingest.crop import nonzero_box
from alsweep.data.ingest.image import mask_of, network_image
from alsweep.data.ingest.resample import coarse_axis, resampled_shape
from alsweep.data.raw.grids import displacement
from alsweep.data.raw.layout import is_leftover
from alsweep.data.raw.reading import ENDINGS, read_volume
from alsweep.errors import IngestError
from alsweep.geometry import triple

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from alsweep.data.case import Dataset
    from alsweep.types import Volume

_CHANNEL = re.compile(r"(?P<case>.+)_(?P<channel>\d{4})", re.DOTALL)
_OFF = 0.5
"""Voxels by which channels may lie apart, as when they are ingested."""


@dataclass(frozen=True)
class NewImage:
    """An image as networks see it, and the way back to its file's grid.

    Attributes:
        name: What its files are called, without channel and ending.
        volume: Normalised, on the grid of the dataset, ``(channel, z, y, x)``.
        info: How that grid lies in the one of the file, turned as the dataset's images lie.
        affine: Of the file: voxel index ``(x, y, z)`` to RAS, mm.
        back: See :func:`alsweep.data.exchange.orientation.turned`.
    """

    name: str
    volume: Volume
    info: CaseInfo
    affine: np.ndarray[Any, Any]
    back: np.ndarray[Any, Any]

    def on_file(self, array: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
        """What was made on the grid of ``info``'s source, ``(..., z, y, x)``, on the file's own."""
        return turned_back(array, self.back)


def images_in(paths: Sequence[Path], channels: int) -> dict[str, list[Path]]:
    """Files of each image by its name, in the order of the channels.

    Args:
        paths: Files, or folders of them. With several channels, and in nnU-Net's folders, names
            end in ``_0000``, ``_0001``...
        channels: How many an image has.

    Raises:
        IngestError: There is none, one has no channel's number, or a file or channel is missing.
    """
    files = [one for path in paths for one in (_within(path) if path.is_dir() else [path])]
    if not files:
        raise IngestError(f"{paths[0]}: holds no volume that alsweep reads; name images")
    found: dict[str, dict[int, Path]] = {}
    for path in files:
        if not path.is_file():
            raise IngestError(f"{path}: no such file; name images, or folders of them")
        ending = next((e for e in ENDINGS if path.name.endswith(e)), None)
        if ending is None:
            raise IngestError(f"{path}: is no volume that alsweep reads ({', '.join(ENDINGS)})")
        stem = path.name.removesuffix(ending)
        match = _CHANNEL.fullmatch(stem)
        if match is None and channels > 1:
            raise IngestError(f"{path}: the images have {channels} channels; end its name in _0000")
        name, channel = (stem, 0) if match is None else (match["case"], int(match["channel"]))
        if channel in found.setdefault(name, {}):
            raise IngestError(f"{path}: is the same channel as {found[name][channel]}; name one")
        found[name][channel] = path
    for name, own in found.items():
        if sorted(own) != list(range(channels)):
            raise IngestError(
                f"{min(own.values())}: image '{name}' has channels {sorted(own)}, expected 0 to "
                f"{channels - 1}; add or remove files"
            )
    return {name: [own[channel] for channel in range(channels)] for name, own in found.items()}


def _within(folder: Path) -> list[Path]:
    names = sorted(folder.iterdir())
    return [p for p in names if not is_leftover(p.name) and p.name.endswith(ENDINGS)]


def prepared(name: str, files: Sequence[Path], dataset: Dataset) -> NewImage:
    """Read an image and prepare it as the dataset's are: turned, cropped, normalised, resampled.

    Raises:
        IngestError: A file cannot be read, or its channels do not fit each other.
    """
    manifest = dataset.manifest
    volumes = [read_volume(path, str(path)) for path in files]
    first = volumes[0]
    for path, one in zip(files, volumes, strict=True):
        apart = one.array.shape != first.array.shape
        if apart or displacement(one.affine, first.affine, first.array.shape) > _OFF:
            raise IngestError(f"{path}: lies on another grid than {files[0]}; resample one of them")
    codes = axis_codes(dataset)
    turns = [turned(one.array, first.affine, codes) for one in volumes]
    x, y, z = (float(value) for value in np.linalg.norm(turns[0].affine[:3, :3], axis=0))
    spacing, crop = (z, y, x), nonzero_box([one.array for one in turns])
    channels = [one.array[crop.slices] for one in turns]
    shape = resampled_shape(crop.size, spacing, manifest.spacing)
    coarse = coarse_axis(spacing, manifest.spacing)
    mask = mask_of(channels, manifest.normalisation)
    info = CaseInfo(
        id=name,
        part="pool",
        shape=shape,
        class_voxels=(),
        original_shape=triple(turns[0].array.shape),
        original_spacing=spacing,
        crop=crop,
        affine=turns[0].affine.tolist(),
        sources={},
        image_sha256="",
        reference_sha256=None,
    )
    volume = network_image(channels, manifest.normalisation, mask, shape, coarse)
    return NewImage(name, volume, info, first.affine, turns[0].back)
