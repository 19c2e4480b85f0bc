"""error.json: why a trajectory cannot go on. A new run removes it and tries again."""

from contextlib import suppress
from pathlib import Path

from alsweep.config.base import Frozen
from alsweep.errors import DiskFullError
from alsweep.files import remove, write_json
from alsweep.layout import error_path
from alsweep.results.loops import read_model


class TrajectoryError(Frozen):
    """Content of the file: the text, and the loop in which it happened."""

    error: str
    loop: int | None = None


def write_failure(folder: Path, error: str, loop: int) -> None:
    """Write down why a trajectory failed, and in which loop; a full disk takes not even that."""
    with suppress(DiskFullError):
        write_json(error_path(folder), TrajectoryError(error=error, loop=loop).plain())


def read_failure(folder: Path) -> str | None:
    """Return why a trajectory failed; None where it did not."""
    path = error_path(folder)
    return read_model(TrajectoryError, path).error if path.exists() else None


def forget_failure(folder: Path) -> None:
    """Let a failed trajectory be tried again."""
    remove(error_path(folder))
