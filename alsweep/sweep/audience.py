"""Who hears of a sweep: what is said before it begins, and what happens in it."""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, redirect_stdout
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from alsweep.results.loops import LoopRecord

if TYPE_CHECKING:
    from alsweep.sweep.monitor import Monitor, Start
    from alsweep.sweep.plan import Plan, Planned

OnLoop = Callable[[str, LoopRecord], None]
"""Called with a trajectory's id and the record of each loop, as it is finished and durable."""

_log = logging.getLogger(__name__)


class Audience(Protocol):
    """Hears of a sweep from before it begins; command line and notebooks have each their own."""

    def tell(self, text: str) -> None:
        """Hear a line for people; one that begins with ``warning:`` is one."""

    def watch(self, run: Path, plan: Plan) -> AbstractContextManager[Monitor]:
        """Who hears what happens, from when work begins until it ends."""


def log(text: str) -> None:
    """Pass a line on to Python's logging, which shows warnings on stderr unless told otherwise."""
    _log.log(logging.WARNING if text.startswith("warning") else logging.INFO, "%s", text)


class Listener:
    """The audience in Python: lines go to the log, each loop to a function.

    A function that raises is called no more, since a sweep must not end for want of a listener.

    Args:
        on_loop: Hears of each loop; none needs to.
    """

    def __init__(self, on_loop: OnLoop | None = None) -> None:
        self._on_loop = on_loop
        self._stdout = sys.stdout

    def tell(self, text: str) -> None:
        """See :class:`Audience`."""
        log(text)

    @contextmanager
    def watch(self, run: Path, plan: Plan) -> Iterator[Listener]:
        """See :class:`Audience`."""
        self._stdout = sys.stdout
        yield self

    def preparing(self, starts: Sequence[Start]) -> None:
        """See :class:`~alsweep.sweep.monitor.Monitor`."""

    def prepared(self, start: Start) -> None:
        """See :class:`~alsweep.sweep.monitor.Monitor`."""

    def began(self, planned: Planned) -> None:
        """See :class:`~alsweep.sweep.monitor.Monitor`."""

    def setback(self, planned: Planned, told: str) -> None:
        """See :class:`~alsweep.sweep.monitor.Monitor`."""
        log(f"warning: {planned.id}: {told}")

    def loop(self, planned: Planned, record: LoopRecord) -> None:
        """See :class:`~alsweep.sweep.monitor.Monitor`."""
        if self._on_loop is None:
            return
        try:
            # What it prints is the user's own; only Ray is to be quiet.
            with redirect_stdout(self._stdout):
                self._on_loop(planned.id, record)
        except Exception:
            self._on_loop = None
            _log.warning("warning: on_loop failed and is called no more", exc_info=True)

    def failed(self, planned: Planned, error: str) -> None:
        """See :class:`~alsweep.sweep.monitor.Monitor`."""
        log(f"warning: failed: {planned.id}: {error}")

    def stopped(self, planned: Planned, why: str) -> None:
        """See :class:`~alsweep.sweep.monitor.Monitor`."""
        log(f"stopped: {planned.id}: {why}")

    def ended(self, planned: Planned) -> None:
        """See :class:`~alsweep.sweep.monitor.Monitor`."""

    def added(self, more: Sequence[Planned]) -> None:
        """See :class:`~alsweep.sweep.monitor.Monitor`."""
