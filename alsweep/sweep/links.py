"""Links in a run folder: alsweep writes through none that leads out of it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from alsweep.errors import RunFolderError
from alsweep.layout import (
    dataset_folder,
    journal_path,
    models_folder,
    report_folder,
    tensorboard_folder,
    trajectories_folder,
    wandb_folder,
)

_PLACES = (dataset_folder, models_folder, report_folder, tensorboard_folder, wandb_folder)
"""What people keep on another disk; nothing in them is written or removed through a link."""


def refuse_links_out(run: Path) -> None:
    """Refuse to work where a log, say, would be written to a file elsewhere.

    Raises:
        RunFolderError: A link leads out of the run; names it.
    """
    root = run.resolve()
    for path in _links(run):
        if not path.resolve().is_relative_to(root):
            raise RunFolderError(
                f"{path}: is a link that leads out of the run folder, and alsweep would write "
                "there; put what it leads to in its place, or remove it"
            )


def _links(run: Path) -> Iterator[Path]:
    """Those in the run, in its trajectories' folders, and beside what is appended to."""
    may = {of(run) for of in _PLACES}
    yield from (path for path in _links_in(run) if path not in may)
    yield from _links_in(journal_path(run).parent)
    trajectories = trajectories_folder(run)
    yield from _links_in(trajectories)
    if trajectories.is_dir():
        for folder in sorted(trajectories.iterdir()):
            yield from _links_in(folder)


def _links_in(folder: Path) -> Iterator[Path]:
    if folder.is_dir():
        with os.scandir(folder) as found:
            yield from [Path(one.path) for one in found if one.is_symlink()]
