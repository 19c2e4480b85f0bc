"""progress.json: where a worker is, for people who watch; nothing is decided by it."""

import json
import os
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from pydantic import AwareDatetime

from alsweep.config.base import Frozen
from alsweep.layout import progress_path
from alsweep.sweep.watchdog import Watchdog
from alsweep.trajectory.progress import Phase, Progress

_SECONDS_BETWEEN = 0.5


class SignOfLife(Frozen):
    """Content of progress.json: a Progress and when it was."""

    loop: int
    phase: Phase
    done: int
    total: int
    time: AwareDatetime


@dataclass
class Heartbeat:
    """Writes what it is called with, at most about twice a second; a new phase is always written.

    Attributes:
        folder: Where progress.json lies.
        watchdog: Hears what is written.
        clock: Seconds; tests bring their own.
    """

    folder: Path
    watchdog: Watchdog | None = None
    clock: Callable[[], float] = time.monotonic
    _last: float = field(default=float("-inf"), init=False)
    _phase: tuple[int, Phase] | None = field(default=None, init=False)

    def __call__(self, progress: Progress) -> None:
        """Write ``progress``, unless something like it was written just now."""
        now, phase = self.clock(), (progress.loop, progress.phase)
        if phase == self._phase and now - self._last < _SECONDS_BETWEEN:
            return
        self._last, self._phase = now, phase
        if self.watchdog is not None:
            self.watchdog.heard()
        text = sign(progress)
        # Nobody's work should stop because nobody can watch it.
        with suppress(OSError):
            self._replace(text)

    @property
    def place(self) -> tuple[int | None, Phase | None]:
        """Loop and phase of the last sign of life."""
        return self._phase or (None, None)

    def _replace(self, text: str) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        path = progress_path(self.folder)
        temporary = self.folder / f".{path.name}.{os.getpid()}.tmp"
        try:
            temporary.write_text(text, encoding="utf-8")
            temporary.replace(path)
        except OSError:
            temporary.unlink(missing_ok=True)
            raise


def sign(progress: Progress) -> str:
    """Content of progress.json, of this moment."""
    stamp = datetime.now(UTC).isoformat(timespec="milliseconds")
    return json.dumps({**vars(progress), "time": stamp})


def read_sign_of_life(folder: Path) -> SignOfLife | None:
    """Return the last sign of life of a folder; None where there is none that can be read."""
    try:
        return SignOfLife.model_validate_json(progress_path(folder).read_bytes())
    except (OSError, ValueError):
        return None


def silent_seconds(beat: SignOfLife) -> float:
    """Seconds since the sign of life; 0 where the other machine's clock is ahead of this one's."""
    return max(0.0, (datetime.now(UTC) - beat.time).total_seconds())
