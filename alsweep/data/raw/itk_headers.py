"""Headers of NRRD and MetaImage files, read before SimpleITK gets to see the file.

They tell how much memory the voxels will take, whether they lie in another file, which may be
anywhere, and in which unit lengths are, which ITK does not heed.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from math import prod
from typing import TYPE_CHECKING

from alsweep.errors import IngestError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

_HEADER_BYTES = 1 << 20
_NUMBER = r"[-+]?(\d+(\.\d*)?|\.\d+)([eE](\+?0*\d{1,2}|-\d+))?"
"""Of one larger than that ITK cannot take the square, and quietly has a length of 1."""

_MAYBE = rf"(?i:{_NUMBER}|[-+]?nan|[-+]?inf)"
_COUNT = r"[1-9]\d{0,9}"
_VECTOR = rf"\( *{_NUMBER}( *, *{_NUMBER}){{2}} *\)"
_TEXT = r".{0,1000}"
_QUOTED = r'"(?:[^"\\]|\\.){0,200}"'


def _row(what: str, count: int) -> str:
    """Pattern of so many values with blanks between them."""
    return rf"(?:{what})(?: +(?:{what})){{{count - 1}}}"


def _spelt(*names: str) -> tuple[str, ...]:
    """An integer type with and without what C leaves out."""
    return tuple(
        f"{sign}{name}{tail}" for name in names for sign in ("", "signed ") for tail in ("", " int")
    )


def _unsigned(*names: str) -> tuple[str, ...]:
    return tuple(f"unsigned {name}{tail}" for name in names for tail in ("", " int"))


_NRRD_TYPES = {
    **dict.fromkeys(("signed char", "int8", "int8_t"), 1),
    **dict.fromkeys(("uchar", "unsigned char", "uint8", "uint8_t"), 1),
    **dict.fromkeys((*_spelt("short"), "int16", "int16_t"), 2),
    **dict.fromkeys(("ushort", *_unsigned("short"), "uint16", "uint16_t"), 2),
    **dict.fromkeys(("int", "signed int", "int32", "int32_t"), 4),
    **dict.fromkeys(("uint", "unsigned int", "uint32", "uint32_t"), 4),
    **dict.fromkeys(("longlong", *_spelt("long long"), "int64", "int64_t"), 8),
    **dict.fromkeys(("ulonglong", *_unsigned("long long"), "uint64", "uint64_t"), 8),
    **{"float": 4, "double": 8},
}
_META_TYPES = {
    **dict.fromkeys(("MET_CHAR", "MET_UCHAR"), 1),
    **dict.fromkeys(("MET_SHORT", "MET_USHORT"), 2),
    **dict.fromkeys(("MET_INT", "MET_UINT", "MET_LONG", "MET_ULONG", "MET_FLOAT"), 4),
    **dict.fromkeys(("MET_LONG_LONG", "MET_ULONG_LONG", "MET_DOUBLE"), 8),
}
"""Bytes of a voxel, at least: a long has four bytes or eight."""

_BOOLEAN = r"(?i:true|false|0|1)"
_META: dict[str, str] = {
    "ObjectType": "Image",
    "NDims": "3",
    "DimSize": _row(_COUNT, 3),
    "ElementType": "|".join(_META_TYPES),
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
    "type": rf"(?i:{'|'.join(_NRRD_TYPES)})",
    "dimension": "3",
    "sizes": _row(_COUNT, 3),
    "encoding": "(?i:raw|gz|gzip)",
    "endian": "(?i:little|big)",
    "space": r"[A-Za-z0-9-]{1,40}",
    "space dimension": "3",
    "space directions": _row(_VECTOR, 3),
    "space origin": _VECTOR,
    "spacings": _row(rf"(?!-){_NUMBER}", 3),
    "line skip": r"\d{1,9}",
    "byte skip": r"\d{1,9}|-1",
    "measurement frame": _row(_VECTOR, 3),
    "number": _COUNT,
    **dict.fromkeys(("axis mins", "axis maxs", "thicknesses"), _row(_MAYBE, 3)),
    **dict.fromkeys(("kinds", "centers", "centerings"), _row(r"[A-Za-z0-9-]{1,40}|\?\?\?", 3)),
    **dict.fromkeys(("units", "space units", "labels"), _row(_QUOTED, 3)),
    **dict.fromkeys(("min", "max", "old min", "old max"), _MAYBE),
    **dict.fromkeys(("content", "sample units"), _TEXT),
}
"""All fields of the format but those of blocks, of which no voxel is one number."""

_NRRD_NEEDED = ("type", "dimension", "sizes", "encoding")
_NRRD_NAMES = {name.replace(" ", ""): name for name in _NRRD}
"""Teem, which ITK reads NRRD with, tells neither upper from lower case nor a name without its
blanks."""


@dataclass(frozen=True)
class ItkHeader:
    """What a header says of its voxels.

    Attributes:
        length: Of the header, bytes.
        shape: ``(x, y, z)``.
        itemsize: Bytes of a voxel, at least.
        packed: Whether they are compressed.
        skipped: Bytes between header and voxels, at least.
        announced: Bytes of the compressed voxels, if it says so.
        units: Of length, as they are spelt, empty where nothing is said.
    """

    length: int
    shape: tuple[int, ...]
    itemsize: int
    packed: bool
    skipped: int
    announced: int | None
    units: tuple[str, ...]

    @property
    def voxels(self) -> int:
        """How many."""
        return prod(self.shape)


def read_header(path: Path, name: str) -> ItkHeader:
    """What the header of a ``.nrrd`` or ``.mha`` file says.

    Raises:
        IngestError: It says nothing, contradicts itself or names another file for the voxels.
    """
    with path.open("rb") as file:
        start = file.read(_HEADER_BYTES)
    return _meta_header(start, name) if path.name.endswith(".mha") else _nrrd_header(start, name)


def _meta_header(start: bytes, name: str) -> ItkHeader:
    end = re.search(rb"^ *ElementDataFile *=[^\r\n]*\r?\n", start, re.MULTILINE)
    if end is None:
        raise _invalid(name, "ends too early")
    fields: dict[str, str] = {}
    for line in _lines(start[: end.end()], name):
        key, separator, value = (part.strip(" ") for part in line.partition("="))
        if not separator or not re.fullmatch(r"[!-~]{1,100}", key):
            raise _invalid(name, f"has the line {line[:60]!r}")
        _add(fields, key, value, name)
    if fields["ElementDataFile"].lower() != "local":
        raise _detached(name)
    _check_fields(fields, _META, _META_NEEDED, name)
    packed = fields.get("CompressedData", "false").lower() in ("true", "1")
    return ItkHeader(
        length=end.end(),
        shape=_counts(fields["DimSize"]),
        itemsize=_META_TYPES[fields["ElementType"]],
        packed=packed,
        skipped=0,
        announced=int(fields["CompressedDataSize"])
        if packed and "CompressedDataSize" in fields
        else None,
        units=(fields["DistanceUnits"],) if "DistanceUnits" in fields else (),
    )


def _nrrd_header(start: bytes, name: str) -> ItkHeader:
    end = re.search(rb"\r?\n\r?\n", start)
    if end is None or not re.match(rb"NRRD00(0[1-5]|\.01)\r?\n", start):
        raise _invalid(name, "ends too early or begins otherwise than NRRD files do")
    fields: dict[str, str] = {}
    for line in _lines(start[: end.end()], name)[1:]:
        # Comments, and keys that anybody may invent.
        if line.startswith("#") or re.match(r"[^:]+:=", line):
            continue
        told, separator, value = (part.strip(" ") for part in line.partition(":"))
        key = told.lower().replace(" ", "")
        if key == "datafile":
            raise _detached(name)
        if not separator or key not in _NRRD_NAMES:
            raise _invalid(name, f"has the line {line[:60]!r}")
        _add(fields, _NRRD_NAMES[key], value, name)
    _check_fields(fields, _NRRD, _NRRD_NEEDED, name)
    quoted = fields.get("space units") or fields.get("units", "")
    return ItkHeader(
        length=end.end(),
        shape=_counts(fields["sizes"]),
        itemsize=_NRRD_TYPES[fields["type"].lower()],
        packed=fields["encoding"].lower() != "raw",
        skipped=int(fields.get("line skip", 0)) + max(0, int(fields.get("byte skip", 0))),
        announced=None,
        units=tuple(unit[1:-1] for unit in re.findall(_QUOTED, quoted)),
    )


def _lines(header: bytes, name: str) -> list[str]:
    """Lines without blanks round them; in Latin-1, since any byte occurs in some DICOM tag."""
    if b"\0" in header:
        raise _invalid(name, "is no text")
    text = header.decode("latin-1").replace("\t", " ")
    return [line.strip(" ") for line in re.split("\r?\n", text) if line.strip(" ")]


def _counts(value: str) -> tuple[int, ...]:
    return tuple(map(int, value.split()))


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


def _invalid(name: str, what: str) -> IngestError:
    return IngestError(
        f"{name}: its header {what}; write it as a 3D image with one number a voxel, raw or gzip"
    )


def _detached(name: str) -> IngestError:
    """A header may name another file for its voxels, which may lie anywhere."""
    return IngestError(f"{name}: keeps its voxels in another file; save header and voxels in one")
