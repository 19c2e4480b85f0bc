"""A volume as it lies in its file, and the bounds that every file format keeps."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from alsweep.errors import IngestError

if TYPE_CHECKING:
    from pathlib import Path

    from jaxtyping import Shaped

    from alsweep.data.case import Spacing
    from alsweep.data.raw.grids import Affine, Oddity

MOST_VOXELS = 1 << 31
"""In one file: a CT of 512 x 512 x 2000 has half a billion."""

MOST_COMPRESSION = 1100
"""Deflate cannot make data smaller than 1/1032; a header that promises more lies."""

SLACK = 1 << 20
"""Bytes that may follow the voxels."""


@dataclass(frozen=True)
class RawVolume:
    """A volume as it lies in its file.

    Attributes:
        array: ``(z, y, x)``, or ``(channel, z, y, x)`` for a 4D file; numbers of any real type.
        spacing: ``(z, y, x)``, mm.
        affine: Voxel index ``(x, y, z)`` to RAS, mm.
        sha256: Of the file.
        oddities: What else its header says of where it lies.
    """

    array: Shaped[np.ndarray, "*axes"]
    spacing: Spacing
    affine: Affine
    sha256: str
    oddities: tuple[Oddity, ...] = ()


def file_digest(path: Path) -> str:
    """SHA-256 of a file, as hex digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def check_voxels(voxels: int, name: str) -> None:
    """Refuse more voxels than fit into any memory."""
    if voxels > MOST_VOXELS:
        raise IngestError(
            f"{name}: its header promises {voxels:.3g} voxels, truncated or corrupt or more than "
            f"the {MOST_VOXELS:.3g} that alsweep reads; export it again"
        )


def check_kind(dtype: np.dtype[Any], name: str) -> None:
    """Refuse colours, complex numbers and the like."""
    if dtype.kind not in "iufb":
        raise IngestError(f"{name}: holds {dtype} values; save it with one real number a voxel")


def native(array: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """The array in C order and in the byte order of this machine."""
    return np.ascontiguousarray(array, dtype=array.dtype.newbyteorder("="))


def truncated(name: str) -> IngestError:
    """The error of a file that holds less than it should."""
    return IngestError(f"{name}: is truncated or corrupt; copy or export it again")


def surplus(name: str) -> IngestError:
    """The error of a file that holds more than it should."""
    return IngestError(f"{name}: holds more bytes than its header says; export it again")
