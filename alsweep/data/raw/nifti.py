"""Reading NIfTI files that nobody vouches for."""

from __future__ import annotations

import gzip
import zlib
from contextlib import contextmanager
from math import prod
from typing import TYPE_CHECKING, Any, BinaryIO, NamedTuple, cast

import nibabel as nib
import numpy as np
from nibabel.arrayproxy import ArrayProxy
from nibabel.spatialimages import HeaderDataError
from nibabel.wrapstruct import WrapStructError

from alsweep.data.raw.grids import (
    Oddity,
    displacement,
    positive,
    scaled,
    settled_spacing,
    unspoken_unit,
)
from alsweep.data.raw.volume import (
    MOST_COMPRESSION,
    SLACK,
    RawVolume,
    check_kind,
    check_voxels,
    file_digest,
    native,
    surplus,
    truncated,
)
from alsweep.errors import IngestError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from jaxtyping import Shaped

    from alsweep.data.case import Spacing
    from alsweep.data.raw.grids import Affine

_CHUNK = 1 << 24
_NIFTI1, _NIFTI2 = 348, 540
_LARGEST_OFFSET = 1 << 30
_SPATIAL = 7
"""The bits of ``xyzt_units`` that mean length; the others mean time."""

_UNITS = {0: 1.0, 1: 1000.0, 2: 1.0, 3: 1e-3}
"""mm by code: unspoken, metre, mm, micron."""

_FORMS_APART = 0.5
"""Voxels; a qform cannot shear, and so never equals the sform of a tilted gantry."""


def nifti_voxels(path: Path, name: str) -> int:
    """Voxels that the header speaks of.

    Raises:
        IngestError: It is none.
    """
    with path.open("rb") as file, _opened(file, path.name.endswith(".gz")) as stream:
        header = _nifti_header(_first(stream, name), name)
    return prod(int(n) for n in header["dim"][1 : int(header["dim"][0]) + 1])


def read_nifti(path: Path, size: int, name: str) -> RawVolume:
    """Read a NIfTI file of ``size`` bytes; see ``reading.read_volume``."""
    zipped = path.name.endswith(".gz")
    with path.open("rb") as file, _opened(file, zipped) as stream:
        header = _nifti_header(_first(stream, name), name)
        # Before any voxel is read, and whichever affine is taken.
        positive(_told_spacing(header), name)
        needed = _nifti_bytes(header, name)
        _check_promise(needed, size, MOST_COMPRESSION if zipped else 1, name)
        array = _nifti_array(stream, header, name)
        _finish(stream, name)
    array = array.T
    while array.ndim > 3 and len(array) == 1:
        # Many tools write a trailing axis of length one.
        array = array[0]
    grid = _nifti_grid(header, array.shape, name)
    return RawVolume(native(array), grid.spacing, grid.affine, file_digest(path), grid.oddities)


def _opened(file: BinaryIO, zipped: bool) -> BinaryIO:
    return cast("BinaryIO", gzip.GzipFile(fileobj=file)) if zipped else file


def _check_promise(needed: int, size: int, compression: int, name: str) -> None:
    """Compare the bytes that the header promises with those of the file, before any is read."""
    if needed > compression * size:
        raise truncated(name)
    if size > needed + needed // 100 + SLACK:
        raise surplus(name)


def _first(stream: BinaryIO, name: str) -> bytes:
    """The bytes that hold the header; the stream stands at its start again."""
    with _corruption(name):
        start = stream.read(_NIFTI2)
        stream.seek(0)
    return start


def _nifti_array(stream: BinaryIO, header: Any, name: str) -> Shaped[np.ndarray, "*axes"]:
    """The voxels, decompressed straight into the array, so that memory holds them once."""
    with _corruption(name), np.errstate(all="ignore"):
        try:
            # Not as an image of nibabel, which would log what it mends to stderr.
            stored = ArrayProxy(stream, header, mmap=False)
            scaled = stored.slope != 1 or stored.inter != 0
            array = np.asanyarray(stored, dtype=np.float32 if scaled else None)
        except (HeaderDataError, ValueError, TypeError) as e:
            raise _invalid(name, e) from None
        if array.dtype.kind == "f" and array.dtype.itemsize > 4:
            # As nnU-Net, which computes in single precision.
            array = array.astype(np.float32)
    return array


def _finish(stream: BinaryIO, name: str) -> None:
    """Read what follows the voxels, and so check the CRC; refuse more than a little."""
    total = 0
    with _corruption(name):
        while part := stream.read(_CHUNK):
            total += len(part)
            if total > SLACK:
                raise surplus(name)


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
        raise truncated(name) from None


def _nifti_header(start: bytes, name: str) -> Any:
    """The header, unmended: nibabel would silently make a negative spacing positive."""
    for size, kind in ((_NIFTI1, nib.Nifti1Header), (_NIFTI2, nib.Nifti2Header)):
        if size in (int.from_bytes(start[:4], "little"), int.from_bytes(start[:4], "big")):
            if len(start) < size:
                raise truncated(name)
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
    check_kind(dtype, name)


def _nifti_bytes(header: Any, name: str) -> int:
    axes = int(header["dim"][0])
    voxels = prod(int(n) for n in header["dim"][1 : axes + 1])
    check_voxels(voxels, name)
    offset = float(header["vox_offset"])
    if not int(header["sizeof_hdr"]) <= offset <= _LARGEST_OFFSET:
        raise IngestError(f"{name}: its voxels begin at byte {offset:g}; export it again")
    return int(offset) + voxels * int(header.get_data_dtype().itemsize)


def _told_spacing(header: Any) -> Spacing:
    """``(z, y, x)``, in the unit of the header."""
    x, y, z = (float(value) for value in header["pixdim"][1:4])
    return z, y, x


class _Grid(NamedTuple):
    spacing: Spacing
    affine: Affine
    oddities: tuple[Oddity, ...]


def _nifti_grid(header: Any, shape: tuple[int, ...], name: str) -> _Grid:
    """Spacing and affine, mm, from one source: sform, if it has a code, else qform, else pixdim.

    So nibabel does, and hence nnU-Net with it. ITK takes the voxel size from pixdim in any case.
    """
    try:
        with np.errstate(all="ignore"):
            stored = np.array(header.get_best_affine(), dtype=np.float64)
    except (HeaderDataError, ValueError, TypeError) as e:
        raise _invalid(name, e) from None
    unit = int(header["xyzt_units"]) & _SPATIAL
    factor = _UNITS.get(unit, 1.0)
    affine = scaled(stored, factor)
    z, y, x = (factor * value for value in _told_spacing(header))
    spacing, oddities = settled_spacing(affine, (z, y, x), name)
    if unit not in _UNITS:
        oddities += (Oddity(kind="unit", detail=f"xyzt_units {unit}"),)
    elif unit == 0:
        oddities += unspoken_unit(shape, spacing)
    return _Grid(spacing, affine, oddities + _orientations(header, stored, shape[-3:]))


def _orientations(header: Any, affine: Affine, shape: tuple[int, ...]) -> tuple[Oddity, ...]:
    """Whether the header places the volume nowhere, or in two places."""
    if not (header["sform_code"] > 0 or header["qform_code"] > 0):
        return (Oddity(kind="nowhere", detail="qform and sform codes 0"),)
    if not (header["sform_code"] > 0 and header["qform_code"] > 0) or len(shape) != 3:
        return ()
    try:
        with np.errstate(all="ignore"):
            apart = displacement(np.array(header.get_qform(), dtype=np.float64), affine, shape)
    except (HeaderDataError, ValueError, TypeError, np.linalg.LinAlgError):
        return (Oddity(kind="orientation", detail="a qform that is no rotation"),)
    # NaN fails the comparison.
    if apart <= _FORMS_APART:
        return ()
    return (Oddity(kind="orientation", detail=f"{apart:.3g} voxels apart"),)


def _invalid(name: str, error: Exception) -> IngestError:
    return IngestError(f"{name}: is not a valid NIfTI file ({error}); export it again")
