"""Single volumes for the programs that people look at them with: NIfTI, and 3D Slicer's files."""

from __future__ import annotations

import colorsys
import gzip
import re
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from alsweep.data.raw.reading import read_volume
from alsweep.files import write_bytes
from alsweep.label_codes import IGNORE

if TYPE_CHECKING:
    from collections.abc import Mapping

    from alsweep.data.raw.volume import RawVolume
    from alsweep.types import LabelMap

    Affine = np.ndarray[Any, Any]

NIFTI, SLICER = ".nii.gz", ".seg.nrrd"
UNPAINTED = "unpainted"
"""What a segment is called whose voxels have no label."""

_SCANNER = 1
"""NIfTI code of an affine that leads to scanner coordinates."""

_MARK = "alsweep "
_FAST = 1
_SEGMENT = re.compile(r"Segment(\d+)_(Name|LabelValue)\s*:=\s*(.*)")
_TO_LPS = np.array([-1.0, -1.0, 1.0])


def write_volume(path: Path, volume: np.ndarray[Any, Any], affine: Affine, about: str = "") -> None:
    """Write a ``(z, y, x)`` volume as NIfTI, whose axes are ``(x, y, z)``; atomically.

    Args:
        path: Ends in ``.nii.gz``.
        volume: uint8 or float; further axes come first and are the last ones in the file.
        affine: Voxel index ``(x, y, z)`` to RAS, mm.
        about: What it is of, for :func:`told_in`.
    """
    import nibabel

    spatial = np.asarray(volume).T
    image = nibabel.Nifti1Image(spatial, affine)
    image.header.set_xyzt_units("mm")
    image.set_sform(affine, code=_SCANNER)
    image.set_qform(affine, code=_SCANNER)
    if about:
        image.header["descrip"] = f"{_MARK}{about}".encode()[:79]
    write_bytes(path, gzip.compress(image.to_bytes(), _FAST, mtime=0))


def told_in(path: Path) -> str | None:
    """What a file says that it is of; None where it says nothing of the kind."""
    import nibabel

    if not path.name.endswith((".nii", NIFTI)):
        return None
    text = bytes(nibabel.load(path).header["descrip"].item()).decode("utf-8", "replace")
    return text.removeprefix(_MARK).rstrip("\0 ") if text.startswith(_MARK) else None


def write_segmentation(
    path: Path, labels: LabelMap, affine: Affine, classes: Mapping[int, str]
) -> None:
    """Write labels as a segmentation of 3D Slicer, a segment a class; atomically.

    Args:
        path: Ends in ``.seg.nrrd``.
        labels: Codes ``(z, y, x)``; unpainted voxels are a segment of their own, and background
            is what no segment holds.
        affine: Voxel index ``(x, y, z)`` to RAS, mm.
        classes: Name by code, background included.
    """
    import SimpleITK as sitk  # noqa: N813

    image = sitk.GetImageFromArray(np.ascontiguousarray(labels))
    axes, spacing = affine[:3, :3], np.linalg.norm(affine[:3, :3], axis=0)
    image.SetSpacing(spacing.tolist())
    image.SetOrigin((affine[:3, 3] * _TO_LPS).tolist())
    image.SetDirection((_TO_LPS[:, None] * axes / spacing).ravel().tolist())
    names = {code: name for code, name in classes.items() if code} | {IGNORE: UNPAINTED}
    extent = " ".join(f"0 {n - 1}" for n in labels.shape[::-1])
    for index, (code, name) in enumerate(names.items()):
        red, green, blue = colorsys.hsv_to_rgb((index * 0.382) % 1, 0.75, 1.0)
        told = {
            "ID": f"Segment_{code}",
            "Name": name,
            "LabelValue": str(code),
            "Layer": "0",
            "Extent": extent,
            "Color": "0.5 0.5 0.5" if code == IGNORE else f"{red:.3f} {green:.3f} {blue:.3f}",
        }
        for key, value in told.items():
            image.SetMetaData(f"Segment{index}_{key}", value)
    # SimpleITK writes to a path alone.
    with tempfile.TemporaryDirectory() as folder:
        made = Path(folder) / f"labels{SLICER}"
        sitk.WriteImage(image, str(made), useCompression=True)
        write_bytes(path, made.read_bytes())


def read_labels(path: Path, classes: Mapping[int, str]) -> RawVolume:
    """Read a file of labels; a segmentation's values are turned to the codes of its names.

    3D Slicer numbers segments as it likes, but leaves them their names.

    Args:
        path: NIfTI, NRRD or MetaImage.
        classes: Name by code.

    Raises:
        IngestError: It cannot be read as a volume.
    """
    from dataclasses import replace

    volume = read_volume(path, str(path))
    segments = _segments(path) if path.name.endswith(".nrrd") else {}
    if not segments:
        return volume
    codes = {name: code for code, name in classes.items()} | {UNPAINTED: IGNORE}
    array = volume.array.copy()
    for value, name in segments.items():
        array[volume.array == value] = codes.get(name, value)
    return replace(volume, array=array)


def _segments(path: Path) -> dict[int, str]:
    """Value to name of the segments that a header of NRRD names."""
    with path.open("rb") as file:
        header = file.read(1 << 20).split(b"\n\n")[0].decode("utf-8", "replace")
    found: dict[str, dict[str, str]] = {}
    for line in header.splitlines():
        if match := _SEGMENT.fullmatch(line.strip()):
            found.setdefault(match[1], {})[match[2]] = match[3].strip()
    both = [one for one in found.values() if one.keys() >= {"Name", "LabelValue"}]
    return {int(one["LabelValue"]): one["Name"] for one in both if one["LabelValue"].isdecimal()}
