"""How far a training has come, on disk until its member is published."""

import hashlib
import io
import logging
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from alsweep.disk import require_room
from alsweep.files import write_bytes
from alsweep.model.checkpoint import packed
from alsweep.storage.shelf import shelf_behind

_DIGEST_BYTES = hashlib.sha256().digest_size
_log = logging.getLogger(__name__)


class TrainingFile:
    """The checkpoint of one training in one file; see :class:`alsweep.model.learner.Checkpoint`.

    Several trajectories may train the same member at the same time. They write the same states, and
    each write is one rename, so that it does not matter whose is found.

    Args:
        path: Of the file; its folder is made on first use.
        minutes: Between two checkpoints; 0 makes one due after every epoch.
    """

    def __init__(self, path: Path, minutes: float) -> None:
        self._path = path
        self._seconds_between = 60 * minutes
        self._seconds_before = 0.0
        self._began = self._saved = time.monotonic()

    @property
    def seconds(self) -> float:
        """What the training has taken so far, with what came before the state that was loaded."""
        return self._seconds_before + time.monotonic() - self._began

    def load(self) -> dict[str, Any] | None:
        """See :class:`alsweep.model.learner.Checkpoint`; a file that is torn is discarded."""
        try:
            content = self._path.read_bytes()
        except FileNotFoundError:
            behind = shelf_behind(self._path.parent.parent)
            return self.load() if behind is not None and behind.fetch(self._path) else None
        saved = _unpack(content)
        if saved is None:
            _log.warning(
                "warning: %s is torn or of another version of torch; its training begins anew",
                self._path,
            )
            self._path.unlink(missing_ok=True)
            if (behind := shelf_behind(self._path.parent.parent)) is not None:
                behind.remove(self._path)
            return None
        self._seconds_before = saved["seconds"]
        state: dict[str, Any] = saved["state"]
        return state

    def due(self) -> bool:
        """See :class:`alsweep.model.learner.Checkpoint`."""
        return time.monotonic() - self._saved >= self._seconds_between

    def save(self, state: Mapping[str, Any]) -> None:
        """See :class:`alsweep.model.learner.Checkpoint`.

        Raises:
            DiskFullError: There is no room for it; the one before it stays.
        """
        content = _pack({"state": dict(state), "seconds": self.seconds})
        require_room(self._path.parent, len(content))
        write_bytes(self._path, content)
        if (behind := shelf_behind(self._path.parent.parent)) is not None:
            behind.put(self._path)
        self._saved = time.monotonic()


def _pack(saved: dict[str, Any]) -> bytes:
    content = packed(saved | {"torch": str(torch.__version__)})
    return hashlib.sha256(content).digest() + content


def _unpack(content: bytes) -> dict[str, Any] | None:
    """What was packed, on the CPU; None unless every byte is there and this torch wrote it."""
    digest, rest = content[:_DIGEST_BYTES], content[_DIGEST_BYTES:]
    if hashlib.sha256(rest).digest() != digest:
        return None
    saved: dict[str, Any] = torch.load(io.BytesIO(rest), map_location="cpu", weights_only=True)
    return saved if saved["torch"] == str(torch.__version__) else None
