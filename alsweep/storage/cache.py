"""The folder of a node in which fetched things lie: bounded, and shared by its processes."""

import fcntl
import hashlib
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from alsweep.disk import RESERVE, free_bytes
from alsweep.errors import ConfigError
from alsweep.storage.environment import variable

_GIB = 1 << 30
_MOST_GIB = 100.0
_LEFT_FREE = 1 << 30
"""Bytes of the disk that the cache leaves to others, as long as it has something to remove."""


def cache_folder() -> Path:
    """ALSWEEP_CACHE, or where this system keeps what can be fetched again."""
    own = variable("ALSWEEP_CACHE")
    if own:
        return Path(own).absolute()
    home = variable("XDG_CACHE_HOME") or "~/.cache"
    try:
        return Path(home).expanduser().absolute() / "alsweep"
    except RuntimeError:
        return Path(tempfile.gettempdir()) / f"alsweep-cache-{os.getuid()}"


def most_bytes() -> float:
    """What fetched cases may take up on this node: ALSWEEP_CACHE_GIB.

    Raises:
        ConfigError: That is no positive number.
    """
    text = variable("ALSWEEP_CACHE_GIB") or f"{_MOST_GIB:g}"
    with suppress(ValueError):
        if (gib := float(text)) > 0:
            return gib * _GIB
    raise ConfigError(f"ALSWEEP_CACHE_GIB: '{text}' is no positive number of GiB")


def short_name(text: str) -> str:
    """A folder's name for a URL."""
    return hashlib.sha256(text.encode()).hexdigest()[:16]


@contextmanager
def one_at_a_time(lock: Path) -> Iterator[None]:
    """Let one process of this node in; the others wait. A process that dies lets go."""
    lock.parent.mkdir(parents=True, exist_ok=True)
    with lock.open("a") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def mark_used(path: Path) -> None:
    """Tell that a file was used just now."""
    with suppress(OSError):
        os.utime(path)


def make_room(folder: Path, size: int, lock: Path) -> None:
    """Remove the files longest unused from a cache of Datasets until so many bytes more fit.

    A file that somebody has mapped stays readable for whoever has it until that is over.
    """
    with one_at_a_time(lock):
        files = sorted(_files(folder))
        most = most_bytes()
        excess = sum(one[1] for one in files) + size - most
        lacking = size + min(_LEFT_FREE, RESERVE + most) - free_bytes(folder)
        for _, bytes_, path in files:
            if max(excess, lacking) <= 0:
                return
            path.unlink(missing_ok=True)
            excess, lacking = excess - bytes_, lacking - bytes_


def _files(folder: Path) -> Iterator[tuple[float, int, Path]]:
    """When each file of voxels was last used, its size, and the file."""
    for place, _, names in os.walk(folder):
        for name in names:
            path = Path(place, name)
            if name.startswith(".") or path.suffix == ".json":
                continue
            with suppress(OSError):
                found = path.stat()
                yield found.st_mtime, found.st_size, path
