"""The networks of a run in an object store, by name and size, for whoever decides which of them go.

They are not fetched for that: a file without blocks, of the same name and size, stands for each.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath

from alsweep.layout import models_folder, weights_path
from alsweep.storage.mirror import mirror_at

Remove = Callable[[Iterable[Path]], None]
"""Removes from the store what was removed from the folder."""


@contextmanager
def with_networks(run: Path) -> Iterator[Remove]:
    """Let a folder that mirrors a run show all networks of it; any other folder does so already.

    Yields:
        What brings removals to the store.
    """
    mirror = mirror_at(run)
    if mirror is None:
        yield lambda paths: None
        return
    models = models_folder(run)
    large = weights_path(Path()).suffix
    there = list(mirror.listed(models.name))
    made = [
        run / one.key
        for one in there
        if PurePosixPath(one.key).suffix == large and _stand_in(run / one.key, one.size)
    ]
    said = [run / one.key for one in there if PurePosixPath(one.key).suffix != large]
    mirror.pull_all([path for path in said if not path.exists()])

    def remove(paths: Iterable[Path]) -> None:
        mirror.refuse_if_superseded()
        mirror.store.delete([mirror.key(path) for path in paths])

    try:
        yield remove
    finally:
        for path in made:
            path.unlink(missing_ok=True)


def _stand_in(path: Path, size: int) -> bool:
    """Make a file of a size; returns whether there was none."""
    if path.exists():
        return False
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("wb") as file:
        os.truncate(file.fileno(), size)
    return True
