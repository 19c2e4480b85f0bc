"""A report is replaced as a whole: whatever stops its making, the one before stays."""

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from alsweep.files import is_litter, sync_folder


@contextmanager
def replacing(folder: Path, last: str) -> Iterator[Path]:
    """A folder to write anew; at the end its files take the places of those in ``folder``.

    Folders in ``folder`` are kept; a file that is not written again goes.

    Args:
        folder: Made if it is missing; holds nothing that may not be replaced.
        last: The file that comes last: where it is, the others are too.
    """
    there = folder.exists()
    folder.mkdir(parents=True, exist_ok=True)
    new = Path(tempfile.mkdtemp(prefix=".", suffix=".tmp", dir=folder))
    try:
        yield new
        _move(new, folder, last)
    finally:
        shutil.rmtree(new, ignore_errors=True)
        if not there and not any(folder.iterdir()):
            folder.rmdir()


def _move(new: Path, folder: Path, last: str) -> None:
    names = sorted((path.name for path in new.iterdir()), key=lambda name: (name == last, name))
    for path in folder.iterdir():
        if path.is_file() and path.name not in names and not is_litter(path.name):
            path.unlink()
    for name in names:
        (new / name).replace(folder / name)
    sync_folder(folder)
