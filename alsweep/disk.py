"""Disks without room: told in one line, and not filled to the last byte."""

import errno
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from pickle import UnpicklingError

from alsweep.errors import DiskFullError

MIB = 1 << 20
RESERVE = 16 * MIB
"""Kept free, so that a run which stops for want of room can still write why, and its results."""

_FULL = (errno.ENOSPC, errno.EDQUOT)
_LEFT_ON_FULL = MIB
_TORN = (EOFError, UnpicklingError)
"""What reading back meets where somebody's writing has failed without a word."""

_SAID = ("PytorchStreamWriter", "inline_container", "iostream error", "No space left")
"""What torch, and others who keep the error's number to themselves, say of it."""


def require_room(folder: Path, size: int = 0) -> None:
    """See to it that a disk takes so many bytes more, and a reserve.

    Args:
        folder: On the disk; it need not be there yet.
        size: Bytes.

    Raises:
        DiskFullError: It does not.
    """
    needed = size + RESERVE
    if free_bytes(folder) < needed:
        raise DiskFullError(_text(folder, f"{in_words(needed)} are needed", needed))


@contextmanager
def full_disk_told(*places: Path) -> Iterator[None]:
    """Turn whatever an exhausted disk raises into one line.

    Args:
        places: What is written to; the temporary folder always counts among them.

    Raises:
        DiskFullError: A write has failed for want of room.
    """
    try:
        yield
    except DiskFullError:
        raise
    except Exception as error:
        told = full_disk(error, *places)
        if told is None:
            raise
        raise told from error


def full_disk(error: BaseException, *places: Path) -> DiskFullError | None:
    """What to tell of an error behind which there is a disk without room; None for any other.

    Args:
        error: With its causes.
        places: Where something was written, for errors that do not say so.
    """
    for cause in _causes(error):
        if isinstance(cause, OSError) and cause.errno in _FULL:
            named = isinstance(cause.filename, str | os.PathLike)
            folder = Path(cause.filename) if named else _fullest(places)
            return DiskFullError(_text(folder, _refusal(folder, cause.errno)))
    said = " ".join(map(str, _causes(error)))
    if isinstance(error, _TORN) or any(words in said for words in _SAID):
        folder = _fullest(places)
        if free_bytes(folder) < _LEFT_ON_FULL:
            return DiskFullError(_text(folder, _refusal(folder)))
    return None


def _refusal(folder: Path, code: int = errno.ENOSPC) -> str:
    """Why a disk took no more."""
    if code == errno.EDQUOT:
        return "your quota on it is used up"
    disk = os.statvfs(existing(folder))
    if disk.f_files and not disk.f_favail:
        return "it takes no more files"
    return f"a write has failed, and {in_words(RESERVE)} at least are needed"


def _fullest(places: tuple[Path, ...]) -> Path:
    """Where the least is free."""
    folders = [existing(place) for place in (*places, Path(tempfile.gettempdir()))]
    return min(folders, key=free_bytes)


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


def _text(folder: Path, want: str, needed: int = RESERVE) -> str:
    place = existing(folder)
    disk = os.statvfs(place)
    free, total = disk.f_bavail * disk.f_frsize, disk.f_blocks * disk.f_frsize
    temporary = place == Path(tempfile.gettempdir()) or place.name.startswith("alsweep-")
    if temporary:
        mends = "free space on it, or let TMPDIR name a folder on another disk"
    else:
        mends = "free space on it, choose an --out on another disk, or lower resources.models_gib"
    if total < needed:
        # Emptying it would not do.
        mends = "let TMPDIR name" if temporary else "choose an --out in"
        mends += " a folder on a larger disk"
    return (
        f"the disk {mount_point(place)} is full, with {in_words(free)} of "
        f"{in_words(total)} free: {want}; {mends}"
    )


def shared_cause(error: str) -> str:
    """What errors have in common that one disk has caused; any other is its own cause."""
    disk, full, _ = error.partition(" is full, with ")
    return disk if full and disk.startswith("the disk ") else error


def existing(path: Path) -> Path:
    """The nearest folder at or above ``path`` that is there."""
    path = path.absolute()
    # Not by is_dir(), which raises for a name that is too long.
    return next(folder for folder in (path, *path.parents) if os.path.isdir(folder))  # noqa: PTH112


def free_bytes(path: Path) -> int:
    """Bytes that an ordinary user may still write on the disk of ``path``."""
    disk = os.statvfs(existing(path))
    return disk.f_bavail * disk.f_frsize


def mount_point(path: Path) -> Path:
    """Where the disk of ``path`` hangs in the tree of folders."""
    path = existing(path).resolve()
    return next(folder for folder in (path, *path.parents) if folder.is_mount())


def in_words(size: float) -> str:
    """A number of bytes for people: ``3.4 MiB``, ``12 GiB``."""
    number, unit = size / MIB, "MiB"
    for larger in ("GiB", "TiB"):
        if number >= 1000:
            number, unit = number / 1024, larger
    return f"{number:.1f} {unit}" if number < 9.95 else f"{number:.0f} {unit}"
