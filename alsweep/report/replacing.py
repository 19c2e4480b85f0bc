"""A report is replaced as a whole, and only what a report wrote: nobody's own file goes with it."""

import hashlib
import json
import shutil
import tempfile
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from alsweep.files import is_litter, sync_folder, write_json
from alsweep.layout import REPORT_FILES

_TEMPORARY = ".tmp"


@contextmanager
def replacing(folder: Path, last: str) -> Iterator[Path]:
    """A folder to write anew; at the end its files take the places of those in ``folder``.

    Folders in ``folder`` are kept; a file that is not written again goes. What was written is told
    in ``files.json``, by the hash of its content.

    Args:
        folder: Made if it is missing; holds nothing that may not be replaced, see :func:`foreign`.
        last: The file that comes last: where it is, the others are too.
    """
    there = folder.exists()
    folder.mkdir(parents=True, exist_ok=True)
    new = Path(tempfile.mkdtemp(prefix=".", suffix=_TEMPORARY, dir=folder))
    try:
        yield new
        _move(new, folder, last)
    finally:
        shutil.rmtree(new, ignore_errors=True)
        if not there and not any(folder.iterdir()):
            folder.rmdir()


def _move(new: Path, folder: Path, last: str) -> None:
    names = sorted((path.name for path in new.iterdir()), key=lambda name: (name == last, name))
    written = {name: [_hash(new / name)] for name in names}
    before = _told(folder) or {}
    # Both, so that whatever stops this leaves nothing that looks like somebody's own.
    _tell(
        folder, {name: [*before.get(name, ()), *written.get(name, ())] for name in before | written}
    )
    for path in _files(folder):
        if path.name not in names:
            path.unlink()
    for name in names:
        (new / name).replace(folder / name)
    _tell(folder, written)
    sync_folder(folder)


def foreign(folder: Path, known: Collection[str]) -> str | None:
    """Name of a file that no report wrote, or that somebody changed since; None where all are ours.

    Args:
        folder: A report's.
        known: What files of reports were called before they told what they write.
    """
    told = _told(folder)
    for path in _files(folder):
        if told is None and path.name in known:
            continue
        if told is None or _hash(path) not in told.get(path.name, ()):
            return path.name
    return None


def _files(folder: Path) -> list[Path]:
    """Files of the folder that are anybody's work, without what tells of them."""
    return [
        path
        for path in sorted(folder.iterdir())
        if not path.is_dir()
        and not is_litter(path.name)
        and not path.name.endswith(_TEMPORARY)
        and path.name != REPORT_FILES
    ]


def _told(folder: Path) -> dict[str, list[str]] | None:
    """Name to the hashes that its content may have; None where nothing tells."""
    try:
        found = json.loads((folder / REPORT_FILES).read_text(encoding="utf-8"))["files"]
        return {str(name): list(map(str, hashes)) for name, hashes in found.items()}
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None


def _tell(folder: Path, files: Mapping[str, list[str]]) -> None:
    write_json(folder / REPORT_FILES, {"files": dict(files)})


def _hash(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
