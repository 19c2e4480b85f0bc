"""Reading NRRD and MetaImage files that nobody vouches for.

SimpleITK reads them, but some damaged headers make it crash or print to the console. So it gets to
see only files whose header says plainly what the voxels are and that they are all there.
"""

from __future__ import annotations

import os
import re
from contextlib import contextmanager
from math import prod
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import SimpleITK as sitk  # noqa: N813  (the name under which everybody knows it)

from alsweep.data.volume import (
    MOST_COMPRESSION,
    SLACK,
    RawVolume,
    check_voxels,
    file_digest,
    native,
    positive,
    surplus,
    truncated,
)
from alsweep.errors import IngestError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from alsweep.data.volume import Affine

_HEADER_BYTES = 1 << 16
_NUMBER = r"[-+]?(\d+\.?\d*|\.\d+)([eE][-+]?\d+)?"
_COUNT = r"[1-9]\d{0,9}"
_VECTOR = rf"\( *{_NUMBER}( *, *{_NUMBER}){{2}} *\)"


def _row(what: str, count: int) -> str:
    """Pattern of so many values with blanks between them."""
    return rf"(?:{what})(?: +(?:{what})){{{count - 1}}}"


_TYPES = {
    **dict.fromkeys(("signed char", "int8", "int8_t", "MET_CHAR"), 1),
    **dict.fromkeys(("uchar", "unsigned char", "uint8", "uint8_t", "MET_UCHAR"), 1),
    **dict.fromkeys(("short", "short int", "signed short", "int16", "int16_t", "MET_SHORT"), 2),
    **dict.fromkeys(("ushort", "unsigned short", "uint16", "uint16_t", "MET_USHORT"), 2),
    **dict.fromkeys(("int", "signed int", "int32", "int32_t", "MET_INT", "MET_LONG"), 4),
    **dict.fromkeys(("uint", "unsigned int", "uint32", "uint32_t", "MET_UINT", "MET_ULONG"), 4),
    **dict.fromkeys(("float", "MET_FLOAT"), 4),
    **dict.fromkeys(("double", "MET_DOUBLE"), 8),
}
"""Bytes of a voxel, at least."""

_BOOLEAN = r"(?i:true|false|0|1)"
_META: dict[str, str] = {
    "ObjectType": "Image",
    "NDims": "3",
    "DimSize": _row(_COUNT, 3),
    "ElementType": "|".join(_TYPES),
    "ElementNumberOfChannels": "1",
    "ElementSpacing": _row(rf"(?!-){_NUMBER}", 3),
    "BinaryData": "(?i:true)",
    "BinaryDataByteOrderMSB": _BOOLEAN,
    "ElementByteOrderMSB": _BOOLEAN,
    "CompressedData": _BOOLEAN,
    "CompressedDataSize": _COUNT,
    "HeaderSize": "0",
    **dict.fromkeys(("Offset", "Position", "Origin", "CenterOfRotation"), _row(_NUMBER, 3)),
    **dict.fromkeys(("TransformMatrix", "Rotation", "Orientation"), _row(_NUMBER, 9)),
    "AnatomicalOrientation": r"[A-Z?]{3}",
    "ElementDataFile": "LOCAL",
}
_META_NEEDED = ("NDims", "DimSize", "ElementType", "ElementDataFile")
_NRRD: dict[str, str] = {
    "type": "|".join(_TYPES),
    "dimension": "3",
    "sizes": _row(_COUNT, 3),
    "encoding": "raw|gz|gzip",
    "endian": "little|big",
    "space": r"[A-Za-z0-9-]{1,40}",
    "space dimension": "3",
    "space directions": _row(_VECTOR, 3),
    "space origin": _VECTOR,
    "spacings": _row(rf"(?!-){_NUMBER}", 3),
    "line skip": "0",
    "byte skip": "0",
    "measurement frame": _row(_VECTOR, 3),
    **dict.fromkeys(("axis mins", "axismins", "axis maxs", "axismaxs"), _row(_NUMBER, 3)),
    **dict.fromkeys(("kinds", "centers", "centerings"), _row(r"[A-Za-z0-9-]{1,40}|\?\?\?", 3)),
    **dict.fromkeys(("units", "space units", "labels"), _row(r'"[^"\\]{0,40}"', 3)),
    "content": r".{0,1000}",
}
_NRRD_NEEDED = ("type", "dimension", "sizes", "encoding")


def itk_voxels(path: Path, name: str) -> int:
    """Voxels that the header speaks of.

    Raises:
        IngestError: It is none.
    """
    return prod(_shape(_fields(path, name)[0]))


def read_itk(path: Path, size: int, name: str) -> RawVolume:
    """Read a ``.nrrd`` or ``.mha`` file of ``size`` bytes; see ``reading.read_volume``."""
    fields, length = _fields(path, name)
    _check_promise(fields, size - length, name)
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
    x, y, z = image.GetSpacing()
    array = sitk.GetArrayFromImage(image)
    return RawVolume(
        native(array), positive((z, y, x), name), _itk_affine(image), file_digest(path)
    )


def _fields(path: Path, name: str) -> tuple[dict[str, str], int]:
    """What the header says, and its bytes."""
    with path.open("rb") as file:
        start = file.read(_HEADER_BYTES)
    if path.name.endswith(".mha"):
        return _meta_fields(start, name)
    return _nrrd_fields(start, name)


def _meta_fields(start: bytes, name: str) -> tuple[dict[str, str], int]:
    match = re.search(rb"^ *ElementDataFile *= *([^\r\n]*?) *\r?\n", start, re.MULTILINE)
    if match is None:
        raise _invalid(name, "ends too early")
    lines = _lines(start[: match.end()], name)
    fields: dict[str, str] = {}
    for line in lines:
        key, separator, value = (part.strip() for part in line.partition("="))
        if not separator or not re.fullmatch(r"[!-~]{1,100}", key):
            raise _invalid(name, f"has the line {line[:60]!r}")
        _add(fields, key, value, name)
    if fields["ElementDataFile"].lower() != "local":
        raise _detached(name)
    _check_fields(fields, _META, _META_NEEDED, name)
    return fields, match.end()


def _nrrd_fields(start: bytes, name: str) -> tuple[dict[str, str], int]:
    end = re.search(rb"\r?\n\r?\n", start)
    if end is None or not re.match(rb"NRRD000[1-5]\r?\n", start):
        raise _invalid(name, "ends too early or begins otherwise than NRRD files do")
    fields: dict[str, str] = {}
    for line in _lines(start[: end.end()], name)[1:]:
        # Comments, and keys that anybody may invent.
        if line.startswith("#") or re.match(r"[^:]+:=", line):
            continue
        key, separator, value = (part.strip() for part in line.partition(":"))
        if key in ("data file", "datafile"):
            raise _detached(name)
        if not separator or key not in _NRRD:
            raise _invalid(name, f"has the line {line[:60]!r}")
        _add(fields, key, value, name)
    _check_fields(fields, _NRRD, _NRRD_NEEDED, name)
    return fields, end.end()


def _lines(header: bytes, name: str) -> list[str]:
    try:
        text = header.decode("utf-8")
    except UnicodeDecodeError:
        raise _invalid(name, "is no text") from None
    if "\0" in text:
        raise _invalid(name, "is no text")
    return [line.strip() for line in text.splitlines() if line.strip()]


def _add(fields: dict[str, str], key: str, value: str, name: str) -> None:
    if key in fields:
        raise _invalid(name, f"has '{key[:60]}' twice")
    fields[key] = value


def _check_fields(
    fields: Mapping[str, str], known: Mapping[str, str], needed: tuple[str, ...], name: str
) -> None:
    for key in needed:
        if key not in fields:
            raise _invalid(name, f"has no '{key}'")
    for key, value in fields.items():
        if key in known and not re.fullmatch(known[key], value):
            raise _invalid(name, f"has '{key}' {value[:60]!r}, which alsweep does not read")


def _shape(fields: Mapping[str, str]) -> tuple[int, ...]:
    return tuple(map(int, (fields.get("DimSize") or fields["sizes"]).split()))


def _check_promise(fields: Mapping[str, str], size: int, name: str) -> None:
    """Compare the voxels that the header promises with the bytes that follow it."""
    voxels = prod(_shape(fields))
    check_voxels(voxels, name)
    needed = voxels * _TYPES[fields.get("ElementType") or fields["type"]]
    packed = fields.get("CompressedData", "false").lower() in ("true", "1")
    packed |= fields.get("encoding", "raw") != "raw"
    if needed > (MOST_COMPRESSION if packed else 1) * size:
        raise truncated(name)
    announced = fields.get("CompressedDataSize")
    if announced is not None and packed and int(announced) > size:
        raise truncated(name)
    # Twice: a long has four bytes or eight.
    if size > 2 * needed + needed // 100 + SLACK:
        raise surplus(name)


def _invalid(name: str, what: str) -> IngestError:
    return IngestError(
        f"{name}: its header {what}; write it as a 3D image with one number a voxel, raw or gzip"
    )


def _detached(name: str) -> IngestError:
    """A header may name another file for its voxels, which may lie anywhere."""
    return IngestError(f"{name}: keeps its voxels in another file; save header and voxels in one")


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
