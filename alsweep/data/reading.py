"""Reading one volume from a file that nobody vouches for: NIfTI, NRRD or MetaImage."""

from __future__ import annotations

import gzip
import hashlib
import io
import stat
import zlib
from dataclasses import dataclass
from math import isfinite, prod
from typing import TYPE_CHECKING, Any

import nibabel as nib
import numpy as np
import SimpleITK as sitk  # noqa: N813  (the name under which everybody knows it)
from nibabel.filebasedimages import ImageFileError
from nibabel.spatialimages import HeaderDataError

from alsweep.errors import IngestError

if TYPE_CHECKING:
    from pathlib import Path

    from jaxtyping import Float64, Shaped

    from alsweep.data.case import Spacing

    Affine = Float64[np.ndarray, "4 4"]

ENDINGS = (".nii.gz", ".nii", ".nrrd", ".mha")

_CHUNK = 1 << 24
_SLACK = 1 << 20
_MOST_COMPRESSION = 1100
"""Deflate cannot make data smaller than 1/1032; a header that promises more lies."""
_LFS = b"version https://git-lfs"
_NIFTI1, _NIFTI2 = 348, 540
_HEADER_BYTES = 1 << 16


@dataclass(frozen=True)
class RawVolume:
    """A volume as it lies in its file.

    Attributes:
        array: ``(z, y, x)``, or ``(channel, z, y, x)`` for a 4D file; numbers of any real type.
        spacing: ``(z, y, x)``, mm.
        affine: Voxel index ``(x, y, z)`` to RAS, mm.
        sha256: Of the file.
    """

    array: Shaped[np.ndarray, "*axes"]
    spacing: Spacing
    affine: Affine
    sha256: str


def read_volume(path: Path, name: str, *, stacked: bool = False) -> RawVolume:
    """Read a volume.

    Args:
        path: The file.
        name: What to call it in messages.
        stacked: Whether a fourth axis, last in the file, is allowed and means channels.

    Raises:
        IngestError: The file is missing, no regular file, truncated, corrupt, not a 3D volume of
            finite numbers, or has no positive spacing. One line with the mend.
    """
    content = _content(path, name)
    if path.name.endswith((".nii", ".nii.gz")):
        volume = _read_nifti(content, path, name)
    else:
        volume = _read_itk(content, path, name)
    _check_axes(volume, name, stacked)
    if not np.issubdtype(volume.array.dtype, np.integer) and not np.isfinite(volume.array).all():
        raise IngestError(f"{name}: holds NaN or infinite values; replace them")
    return volume


def _content(path: Path, name: str) -> bytes:
    try:
        if not stat.S_ISREG(path.stat().st_mode):
            raise IngestError(f"{name}: is not a regular file; put the volume itself there")
        content = path.read_bytes()
    except FileNotFoundError:
        raise IngestError(f"{name}: is missing; add the file or remove the case") from None
    except OSError as error:
        raise IngestError(
            f"{name}: cannot be read ({error.strerror}); mend its permissions"
        ) from None
    if not content:
        raise IngestError(f"{name}: is empty; copy or export it again")
    if content.startswith(_LFS):
        raise IngestError(f"{name}: is a Git LFS pointer, not a volume; run 'git lfs pull'")
    return content


def _check_axes(volume: RawVolume, name: str, stacked: bool) -> None:
    shape = volume.array.shape
    axes = "x".join(map(str, shape[::-1]))
    if len(shape) == 4 and not stacked:
        raise IngestError(f"{name}: has four axes ({axes}); write one 3D file per channel")
    if len(shape) not in (3, 4) or min(shape[-3:]) < 2:
        raise IngestError(
            f"{name}: is not three-dimensional ({axes} voxels); alsweep needs 3D volumes"
        )
    if volume.array.dtype.kind not in "iufb":
        raise IngestError(
            f"{name}: holds {volume.array.dtype} values; save it with one real number a voxel"
        )
    determinant = np.linalg.det(volume.affine[:3, :3])
    if not np.isfinite(volume.affine).all() or abs(determinant) < 1e-9:
        raise IngestError(f"{name}: its affine is singular or not finite; mend the header")


# NIfTI


def _read_nifti(content: bytes, path: Path, name: str) -> RawVolume:
    digest = hashlib.sha256(content).hexdigest()
    zipped = path.name.endswith(".gz")
    header = _nifti_header(_unzip(content, name, _NIFTI2) if zipped else content, name)
    spacing = _nifti_spacing(header, name)
    needed = _nifti_bytes(header)
    if zipped:
        if needed > _MOST_COMPRESSION * len(content):
            raise _truncated(name)
        content = _unzip(content, name, None, limit=needed + _SLACK)
    if len(content) < needed:
        raise _truncated(name)
    kind = nib.Nifti1Image if header["sizeof_hdr"] == _NIFTI1 else nib.Nifti2Image
    try:
        image = kind.from_bytes(content)
        array = np.asanyarray(image.dataobj)
    except (HeaderDataError, ImageFileError, ValueError) as e:
        raise IngestError(f"{name}: is not a valid NIfTI file ({e}); export it again") from None
    array = array.T
    while array.ndim > 3 and len(array) == 1:
        # Many tools write a trailing axis of length one.
        array = array[0]
    return RawVolume(_native(array), spacing, np.array(image.affine, dtype=np.float64), digest)


def _unzip(content: bytes, name: str, most: int | None, limit: int = 0) -> bytes:
    """Decompress the first ``most`` bytes, or all and so check the CRC; refuse over ``limit``."""
    parts, total = [], 0
    try:
        with gzip.GzipFile(fileobj=io.BytesIO(content)) as file:
            if most is not None:
                return file.read(most)
            while part := file.read(_CHUNK):
                parts.append(part)
                total += len(part)
                if total > limit:
                    raise IngestError(
                        f"{name}: holds more bytes than its header says; export it again"
                    )
    except (EOFError, zlib.error):
        raise _truncated(name) from None
    except gzip.BadGzipFile as error:
        raise IngestError(
            f"{name}: is not a valid gzip file ({error}); copy or export it again"
        ) from None
    return b"".join(parts)


def _truncated(name: str) -> IngestError:
    return IngestError(f"{name}: is truncated or corrupt; copy or export it again")


def _nifti_header(start: bytes, name: str) -> Any:
    """The header, unmended: nibabel would silently make a negative spacing positive."""
    for size, kind in ((_NIFTI1, nib.Nifti1Header), (_NIFTI2, nib.Nifti2Header)):
        if size in (int.from_bytes(start[:4], "little"), int.from_bytes(start[:4], "big")):
            if len(start) < size:
                raise _truncated(name)
            header = kind(start[:size], check=False)
            _check_dimensions(header, name)
            return header
    raise IngestError(f"{name}: is not a NIfTI file; export it again or mend its ending")


def _check_dimensions(header: Any, name: str) -> None:
    dimensions = [int(n) for n in header["dim"]]
    axes = dimensions[0]
    if not 1 <= axes <= 7 or any(n < 1 for n in dimensions[1 : axes + 1]):
        raise IngestError(
            f"{name}: its header has impossible dimensions {dimensions}; export it again"
        )
    try:
        header.get_data_dtype()
    except HeaderDataError:
        raise IngestError(
            f"{name}: its header has an unknown data type {int(header['datatype'])}; "
            "export it again"
        ) from None


def _nifti_bytes(header: Any) -> int:
    axes = int(header["dim"][0])
    voxels = prod(int(n) for n in header["dim"][1 : axes + 1])
    return int(header["vox_offset"]) + voxels * int(header.get_data_dtype().itemsize)


def _nifti_spacing(header: Any, name: str) -> Spacing:
    x, y, z = (float(value) for value in header["pixdim"][1:4])
    return _positive((z, y, x), name)


def _positive(spacing: Spacing, name: str) -> Spacing:
    if not all(isfinite(value) and value > 0 for value in spacing):
        shown = " x ".join(f"{value:g}" for value in spacing)
        raise IngestError(
            f"{name}: its spacing is {shown} mm; each must be positive, mend the header"
        )
    return spacing


def _native(array: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """The array in C order and in the byte order of this machine."""
    return np.ascontiguousarray(array, dtype=array.dtype.newbyteorder("="))


# NRRD and MetaImage


def _read_itk(content: bytes, path: Path, name: str) -> RawVolume:
    digest = hashlib.sha256(content).hexdigest()
    _refuse_detached(content[:_HEADER_BYTES], name)
    sitk.ProcessObject.SetGlobalWarningDisplay(False)
    reader = sitk.ImageFileReader()
    reader.SetFileName(str(path))
    try:
        reader.ReadImageInformation()
        shape = reader.GetSize()
        spacing = reader.GetSpacing()
        if prod(shape) > _MOST_COMPRESSION * len(content):
            raise _truncated(name)
        image = reader.Execute()
    except RuntimeError as error:
        reason = " ".join(str(error).split())[-160:]
        raise IngestError(
            f"{name}: is truncated, corrupt or has an invalid header (…{reason}); export it again"
        ) from None
    if len(shape) != 3 or image.GetNumberOfComponentsPerPixel() != 1:
        raise IngestError(
            f"{name}: is not three-dimensional with one number a voxel; "
            "write one 3D file per channel"
        )
    x, y, z = spacing
    array = sitk.GetArrayFromImage(image)
    return RawVolume(_native(array), _positive((z, y, x), name), _itk_affine(image), digest)


def _itk_affine(image: Any) -> Affine:
    """ITK's LPS geometry as an affine to RAS."""
    affine = np.eye(4)
    affine[:3, :3] = np.array(image.GetDirection()).reshape(3, 3) * np.array(image.GetSpacing())
    affine[:3, 3] = image.GetOrigin()
    return np.diag([-1.0, -1.0, 1.0, 1.0]) @ affine


def _refuse_detached(header: bytes, name: str) -> None:
    """Refuse a header that names another file for its data: it may lie anywhere."""
    for line in header.split(b"\n\n", 1)[0].splitlines():
        key, _, value = line.lower().replace(b" ", b"").partition(b"=")
        nrrd = line.lower().startswith((b"data file:", b"datafile:"))
        if nrrd or (key == b"elementdatafile" and value != b"local"):
            raise IngestError(
                f"{name}: keeps its voxels in another file; save header and voxels in one"
            )
