"""Durable small files: a reader sees the old content or the new, never a part."""

import fcntl
import json
import os
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from alsweep.disk import full_disk_told
from alsweep.layout import mirror_mark

_LITTER = {
    ".ds_store",
    ".directory",
    ".localized",
    "thumbs.db",
    "ehthumbs.db",
    "desktop.ini",
    "@eadir",
    "@tmp",
    "@recycle",
    "#recycle",
    "#snapshot",
    "$recycle.bin",
    "system volume information",
    "lost+found",
    "__macosx",
    "icon\r",
}
"""What Windows, macOS, Linux and network storage leave in folders, in lower case."""


def is_litter(name: str) -> bool:
    """Whether a file or folder is what systems leave everywhere, and none of anybody's work."""
    return name.lower() in _LITTER or name.startswith(("._", ".nfs", ".fuse_hidden"))


def sync_folder(folder: Path) -> None:
    """Flush a folder's entries to disk, so that a rename in it outlives a power cut."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def own_entries(folder: Path) -> list[Path]:
    """What lies in a folder itself: nothing that a link leads to, and nothing if it is one."""
    if folder.is_symlink() or not folder.is_dir():
        return []
    return [path for path in folder.iterdir() if not path.is_symlink()]


def write_bytes(path: Path, content: bytes) -> None:
    """Replace ``path`` atomically: temporary name, fsync, rename, folder fsync.

    Raises:
        DiskFullError: There is no room; what was there is there still.
    """
    with full_disk_told(path.parent):
        _replace(path, content)
    published(path)


def remove(path: Path) -> None:
    """Remove a small file, if it is there."""
    try:
        path.unlink()
    except FileNotFoundError:
        return
    if (root := mirror_above(path)) is not None:
        from alsweep.storage.mirror import withdraw

        withdraw(root, path)


def published(path: Path) -> None:
    """Bring a file that was just written to where its folder is mirrored from, if it is.

    Raises:
        StoreError: The object store refuses, or has not answered for long.
    """
    if (root := mirror_above(path)) is not None:
        from alsweep.storage.mirror import publish

        publish(root, path)


def mirror_above(path: Path) -> Path | None:
    """The folder above ``path`` that mirrors one in an object store; None where none does."""
    return next((folder for folder in path.parents if mirror_mark(folder).exists()), None)


def _replace(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor, temporary = tempfile.mkstemp(
        dir=path.parent, prefix=f".{path.name}.", suffix=".tmp"
    )
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        Path(temporary).chmod(0o644)
        Path(temporary).replace(path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise
    sync_folder(path.parent)


def append_lines(path: Path, lines: Iterable[bytes]) -> None:
    """Append to a log, durably; what a crash tore off its end is cut away first.

    Args:
        path: Made where it is not there. One process at a time appends; others wait.
        lines: Without line breaks.

    Raises:
        DiskFullError: There is no room for all of them.
    """
    with full_disk_told(path.parent):
        path.parent.mkdir(parents=True, exist_ok=True)
        fresh = not path.exists()
        descriptor = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT, 0o644)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            _cut_torn_line(path, descriptor)
            _write_whole(descriptor, b"".join(line + b"\n" for line in lines))
        finally:
            os.close(descriptor)
        if fresh:
            sync_folder(path.parent)
    published(path)


def _cut_torn_line(path: Path, descriptor: int) -> None:
    size = os.fstat(descriptor).st_size
    if size and os.pread(descriptor, 1, size - 1) != b"\n":
        os.ftruncate(descriptor, path.read_bytes().rfind(b"\n") + 1)


def _write_whole(descriptor: int, content: bytes) -> None:
    """Append all of it, or nothing where the disk is full."""
    size = os.fstat(descriptor).st_size
    try:
        while content:
            content = content[os.write(descriptor, content) :]
        os.fsync(descriptor)
    except OSError:
        os.ftruncate(descriptor, size)
        raise


def whole_lines(path: Path) -> list[bytes]:
    """Return the lines of a log, less one that a crash tore; none where there is no file."""
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        return []
    return content.split(b"\n")[:-1]


def write_json(path: Path, value: object) -> None:
    """Replace a JSON file atomically; NaN is refused, since JSON has no such number."""
    text = json.dumps(value, indent=1, ensure_ascii=False, allow_nan=False)
    write_bytes(path, (text + "\n").encode())


def read_json(path: Path) -> Any:
    """Return the content of a JSON file."""
    return json.loads(path.read_text(encoding="utf-8"))


def canonical_json(value: object) -> str:
    """One text for one value: sorted keys, no white space, no NaN. The base of every hash."""
    return json.dumps(
        value, sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False
    )
