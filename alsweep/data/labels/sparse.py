"""Label maps that are mostly 255, as OME-Zarr: one shard a case, made chunk by chunk."""

from __future__ import annotations

import hashlib
import json
import shutil
import struct
from math import ceil
from typing import TYPE_CHECKING, Any

import numpy as np

from alsweep.files import read_json
from alsweep.geometry import triple
from alsweep.label_codes import IGNORE

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

    from alsweep.geometry import Triple
    from alsweep.types import LabelMap

_CHUNK = 64
_ABSENT = 2**64 - 1
_SHARD = "0/c.0.0.0"
_ZSTD_LEVEL = 0


def chunk_size(shape: Triple) -> Triple:
    """Extent of the chunks of a label map of ``shape``."""
    return triple(min(_CHUNK, n) for n in shape)


def touched_chunks(shape: Triple, boxes: Iterable[tuple[Triple, Triple]]) -> list[Triple]:
    """Grid positions of the chunks that share a voxel with one of the boxes, in C order."""
    size = chunk_size(shape)
    touched: set[Triple] = set()
    for start, extent in boxes:
        axes = [
            range(a // c, (a + n - 1) // c + 1) for a, n, c in zip(start, extent, size, strict=True)
        ]
        touched.update((z, y, x) for z in axes[0] for y in axes[1] for x in axes[2])
    return sorted(touched)


def write_sparse_label(
    folder: Path,
    shape: Triple,
    chunks: Iterable[Triple],
    window: Callable[[Triple, Triple], LabelMap],
    attributes: dict[str, Any],
) -> None:
    """Write one label map whose voxels outside ``chunks`` are all 255.

    Memory is that of one chunk and of the compressed result, whatever the size of the case. What is
    there already is replaced file by file, so that a viewer sees the old labels or the new.

    Args:
        folder: The group of the label; made when missing.
        shape: Of the label map ``(z, y, x)``.
        chunks: From :func:`touched_chunks`.
        window: Gives the labels of a box ``(start, size)``, 255 outside the case.
        attributes: Of the group; under the key ``alsweep`` the SHA-256 of the shard is added.
    """
    if not _is_declared(folder / "0", shape):
        shutil.rmtree(folder, ignore_errors=True)
        _declare(folder / "0", shape)
    shard = _shard(shape, chunks, window)
    if shard:
        _replace(folder / _SHARD, shard)
    else:
        (folder / _SHARD).unlink(missing_ok=True)
    own = {**attributes["alsweep"], "sha256": hashlib.sha256(shard).hexdigest()}
    group = {
        "zarr_format": 3,
        "node_type": "group",
        "attributes": {**attributes, "alsweep": own},
    }
    # Last, since it vouches for the rest.
    _replace(folder / "zarr.json", json.dumps(group).encode())


def _replace(path: Path, content: bytes) -> None:
    """Put a file in its place whole, but not durably: the query log can make it again."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.tmp")
    temporary.write_bytes(content)
    temporary.replace(path)


def is_whole(folder: Path, shape: Triple, notes: dict[str, str]) -> bool:
    """Whether a label map of ``shape`` that was written with ``notes`` is there, undamaged."""
    try:
        found = read_json(folder / "zarr.json")["attributes"]["alsweep"]
        shard = folder / _SHARD
        content = shard.read_bytes() if shard.exists() else b""
    except (OSError, ValueError, KeyError, TypeError):
        return False
    whole = {**notes, "sha256": hashlib.sha256(content).hexdigest()}
    return bool(found == whole) and _is_declared(folder / "0", shape)


def _is_declared(array: Path, shape: Triple) -> bool:
    """Whether there is the metadata of an array of ``shape``."""
    try:
        return bool(read_json(array / "zarr.json")["shape"] == list(shape))
    except (OSError, ValueError, KeyError, TypeError):
        return False


def _declare(array: Path, shape: Triple) -> None:
    """Let zarr write the metadata of the array, but none of its data."""
    import zarr

    size = chunk_size(shape)
    zarr.create_array(
        array,
        shape=shape,
        dtype="uint8",
        chunks=size,
        shards=tuple(n * c for n, c in zip(_grid(shape), size, strict=True)),
        compressors=zarr.codecs.ZstdCodec(level=_ZSTD_LEVEL),
        fill_value=IGNORE,
        # Three folders fewer for each case of each trajectory: file systems run out of inodes.
        chunk_key_encoding={"name": "default", "separator": "."},
        dimension_names=("z", "y", "x"),
    )


def _grid(shape: Triple) -> Triple:
    """How many chunks each axis has."""
    return triple(ceil(n / c) for n, c in zip(shape, chunk_size(shape), strict=True))


def _shard(
    shape: Triple, chunks: Iterable[Triple], window: Callable[[Triple, Triple], LabelMap]
) -> bytes:
    """The chunks one after the other, then where each lies: the sharding codec of Zarr v3.

    zarr itself would need the whole label map at once, or rewrite the shard for every chunk.

    Source: Zarr v3 sharding codec 1.0: index of (offset, length) pairs, uint64 little-endian, at
        the end and followed by its CRC32C.
    """
    from google_crc32c import value as crc32c
    from numcodecs.zstd import Zstd

    codec, size = Zstd(level=_ZSTD_LEVEL), chunk_size(shape)
    index = np.full((*_grid(shape), 2), _ABSENT, dtype="<u8")
    parts, offset = [], 0
    for place in chunks:
        labels = window(triple(np.multiply(place, size)), size)
        if (labels == IGNORE).all():
            continue
        part = codec.encode(np.ascontiguousarray(labels))
        index[place] = offset, len(part)
        parts.append(part)
        offset += len(part)
    if not parts:
        return b""
    table = index.tobytes()
    return b"".join((*parts, table, struct.pack("<I", crc32c(table))))
