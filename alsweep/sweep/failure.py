"""error.json: why a trajectory cannot go on. A new run removes it and tries again."""

from contextlib import suppress
from pathlib import Path

from alsweep.errors import DiskFullError
from alsweep.files import write_json
from alsweep.results.loops import read_model
from alsweep.results.records import TrajectoryError

_NAME = "error.json"


def write_failure(folder: Path, error: str, loop: int) -> None:
    """Write down why a trajectory failed, and in which loop; a full disk takes not even that."""
    with suppress(DiskFullError):
        write_json(folder / _NAME, TrajectoryError(error=error, loop=loop).plain())


def read_failure(folder: Path) -> str | None:
    """Return why a trajectory failed; None where it did not."""
    path = folder / _NAME
    return read_model(TrajectoryError, path).error if path.exists() else None


def forget_failure(folder: Path) -> None:
    """Let a failed trajectory be tried again."""
    (folder / _NAME).unlink(missing_ok=True)
