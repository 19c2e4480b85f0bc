"""Networks of a run in an object store: published unless they are there, and fetched by key."""

from __future__ import annotations

import os
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from alsweep.layout import meta_path, models_folder, weights_path
from alsweep.storage.mirror import mirror_at, write_quietly

if TYPE_CHECKING:
    from alsweep.storage.client import Store


def shelf_behind(models: Path) -> Shelf | None:
    """What lies behind a model store whose run mirrors one in an object store; else None."""
    if models != models_folder(models.parent):
        return None
    mirror = mirror_at(models.parent)
    return None if mirror is None else Shelf(mirror.store, models, mirror.number is not None)


class Shelf:
    """The entries of a model store as they lie in an object store.

    The weights of an entry come first, and what is said of them last: where that is, the weights
    are. Whose weights are there first, theirs count for everybody.

    Args:
        store: Where the run lies.
        models: The model store of this node.
        writes: Whether anything is written there.
    """

    def __init__(self, store: Store, models: Path, writes: bool) -> None:
        self._store = store
        self._models = models
        self._writes = writes

    def _key(self, path: Path) -> str:
        return path.relative_to(self._models.parent).as_posix()

    def fetch_meta(self, key: str) -> bool:
        """Bring what is said of an entry; returns whether there is one."""
        path = meta_path(self._models / key)
        try:
            write_quietly(path, self._store.get(self._key(path))[0])
        except FileNotFoundError:
            return False
        return True

    def fetch_weights(self, key: str) -> bool:
        """Bring the weights of an entry; returns whether there are any."""
        return self.fetch(weights_path(self._models / key))

    def fetch(self, path: Path) -> bool:
        """Bring a large file of the model store; returns whether it is there."""
        try:
            found = self._store.head(self._key(path))
            path.parent.mkdir(parents=True, exist_ok=True)
            descriptor, temporary = tempfile.mkstemp(dir=path.parent, prefix=".new-")
        except FileNotFoundError:
            return False
        try:
            with os.fdopen(descriptor, "wb") as file:
                for piece in self._store.pieces(found.key, found.size):
                    file.write(piece)
            Path(temporary).chmod(0o644)
            Path(temporary).replace(path)
        finally:
            Path(temporary).unlink(missing_ok=True)
        return True

    def offer(self, key: str) -> None:
        """Publish an entry; where somebody was faster, theirs takes the place of ours here."""
        if not self._writes:
            return
        entry = self._models / key
        weights, meta = weights_path(entry), meta_path(entry)
        with suppress(FileNotFoundError):  # somebody on this node was short of room
            if weights.exists() and self._store.create(self._key(weights), weights) is None:
                self.fetch_weights(key)
            if self._store.create(self._key(meta), meta.read_bytes()) is None:
                self.fetch_meta(key)

    def put(self, path: Path) -> None:
        """Bring a file of the model store to the store, whatever was there."""
        if self._writes:
            self._store.put(self._key(path), path)

    def remove(self, path: Path) -> None:
        """Remove from the store what is removed from the model store."""
        if self._writes:
            self._store.delete([self._key(path)])

    def discard(self, key: str) -> None:
        """Remove an entry that cannot be read, so that it can be made again."""
        if self._writes:
            paths = (meta_path(self._models / key), weights_path(self._models / key))
            self._store.delete([self._key(path) for path in paths])
