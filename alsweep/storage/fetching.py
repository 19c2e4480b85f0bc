"""Large objects that never change, fetched into a node's cache: once, whole, and as they should be.

``python -m alsweep.storage.fetching URL KEY FILE SIZE SHA256 CACHE`` does it for a process that was
forked from one that had used the client.
"""

import hashlib
import os
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

from alsweep.disk import full_disk_told, require_room
from alsweep.errors import StoreError
from alsweep.storage.cache import make_room, mark_used, one_at_a_time, short_name
from alsweep.storage.client import ForkedError, Store
from alsweep.storage.patience import Patience

_TRIES = 3
"""Of an object whose content is not what it should be."""

_LOCKS = ".locks"


@dataclass(frozen=True)
class Wanted:
    """An object of known content, and where it is to lie.

    Attributes:
        url: Of the prefix.
        key: Below it.
        path: In the cache.
        size: Bytes.
        sha256: Of the content, hex digits.
    """

    url: str
    key: str
    path: Path
    size: int
    sha256: str


def fetched(wanted: Wanted, cache: Path, patience: Patience | None = None) -> Path:
    """Return the file of an object, fetched unless it is there.

    Several processes that want the same fetch it once.

    Args:
        wanted: What.
        cache: Which is bounded, and has its file.
        patience: With the store.

    Raises:
        StoreError: Its content is not what it should be, or it is not there.
        StoreAwayError: The store has not answered for long.
        DiskFullError: The disk has no room for it.
    """
    if _is_there(wanted):
        mark_used(wanted.path)
        return wanted.path
    with one_at_a_time(cache / _LOCKS / short_name(str(wanted.path))):
        if not _is_there(wanted):
            make_room(cache, wanted.size, cache / _LOCKS / "room")
            require_room(cache, wanted.size)
            with full_disk_told(cache):
                _fetch(wanted, cache, patience)
    return wanted.path


def _is_there(wanted: Wanted) -> bool:
    try:
        return wanted.path.stat().st_size == wanted.size
    except (FileNotFoundError, NotADirectoryError):
        return False


def _fetch(wanted: Wanted, cache: Path, patience: Patience | None) -> None:
    try:
        _fetch_here(wanted, Store(wanted.url, patience))
    except ForkedError:
        asked = (wanted.url, wanted.key, wanted.path, wanted.size, wanted.sha256, cache)
        command = [sys.executable, "-P", "-m", __spec__.name, *map(str, asked)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            raise StoreError(done.stderr.strip().splitlines()[-1]) from None


def _fetch_here(wanted: Wanted, store: Store) -> None:
    wanted.path.parent.mkdir(parents=True, exist_ok=True)
    for _ in range(_TRIES):
        descriptor, temporary = tempfile.mkstemp(dir=wanted.path.parent, prefix=".new-")
        try:
            digest = hashlib.sha256()
            with os.fdopen(descriptor, "wb") as file:
                for piece in store.pieces(wanted.key, wanted.size):
                    digest.update(piece)
                    file.write(piece)
            if digest.hexdigest() == wanted.sha256:
                Path(temporary).replace(wanted.path)
                return
        except FileNotFoundError as error:
            raise StoreError(f"{wanted.url}: {wanted.key} is missing") from error
        finally:
            Path(temporary).unlink(missing_ok=True)
    raise StoreError(
        f"{wanted.url}: {wanted.key} is not what it was when it was written; copy it there again"
    )


def main(arguments: list[str]) -> int:
    """Fetch what the arguments name; returns the exit code."""
    url, key, path, size, sha256, cache = arguments
    try:
        _fetch(Wanted(url, key, Path(path), int(size), sha256), Path(cache), None)
    except Exception as error:
        sys.stderr.write(f"{error}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
