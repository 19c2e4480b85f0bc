"""What ends a process that gives no sign of life any more, whatever holds it up."""

from __future__ import annotations

import faulthandler
import sys
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO


@dataclass
class Watchdog:
    """Ends this process once nothing was heard in time; its stacks are appended to a log then.

    The timer is of the interpreter's own, so that neither a lock nor code that never returns to
    Python keeps it from ending the process. There is one in a process.

    Attributes:
        minutes: Without a sign of life; None never ends anything.
        log: Takes the stacks; stderr does where there is none, or it cannot be written.
    """

    minutes: float | None
    log: Path | None
    _file: IO[str] | None = field(default=None, init=False)
    _waits: bool = field(default=False, init=False)

    def __enter__(self) -> Watchdog:
        """Begin to wait for signs of life."""
        if self.minutes is not None:
            if self.log is not None:
                self._file = _opened(self.log)
            self._waits = True
            self.heard()
        return self

    def heard(self) -> None:
        """Wait anew: there was a sign of life just now."""
        if self.minutes is not None and self._waits:
            faulthandler.dump_traceback_later(
                60 * self.minutes, exit=True, file=self._file or sys.__stderr__ or 2
            )

    def __exit__(self, *_: object) -> None:
        """Wait no more."""
        if self._waits:
            faulthandler.cancel_dump_traceback_later()
            self._waits = False
        if self._file is not None:
            self._file.close()
            self._file = None


def _opened(log: Path) -> IO[str] | None:
    with suppress(OSError):
        log.parent.mkdir(parents=True, exist_ok=True)
        return log.open("a", encoding="utf-8")
    return None
