"""Reading one volume from a file that nobody vouches for: NIfTI, NRRD or MetaImage."""

from __future__ import annotations

import gzip
import os
import zlib
from contextlib import contextmanager
from dataclasses import dataclass
from math import isfinite, prod
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, cast

import nibabel as nib
import numpy as np
import SimpleITK as sitk  # noqa: N813  (the name under which everybody knows it)
from nibabel.arrayproxy import ArrayProxy
from nibabel.spatialimages import HeaderDataError
from nibabel.wrapstruct import WrapStructError

from alsweep.data.source_file import checked_size, file_digest
from alsweep.errors import IngestError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from jaxtyping import Float64, Shaped

    from alsweep.data.case import Spacing

    Affine = Float64[np.ndarray, "4 4"]

ENDINGS = (".nii.gz", ".nii", ".nrrd", ".mha")
MOST_VOXELS = 1 << 31
"""In one file: a CT of 512 x 512 x 2000 has half a billion."""

_LARGEST_VALUE = 1e30
_CHUNK = 1 << 24
_SLACK = 1 << 20
_MOST_COMPRESSION = 1100
"""Deflate cannot make data smaller than 1/1032; a header that promises more lies."""
_MOST_TEXT = 64
"""Bytes that a voxel may take where numbers are written as text."""
_NIFTI1, _NIFTI2 = 348, 540
_LARGEST_OFFSET = 1 << 30
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


def read_volume(
    path: Path, name: str, *, stacked: bool = False, reorient: bool = False
) -> RawVolume:
    """Read a volume.

    Args:
        path: The file.
        name: What to call it in messages.
        stacked: Whether a fourth axis, last in the file, is allowed and means channels.
        reorient: Whether to turn the axes to those of RAS, by exchanges and flips alone.

    Raises:
        IngestError: The file is missing, no regular file, truncated, corrupt, not a 3D volume of
            finite numbers, or has no positive spacing. One line with the mend.
    """
    size = checked_size(path, name)
    if path.name.endswith((".nii", ".nii.gz")):
        volume = _read_nifti(path, size, name)
    else:
        volume = _read_itk(path, size, name)
    _check_axes(volume, name, stacked)
    # NaN fails both comparisons.
    if not (volume.array.min() > -_LARGEST_VALUE and volume.array.max() < _LARGEST_VALUE):
        raise IngestError(
            f"{name}: holds NaN or infinite values, or some beyond {_LARGEST_VALUE:g}; replace them"
        )
    return _to_ras(volume) if reorient else volume


def promised_voxels(path: Path) -> int:
    """Voxels that the header of a file speaks of; 0 where it cannot be read."""
    try:
        checked_size(path, path.name)
        if path.name.endswith((".nii", ".nii.gz")):
            with path.open("rb") as file, _opened(file, path.name.endswith(".gz")) as stream:
                header = _nifti_header(_first(stream, path.name), path.name)
            return prod(int(n) for n in header["dim"][1 : int(header["dim"][0]) + 1])
        reader = sitk.ImageFileReader()
        reader.SetFileName(str(path))
        with _silence():
            reader.ReadImageInformation()
        return prod(reader.GetSize())
    except (IngestError, RuntimeError):
        return 0


def _to_ras(volume: RawVolume) -> RawVolume:
    """The same voxels in the same place, with axes that point right, anterior and superior."""
    turns = nib.orientations.io_orientation(volume.affine)
    array, shape = volume.array.T, volume.array.shape[:-4:-1]
    turned = nib.orientations.apply_orientation(array, turns)
    x, y, z = (volume.spacing[::-1][axis] for axis in np.argsort(turns[:, 0]))
    affine = volume.affine @ nib.orientations.inv_ornt_aff(turns, shape)
    return RawVolume(np.ascontiguousarray(turned.T), (z, y, x), affine, volume.sha256)


def _check_kind(dtype: np.dtype[Any], name: str) -> None:
    if dtype.kind not in "iufb":
        raise IngestError(f"{name}: holds {dtype} values; save it with one real number a voxel")


def _check_axes(volume: RawVolume, name: str, stacked: bool) -> None:
    shape = volume.array.shape
    axes = "x".join(map(str, shape[::-1]))
    if len(shape) == 4 and not stacked:
        raise IngestError(f"{name}: has four axes ({axes}); write one 3D file per channel")
    if len(shape) not in (3, 4) or min(shape[-3:]) < 2:
        raise IngestError(
            f"{name}: is not three-dimensional ({axes} voxels); alsweep needs 3D volumes"
        )
    _check_kind(volume.array.dtype, name)
    determinant = np.linalg.det(volume.affine[:3, :3])
    if not np.isfinite(volume.affine).all() or abs(determinant) < 1e-9:
        raise IngestError(f"{name}: its affine is singular or not finite; mend the header")


# NIfTI


def _read_nifti(path: Path, size: int, name: str) -> RawVolume:
    zipped = path.name.endswith(".gz")
    with path.open("rb") as file, _opened(file, zipped) as stream:
        header = _nifti_header(_first(stream, name), name)
        spacing = _nifti_spacing(header, name)
        needed = _nifti_bytes(header, name)
        _check_promise(needed, size, _MOST_COMPRESSION if zipped else 1, name)
        array, affine = _nifti_array(stream, header, name)
        _finish(stream, name)
    array = array.T
    while array.ndim > 3 and len(array) == 1:
        # Many tools write a trailing axis of length one.
        array = array[0]
    return RawVolume(_native(array), spacing, affine, file_digest(path))


def _opened(file: BinaryIO, zipped: bool) -> BinaryIO:
    return cast("BinaryIO", gzip.GzipFile(fileobj=file)) if zipped else file


def _check_promise(needed: int, size: int, compression: int, name: str) -> None:
    """Compare the bytes that the header promises with those of the file, before any is read."""
    if needed > compression * size:
        raise _truncated(name)
    if size > needed + needed // 100 + _SLACK:
        raise _surplus(name)


def _surplus(name: str) -> IngestError:
    return IngestError(f"{name}: holds more bytes than its header says; export it again")


def _first(stream: BinaryIO, name: str) -> bytes:
    """The bytes that hold the header; the stream stands at its start again."""
    with _corruption(name):
        start = stream.read(_NIFTI2)
        stream.seek(0)
    return start


def _nifti_array(
    stream: BinaryIO, header: Any, name: str
) -> tuple[Shaped[np.ndarray, "*axes"], Affine]:
    """Voxels and affine; decompressed straight into the array, so that memory holds them once."""
    with _corruption(name), np.errstate(all="ignore"):
        try:
            # Not as an image of nibabel, which would log what it mends to stderr.
            stored = ArrayProxy(stream, header, mmap=False)
            scaled = stored.slope != 1 or stored.inter != 0
            array = np.asanyarray(stored, dtype=np.float32 if scaled else None)
            affine = np.array(header.get_best_affine(), dtype=np.float64)
        except (HeaderDataError, ValueError, TypeError) as e:
            raise IngestError(f"{name}: is not a valid NIfTI file ({e}); export it again") from None
        if array.dtype.kind == "f" and array.dtype.itemsize > 4:
            # As nnU-Net, which computes in single precision.
            array = array.astype(np.float32)
    return array, affine


def _finish(stream: BinaryIO, name: str) -> None:
    """Read what follows the voxels, and so check the CRC; refuse more than a little."""
    total = 0
    with _corruption(name):
        while part := stream.read(_CHUNK):
            total += len(part)
            if total > _SLACK:
                raise _surplus(name)


@contextmanager
def _corruption(name: str) -> Iterator[None]:
    """Tell in one line of what a damaged stream raises."""
    try:
        yield
    except gzip.BadGzipFile as error:
        raise IngestError(
            f"{name}: is not a valid gzip file ({error}); copy or export it again"
        ) from None
    except (EOFError, zlib.error, OSError):
        raise _truncated(name) from None


def _truncated(name: str) -> IngestError:
    return IngestError(f"{name}: is truncated or corrupt; copy or export it again")


def _nifti_header(start: bytes, name: str) -> Any:
    """The header, unmended: nibabel would silently make a negative spacing positive."""
    for size, kind in ((_NIFTI1, nib.Nifti1Header), (_NIFTI2, nib.Nifti2Header)):
        if size in (int.from_bytes(start[:4], "little"), int.from_bytes(start[:4], "big")):
            if len(start) < size:
                raise _truncated(name)
            try:
                header = kind(start[:size], check=False)
            except WrapStructError as e:
                raise IngestError(f"{name}: is not a NIfTI file ({e}); export it again") from None
            if header["magic"].item() != header.single_magic:
                raise IngestError(
                    f"{name}: keeps its voxels in another file, or is no NIfTI file; save header "
                    "and voxels in one"
                )
            _check_dimensions(header, name)
            if header["pixdim"][0] not in (-1, 1):
                # Many tools leave it zero, and the standard says what that means.
                header["pixdim"][0] = 1
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
        dtype = header.get_data_dtype()
    except (HeaderDataError, KeyError):
        raise IngestError(
            f"{name}: its header has an unknown data type {int(header['datatype'])}; "
            "export it again"
        ) from None
    _check_kind(dtype, name)


def _nifti_bytes(header: Any, name: str) -> int:
    axes = int(header["dim"][0])
    voxels = prod(int(n) for n in header["dim"][1 : axes + 1])
    _check_voxels(voxels, name)
    offset = float(header["vox_offset"])
    if not int(header["sizeof_hdr"]) <= offset <= _LARGEST_OFFSET:
        raise IngestError(f"{name}: its voxels begin at byte {offset:g}; export it again")
    return int(offset) + voxels * int(header.get_data_dtype().itemsize)


def _check_voxels(voxels: int, name: str) -> None:
    if voxels > MOST_VOXELS:
        raise IngestError(
            f"{name}: its header promises {voxels:.3g} voxels, truncated or corrupt or more than "
            f"the {MOST_VOXELS:.3g} that alsweep reads; export it again"
        )


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


def _read_itk(path: Path, size: int, name: str) -> RawVolume:
    with path.open("rb") as file:
        _refuse_detached(file.read(_HEADER_BYTES), name)
    reader = sitk.ImageFileReader()
    reader.SetFileName(str(path))
    try:
        with _silence():
            reader.ReadImageInformation()
        _check_itk_header(reader, size, name)
        with _silence():
            image = reader.Execute()
    except RuntimeError as error:
        reason = " ".join(str(error).split())[-160:]
        raise IngestError(
            f"{name}: is truncated, corrupt or has an invalid header (…{reason}); export it again"
        ) from None
    x, y, z = reader.GetSpacing()
    array = sitk.GetArrayFromImage(image)
    return RawVolume(
        _native(array), _positive((z, y, x), name), _itk_affine(image), file_digest(path)
    )


@contextmanager
def _silence() -> Iterator[None]:
    """Keep ITK from the console: its MetaImage reader prints there, past all of Python."""
    sitk.ProcessObject.SetGlobalWarningDisplay(False)
    with Path(os.devnull).open("w") as nothing:
        saved = [(stream, os.dup(stream)) for stream in (1, 2)]
        try:
            for stream, _ in saved:
                os.dup2(nothing.fileno(), stream)
            yield
        finally:
            for stream, copy in saved:
                os.dup2(copy, stream)
                os.close(copy)


def _check_itk_header(reader: Any, size: int, name: str) -> None:
    shape, components = reader.GetSize(), reader.GetNumberOfComponents()
    if len(shape) != 3 or components != 1:
        raise IngestError(
            f"{name}: is not three-dimensional with one number a voxel "
            f"({'x'.join(map(str, shape))}, {components} numbers); write one 3D file per channel"
        )
    _check_voxels(prod(shape), name)
    if prod(shape) > _MOST_COMPRESSION * size:
        raise _truncated(name)
    if size > _MOST_TEXT * prod(shape) + _SLACK:
        raise _surplus(name)


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
