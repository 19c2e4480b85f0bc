"""Reading NRRD and MetaImage files that nobody vouches for.

SimpleITK reads them, but one in a hundred damaged MetaImage headers makes it crash, and two in five
make it print to the console. So it gets to see only files whose header says plainly what the voxels
are and that they are all there. A process of its own for the reading would outlive the crash, but
costs as much time again, and the header must be read here all the same: for the file that it may
name, for the memory that it asks for, and for its units.
"""

from __future__ import annotations

import os
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import SimpleITK as sitk  # noqa: N813  (the name under which everybody knows it)

from alsweep.data.raw.grids import Oddity, millimetres, scaled, settled_spacing, unspoken_unit
from alsweep.data.raw.itk_headers import ItkHeader, read_header
from alsweep.data.raw.volume import (
    MOST_COMPRESSION,
    SLACK,
    RawVolume,
    check_voxels,
    file_digest,
    native,
    surplus,
    truncated,
)
from alsweep.errors import IngestError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from alsweep.data.raw.grids import Affine


def itk_voxels(path: Path, name: str) -> int:
    """Voxels that the header speaks of.

    Raises:
        IngestError: It is none.
    """
    return read_header(path, name).voxels


def read_itk(path: Path, size: int, name: str) -> RawVolume:
    """Read a ``.nrrd`` or ``.mha`` file of ``size`` bytes; see ``reading.read_volume``."""
    header = read_header(path, name)
    _check_promise(header, size - header.length, name)
    reader = sitk.ImageFileReader()
    reader.SetFileName(str(path))
    try:
        with _silence():
            image = reader.Execute()
    except RuntimeError as error:
        reason = " ".join(str(error).split())[-160:]
        raise IngestError(
            f"{name}: is truncated, corrupt or has an invalid header (…{reason}); export it again"
        ) from None
    factor, oddities = _unit(header)
    x, y, z = (factor * value for value in image.GetSpacing())
    affine = scaled(_itk_affine(image), factor)
    spacing, odd = settled_spacing(affine, (z, y, x), name)
    array = native(sitk.GetArrayFromImage(image))
    if not any(header.units):
        oddities += unspoken_unit(array.shape, spacing)
    return RawVolume(array, spacing, affine, file_digest(path), odd + oddities)


def _check_promise(header: ItkHeader, size: int, name: str) -> None:
    """Compare the voxels that the header promises with the bytes that follow it."""
    check_voxels(header.voxels, name)
    needed = header.voxels * header.itemsize + header.skipped
    if needed > (MOST_COMPRESSION if header.packed else 1) * size:
        raise truncated(name)
    if header.announced is not None and header.announced > size:
        raise truncated(name)
    # Twice: a long has four bytes or eight.
    if size > 2 * needed + needed // 100 + SLACK:
        raise surplus(name)


def _unit(header: ItkHeader) -> tuple[float, tuple[Oddity, ...]]:
    """Its unit of length in mm, which ITK leaves to its callers."""
    factors = {millimetres(unit) for unit in header.units}
    if not factors:
        return 1.0, ()
    factor = factors.pop()
    if factors or factor is None:
        return 1.0, (Oddity(kind="unit", detail=" ".join(header.units)[:60]),)
    return factor, ()


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


def _itk_affine(image: Any) -> Affine:
    """ITK's LPS geometry as an affine to RAS."""
    affine = np.eye(4)
    affine[:3, :3] = np.array(image.GetDirection()).reshape(3, 3) * np.array(image.GetSpacing())
    affine[:3, 3] = image.GetOrigin()
    return np.diag([-1.0, -1.0, 1.0, 1.0]) @ affine
