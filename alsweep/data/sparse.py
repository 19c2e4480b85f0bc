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

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

    from alsweep.geometry import Triple
    from alsweep.types import LabelMap

FILL = 255
"""What a reader shows where nothing is stored."""

_CHUNK = 64
_ABSENT = 2**64 - 1
_SHARD = "0/c/0/0/0"
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

    Memory is that of one chunk and of the compressed result, whatever the size of the case.

    Args:
        folder: Replaced if it exists.
        shape: Of the label map ``(z, y, x)``.
        chunks: From :func:`touched_chunks`.
        window: Gives the labels of a box ``(start, size)``, 255 outside the case.
        attributes: Of the group; under the key ``alsweep`` the SHA-256 of the shard is added.
    """
    if folder.exists():
        shutil.rmtree(folder)
    _declare(folder / "0", shape)
    shard = _shard(shape, chunks, window)
    if shard:
        (folder / _SHARD).parent.mkdir(parents=True)
        (folder / _SHARD).write_bytes(shard)
    own = {**attributes["alsweep"], "sha256": hashlib.sha256(shard).hexdigest()}
    group = {
        "zarr_format": 3,
        "node_type": "group",
        "attributes": {**attributes, "alsweep": own},
    }
    # Last, so that a group with metadata is a whole one.
    (folder / "zarr.json").write_text(json.dumps(group), encoding="utf-8")


def is_whole(folder: Path, notes: dict[str, str]) -> bool:
    """Whether a label map that was written with ``notes`` lies in ``folder``, undamaged."""
    try:
        found = read_json(folder / "zarr.json")["attributes"]["alsweep"]
        read_json(folder / "0" / "zarr.json")
        shard = folder / _SHARD
        content = shard.read_bytes() if shard.exists() else b""
    except (OSError, ValueError, KeyError, TypeError):
        return False
    return bool(found == {**notes, "sha256": hashlib.sha256(content).hexdigest()})


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
        fill_value=FILL,
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
        if (labels == FILL).all():
            continue
        part = codec.encode(np.ascontiguousarray(labels))
        index[place] = offset, len(part)
        parts.append(part)
        offset += len(part)
    if not parts:
        return b""
    table = index.tobytes()
    return b"".join((*parts, table, struct.pack("<I", crc32c(table))))
