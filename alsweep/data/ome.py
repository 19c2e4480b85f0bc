"""Writing OME-Zarr 0.5 (Zarr v3): images and labels of a Dataset, and partial labels."""

from __future__ import annotations

import colorsys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import zarr

from alsweep.data.case import ORIGINAL, REFERENCE
from alsweep.data.raw.layout import distinct
from alsweep.files import write_json

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from alsweep.data.case import Source, Spacing
    from alsweep.types import LabelMap, Volume

OME_VERSION = "0.5"
_SPACE = ("z", "y", "x")


@dataclass(frozen=True)
class CaseAttributes:
    """What the OME-Zarr group of a case says of it.

    OME-Zarr has no place for direction cosines and sources, so they go under a key of our own.
    """

    name: str
    channels: tuple[str, ...]
    classes: tuple[str, ...]
    spacing: Spacing
    source: Source


def write_case_group(
    folder: Path, image: Volume, labels: Mapping[str, LabelMap], attributes: CaseAttributes
) -> None:
    """Write one case: the image and ``labels/NAME``, each at level 0, uncompressed, in one chunk.

    Labels called ``original`` are on the grid of the source, all others on that of the image. A
    single raw chunk is a plain binary file of the array, which is what makes memory mapping
    possible.
    """
    group = zarr.create_group(folder, zarr_format=3, attributes=_image_attributes(attributes))
    _write_raw(group, image.astype("<f4", copy=False), ("c", *_SPACE))
    names = sorted(labels)
    place = folder / REFERENCE.parent
    zarr.create_group(place, zarr_format=3, attributes=_label_list(names))
    for name in names:
        metadata = label_metadata(name, attributes.classes, attributes.spacing)
        if name == ORIGINAL.name:
            metadata["multiscales"] = [_on_source(attributes, image.shape[1:])]
        metadata["image-label"]["source"] = {"image": "../../"}
        label = zarr.create_group(place / name, zarr_format=3, attributes={"ome": metadata})
        _write_raw(label, labels[name].astype(np.uint8, copy=False), _SPACE)


def write_label_list(folder: Path, names: Sequence[str]) -> None:
    """Write the group metadata that lists the labels in ``folder``."""
    # Not through zarr, which would write in place: a viewer may be reading.
    write_json(folder / "zarr.json", _group(_label_list(names)))


def _write_raw(group: Any, data: np.ndarray[Any, Any], names: tuple[str, ...]) -> None:
    array = group.create_array(
        "0",
        shape=data.shape,
        dtype=data.dtype,
        chunks=data.shape,
        filters=None,
        compressors=None,
        fill_value=0,
        dimension_names=names,
        # Otherwise an image of zeros would have no file to map.
        config={"write_empty_chunks": True},
    )
    array[...] = data


def _group(attributes: dict[str, Any]) -> dict[str, Any]:
    return {"zarr_format": 3, "node_type": "group", "attributes": attributes}


def _label_list(names: Sequence[str]) -> dict[str, Any]:
    return {"ome": {"version": OME_VERSION, "labels": list(names)}}


def _image_attributes(a: CaseAttributes) -> dict[str, Any]:
    multiscale = _multiscale(a.name, a.spacing)
    multiscale["axes"].insert(0, {"name": "c", "type": "channel"})
    multiscale["datasets"][0]["coordinateTransformations"][0]["scale"].insert(0, 1.0)
    window = {"start": -2.0, "end": 4.0, "min": -10.0, "max": 10.0}
    channels = [
        {"label": channel, "color": "FFFFFF", "window": window, "active": index == 0}
        for index, channel in enumerate(distinct(a.channels))
    ]
    return {
        "ome": {
            "version": OME_VERSION,
            "multiscales": [multiscale],
            "omero": {"channels": channels},
        },
        "alsweep": {
            "affine": a.source.affine,
            "original_shape": a.source.shape,
            "original_spacing": a.source.spacing,
            "crop": a.source.crop.plain(),
            "sources": a.source.files,
        },
    }


def label_metadata(name: str, classes: Sequence[str], spacing: Spacing) -> dict[str, Any]:
    """OME-Zarr metadata of a label image; the index of a class is its label, 0 the background."""
    foreground = list(enumerate(classes))[1:]
    return {
        "version": OME_VERSION,
        "multiscales": [_multiscale(name, spacing)],
        "image-label": {
            "version": OME_VERSION,
            "colors": [{"label-value": v, "rgba": _colour(v)} for v, _ in foreground],
            "properties": [{"label-value": v, "name": n} for v, n in foreground],
        },
    }


def _multiscale(name: str, spacing: Spacing) -> dict[str, Any]:
    scale: dict[str, Any] = {"type": "scale", "scale": [float(s) for s in spacing]}
    return {
        "name": name,
        "axes": [{"name": axis, "type": "space", "unit": "millimeter"} for axis in _SPACE],
        "datasets": [{"path": "0", "coordinateTransformations": [scale]}],
    }


def _on_source(a: CaseAttributes, shape: Sequence[int]) -> dict[str, Any]:
    """The grid of the source in the coordinates of the image, in which voxel 0 lies at 0.

    Outer faces of the cropped volume and of the image coincide, not the centres of their voxels.
    """
    multiscale = _multiscale(ORIGINAL.name, a.source.spacing)
    axes = zip(a.source.crop.start, a.source.crop.size, a.source.spacing, shape, strict=True)
    corner = [spacing * ((1 - size / new) / 2 - start) for start, size, spacing, new in axes]
    multiscale["datasets"][0]["coordinateTransformations"].append(
        {"type": "translation", "translation": corner}
    )
    return multiscale


def _colour(label: int) -> list[int]:
    """A colour far from those of the neighbouring labels: hues a golden ratio apart."""
    red, green, blue = colorsys.hsv_to_rgb(label * 0.618034 % 1.0, 0.75, 0.95)
    return [round(255 * red), round(255 * green), round(255 * blue), 255]
