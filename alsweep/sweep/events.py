"""Events that somebody wants to be told of: to a command of the user's, and to the tracker."""

from __future__ import annotations

import json
import logging
import os
import queue
import signal
import subprocess
import threading
from collections.abc import Sequence
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryFile
from typing import IO, TYPE_CHECKING, Any, Literal, Protocol

if TYPE_CHECKING:
    from alsweep.config.sweep import SweepConfig
    from alsweep.tracking.base import Level, Tracker

Kind = Literal["trajectory_failed", "cap_near", "cap_reached", "all_done"]

_LEVELS: dict[Kind, Level] = {
    "trajectory_failed": "ERROR",
    "cap_near": "WARN",
    "cap_reached": "WARN",
    "all_done": "INFO",
}

_SECONDS_TO_DIE = 5.0

_log = logging.getLogger(__name__)


class Events(Protocol):
    """Is told what happens. Called in the driver's loop, so it must be quick and must not raise."""

    def tell(self, kind: Kind, text: str, **details: Any) -> None:
        """Something has happened.

        Args:
            kind: What.
            text: For people.
            details: As JSON values.
        """


class Nobody:
    """Is told and does nothing."""

    def tell(self, kind: Kind, text: str, **details: Any) -> None:
        """See :class:`Events`."""


class Told:
    """Passes events of a sweep on to its ``on_event`` command and to its tracker.

    Args:
        sweep: Says which command.
        run: The run folder.
        tracker: Alerts whoever watches there.
    """

    def __init__(self, sweep: SweepConfig, run: Path, tracker: Tracker) -> None:
        self._sweep, self._run, self._tracker = sweep.name, run, tracker
        self._command = None if sweep.on_event is None else Command(sweep.on_event)

    def tell(self, kind: Kind, text: str, **details: Any) -> None:
        """See :class:`Events`."""
        self._tracker.alert(
            self._sweep, f"{self._sweep}: {kind.replace('_', ' ')}", text, _LEVELS[kind]
        )
        if self._command is not None:
            stamp = datetime.now(UTC).isoformat(timespec="seconds")
            about = {"event": kind, "text": text, "sweep": self._sweep, "run": str(self._run)}
            self._command.give({**about, "time": stamp, **details})

    def close(self, patience: float | None = None) -> None:
        """Wait until all is told.

        Args:
            patience: Seconds to wait at most.
        """
        if self._command is not None:
            self._command.close(patience)


class Command:
    """Runs a program for each event, one after the other, beside the sweep.

    What becomes of it is a warning at most, and that once: a sweep never ends for it.

    Args:
        words: The program and its arguments; no shell sees them.
        seconds: Each run may take; then the program and what it has started are killed.
    """

    def __init__(self, words: Sequence[str], seconds: float = 60.0) -> None:
        self._words, self._seconds = tuple(words), seconds
        self._waiting: queue.SimpleQueue[dict[str, Any] | None] = queue.SimpleQueue()
        self._warned = False
        self._process: subprocess.Popen[bytes] | None = None
        self._thread = threading.Thread(target=self._work, name="on_event", daemon=True)
        self._thread.start()

    def give(self, event: dict[str, Any]) -> None:
        """Pass an event on and return at once."""
        self._waiting.put(event)

    def close(self, patience: float | None = None) -> None:
        """Wait until all events are passed on, and take no more.

        Args:
            patience: Seconds to wait at most, for all events together; then the program that runs
                is killed, and the events that are left go untold.
        """
        self._waiting.put(None)
        self._thread.join(patience)
        if self._thread.is_alive():
            self._give_up(patience)

    def _give_up(self, patience: float | None) -> None:
        untold = 0
        with suppress(queue.Empty):
            while True:
                untold += self._waiting.get_nowait() is not None
        self._waiting.put(None)
        self._warned = True
        if self._process is not None:
            _kill(self._process)
        self._thread.join(_SECONDS_TO_DIE)
        _log.warning(
            "warning: on_event: %s had not ended %g s after the sweep and was killed; events that "
            "nobody was told of after that: %d",
            self._words[0],
            patience,
            untold,
        )

    def _work(self) -> None:
        while (event := self._waiting.get()) is not None:
            wrong = self._run(json.dumps(event))
            if wrong is not None and not self._warned:
                self._warned = True
                _log.warning(
                    "warning: on_event: %s %s; the sweep goes on, and this is not told again",
                    self._words[0],
                    wrong,
                )

    def _run(self, text: str) -> str | None:
        """Run the program with an event on its stdin; return what went wrong."""
        # A file takes what it says, since a pipe would be open as long as what it leaves behind.
        with TemporaryFile() as said:
            try:
                process = subprocess.Popen(
                    self._words,
                    stdin=subprocess.PIPE,
                    stdout=subprocess.DEVNULL,  # a sweep's stdout is for results
                    stderr=said,
                    start_new_session=True,
                )
            except OSError as error:
                return f"cannot be run ({error.strerror or error})"
            self._process = process
            with process:
                return self._wait(process, f"{text}\n".encode()) or _failure(process, said)

    def _wait(self, process: subprocess.Popen[bytes], text: bytes) -> str | None:
        try:
            process.communicate(text, timeout=self._seconds)
        except subprocess.TimeoutExpired:
            _kill(process)
            return f"took more than {self._seconds:g} s and was killed"
        return None


def _kill(process: subprocess.Popen[bytes]) -> None:
    """Kill a program with all that it has started."""
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)


def _failure(process: subprocess.Popen[bytes], said: IO[bytes]) -> str | None:
    if not process.returncode:
        return None
    said.seek(0)
    lines = said.read().decode(errors="replace").strip().splitlines()
    return f"failed with exit code {process.returncode} ({lines[-1] if lines else 'no word'})"
