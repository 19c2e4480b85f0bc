"""Progress over cases on stderr: a bar on a terminal, a line now and then in a log file."""

import os
import sys
import time
from types import TracebackType
from typing import TYPE_CHECKING

import typer

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

_QUIET_SECONDS = 2.0
_SECONDS_BETWEEN_LINES = 10.0


class CaseProgress:
    """Shows how many cases are done; a context manager.

    Args:
        verb: The command, which begins each line of a log.
    """

    def __init__(self, verb: str) -> None:
        self._verb = verb
        self._next_line = time.monotonic() + _QUIET_SECONDS
        self._bar: Progress | None = _bar() if _can_redraw() else None
        self._tasks: dict[str, TaskID] = {}

    def __enter__(self) -> "CaseProgress":
        if self._bar is not None:
            self._bar.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._bar is not None:
            self._bar.stop()

    def show(self, phase: str, done: int, total: int) -> None:
        """Say that ``done`` of ``total`` cases went through ``phase``."""
        if self._bar is not None:
            if phase not in self._tasks:
                self._tasks[phase] = self._bar.add_task(phase, total=total)
            self._bar.update(self._tasks[phase], completed=done)
        elif time.monotonic() >= self._next_line:
            typer.echo(f"{self._verb}: {phase} {done} of {total} cases", err=True)
            self._next_line = time.monotonic() + _SECONDS_BETWEEN_LINES


def _can_redraw() -> bool:
    """Whether stderr is a terminal that a bar can be drawn on again and again."""
    return sys.stderr.isatty() and os.environ.get("TERM") not in ("dumb", "unknown")


def _bar() -> "Progress":
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )

    return Progress(
        TextColumn("{task.description:>9}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("cases"),
        TimeElapsedColumn(),
        TextColumn("left"),
        TimeRemainingColumn(),
        console=Console(stderr=True),
    )
