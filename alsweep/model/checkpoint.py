"""The model store: members and evaluations by content, published whole or not at all."""

import io
import logging
import os
import shutil
import tempfile
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import torch

from alsweep.disk import full_disk_told, require_room
from alsweep.files import own_entries, read_json, sync_folder, write_bytes, write_json
from alsweep.layout import meta_path, training_folder, weights_path
from alsweep.storage.shelf import shelf_behind

_UNFINISHED = ".new-"
_STALE_SECONDS = 24 * 3600
_IDLE_SECONDS = 14 * 24 * 3600
"""After which nobody is taken to go on with an interrupted training."""

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class ModelStore:
    """Folders named by key, shared by all trajectories of a sweep.

    A publication is one rename of a finished folder: the first wins, and a later one is thrown
    away, so that equal keys mean equal content for every reader. Where the run lies in an object
    store, the same holds there, and the folder has what this node used.

    Attributes:
        root: The folder; made on first use.
        most_bytes: What the store may hold; the entries longest unused go first. They can be made
            again.
    """

    root: Path
    most_bytes: int

    def meta(self, key: str) -> dict[str, Any] | None:
        """What is stored beside an entry, or None where there is no readable entry."""
        try:
            meta: dict[str, Any] = read_json(meta_path(self.root / key))
        except FileNotFoundError:
            behind = shelf_behind(self.root)
            return self.meta(key) if behind is not None and behind.fetch_meta(key) else None
        except ValueError as error:
            self._discard(key, error)
            return None
        return meta

    def weights(self, key: str) -> dict[str, torch.Tensor] | None:
        """A member's weights, on the CPU; None where they are not there or cannot be read."""
        folder = self.root / key
        try:
            weights: dict[str, torch.Tensor] = torch.load(
                weights_path(folder), map_location="cpu", weights_only=True
            )
            _mark_used(meta_path(folder))
        except FileNotFoundError:
            behind = None if weights_path(folder).exists() else shelf_behind(self.root)
            return self.weights(key) if behind is not None and behind.fetch_weights(key) else None
        except (RuntimeError, EOFError, UnpicklingError) as error:
            self._discard(key, error)
            return None
        return weights

    def holds(self, key: str) -> bool:
        """Whether a member is there; it is not read."""
        return all(path(self.root / key).is_file() for path in (meta_path, weights_path))

    def training_file(self, key: str) -> Path:
        """Where the unfinished training of a member keeps its state; no entry of the store."""
        return training_folder(self.root) / f"{key}.pt"

    def publish(
        self, key: str, meta: dict[str, Any], weights: dict[str, torch.Tensor] | None = None
    ) -> None:
        """Store an entry unless it is there already; end its training, then make room.

        Raises:
            DiskFullError: The disk has no room for it; the training's own checkpoint stays.
        """
        content = None
        if weights is not None:
            content = packed({name: tensor.detach().cpu() for name, tensor in weights.items()})
        require_room(self.root, len(content or b""))
        with full_disk_told(self.root):
            self._publish(key, meta, content)
            if (behind := shelf_behind(self.root)) is not None:
                behind.offer(key)
        training = self.training_file(key)
        if behind is not None and training.exists():
            behind.remove(training)
        training.unlink(missing_ok=True)
        self._make_room(keep=key)

    def _publish(self, key: str, meta: dict[str, Any], weights: bytes | None) -> None:
        self.root.mkdir(parents=True, exist_ok=True)
        folder = Path(tempfile.mkdtemp(prefix=_UNFINISHED, dir=self.root))
        try:
            if weights is not None:
                write_bytes(weights_path(folder), weights)
            write_json(meta_path(folder), meta)
            folder.chmod(0o755)
            with suppress(OSError):  # the entry is there already
                folder.rename(self.root / key)
            lacks_weights = weights is not None and not weights_path(self.root / key).exists()
            if self.meta(key) is None or lacks_weights:
                # What is there is no whole entry: somebody deleted a part of it.
                self._remove(self.root / key)
                folder.rename(self.root / key)
            sync_folder(self.root)
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    def _discard(self, key: str, error: Exception) -> None:
        """Take out an entry that cannot be read; it will be made again."""
        _log.warning("warning: %s cannot be read (%s) and counts as absent", self.root / key, error)
        with suppress(OSError):  # nor can it be taken out of a run that is read-only
            self._remove(self.root / key)
        if (behind := shelf_behind(self.root)) is not None:
            behind.discard(key)

    def _remove(self, entry: Path) -> None:
        """Remove an entry, renamed first, so that no reader meets half of it."""
        gone = Path(tempfile.mkdtemp(prefix=_UNFINISHED, dir=self.root))
        with suppress(FileNotFoundError):  # another worker was faster
            entry.rename(gone / entry.name)
        shutil.rmtree(gone, ignore_errors=True)

    def _make_room(self, keep: str) -> None:
        """Remove the entries longest unused until the rest fits, and killed writers' remains."""
        for file in own_entries(training_folder(self.root)):
            if _age(file) > _IDLE_SECONDS:
                file.unlink(missing_ok=True)
        entries = []
        for folder in self.root.iterdir():
            if folder.name.startswith(_UNFINISHED):
                if _age(folder) > _STALE_SECONDS:
                    shutil.rmtree(folder, ignore_errors=True)
                continue
            with suppress(FileNotFoundError, NotADirectoryError):  # a stray file is no entry
                used = meta_path(folder).stat().st_mtime
                size = sum(file.stat().st_size for file in folder.iterdir())
                entries.append((used, size, folder))
        excess = sum(size for _, size, _ in entries) - self.most_bytes
        for _, size, folder in sorted(entries):
            if excess <= 0:
                return
            if folder.name != keep:
                self._remove(folder)
                excess -= size


def packed(value: object) -> bytes:
    """What ``torch.save`` writes; to a file, torch would hide behind its own words a full disk."""
    buffer = io.BytesIO()
    torch.save(value, buffer)
    return buffer.getvalue()


def _mark_used(path: Path) -> None:
    """Set the time of last use, unless the run is read-only or somebody else's.

    Raises:
        FileNotFoundError: There is no such file.
    """
    try:
        os.utime(path)
    except FileNotFoundError:
        raise
    except OSError as error:
        _log.debug("%s keeps its time: %s", path, error)


def _age(path: Path) -> float:
    try:
        return time.time() - path.stat().st_mtime
    except FileNotFoundError:
        return 0.0
