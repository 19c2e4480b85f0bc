"""What a tracker is: a mirror that is shown a trajectory's records and brings itself up to them."""

import logging
import queue
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

from alsweep.config.trajectory import TrajectoryConfig
from alsweep.results.loops import LoopRecord

Level = Literal["INFO", "WARN", "ERROR"]

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Tracked:
    """A trajectory as a tracker shows it.

    Attributes:
        id: Of the trajectory.
        config: Resolved.
        sweep: Name of the sweep.
        dataset_fingerprint: Of the Dataset's content.
        setting: Its name, where the search space names settings.
    """

    id: str
    config: TrajectoryConfig
    sweep: str
    dataset_fingerprint: str
    setting: str | None = None

    @property
    def label(self) -> str:
        """The strategy as tables name it."""
        return self.config.strategy.shown


class Tracker(Protocol):
    """A mirror of records: shown the same ones again, also by another process, it has them once."""

    def update(self, tracked: Tracked, records: Sequence[LoopRecord]) -> None:
        """Bring the mirror of one trajectory up to its records: all finished loops, from loop 0."""

    def alert(self, sweep: str, title: str, text: str, level: Level) -> None:
        """Tell whoever watches a sweep what has happened to it."""

    def close(self) -> None:
        """Finish what is open."""


class NullTracker:
    """Mirrors nothing."""

    def update(self, tracked: Tracked, records: Sequence[LoopRecord]) -> None:
        """Do nothing."""

    def alert(self, sweep: str, title: str, text: str, level: Level) -> None:
        """Do nothing."""

    def close(self) -> None:
        """Do nothing."""


class BackgroundTracker:
    """A tracker in a thread of its own, since a driver's loop must not wait for a mirror.

    An error in the mirror is logged once and ends the mirroring, never the sweep: the records have
    it all, and the next run brings the mirror up to them.

    Args:
        make: Makes the tracker, in the thread.
    """

    def __init__(self, make: Callable[[], Tracker]) -> None:
        self._make = make
        self._waiting: queue.SimpleQueue[Callable[[Tracker], None] | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._work, name="tracker", daemon=True)
        self._thread.start()

    def update(self, tracked: Tracked, records: Sequence[LoopRecord]) -> None:
        """Pass the records on and return at once."""
        known = tuple(records)
        self._waiting.put(lambda tracker: tracker.update(tracked, known))

    def alert(self, sweep: str, title: str, text: str, level: Level) -> None:
        """Pass the alert on and return at once."""
        self._waiting.put(lambda tracker: tracker.alert(sweep, title, text, level))

    def close(self, patience: float | None = None) -> None:
        """Wait until the mirror is up to date and closed.

        Args:
            patience: Seconds to wait at most; what is missing then is mirrored by the next run.
        """
        self._waiting.put(None)
        self._thread.join(patience)

    def _work(self) -> None:
        try:
            tracker = self._make()
            while (show := self._waiting.get()) is not None:
                show(tracker)
            tracker.close()
        except Exception as error:  # whatever a service's client raises must not end the sweep
            _log.warning(
                "warning: metrics are mirrored no more (%s: %s); all results are in the run "
                "folder, and the next 'alsweep resume' mirrors them",
                type(error).__name__,
                error,
            )
