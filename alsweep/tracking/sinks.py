"""Sinks beside W&B, by name: ours, and those that other packages offer as ``alsweep.sinks``."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from importlib import import_module
from importlib.metadata import EntryPoint, entry_points
from importlib.util import find_spec
from pathlib import Path

from alsweep.errors import ConfigError
from alsweep.results.loops import LoopRecord
from alsweep.tracking.base import BackgroundTracker, Level, Tracked, Tracker

GROUP = "alsweep.sinks"

MakeSink = Callable[[Path, str], Tracker]
"""Makes a sink from the run folder and the name of the project."""


@dataclass(frozen=True)
class _Own:
    """A sink of ours, which needs a package of the extra ``sinks``."""

    package: str
    module: str
    name: str


_OWN = {
    "tensorboard": _Own("tensorboardX", "alsweep.tracking.tensorboard", "TensorBoardTracker"),
    "trackio": _Own("trackio", "alsweep.tracking.trackio", "TrackioTracker"),
}


def sink(name: str) -> MakeSink:
    """Return what makes the sink of that name.

    Raises:
        ConfigError: There is none, or its package is not installed or broken.
    """
    if name in _OWN:
        own = _OWN[name]
        if find_spec(own.package) is None:
            raise ConfigError(
                f"sinks: {name} needs the package {own.package}; "
                "pip install 'alsweep[sinks]', or leave it out"
            )
        made: MakeSink = getattr(import_module(own.module), own.name)
        return made
    points = _points()
    if name not in points:
        known = [*_OWN, *points]
        near = get_close_matches(name, known, n=1)
        hint = f"did you mean '{near[0]}'?" if near else f"known: {', '.join(known)}"
        raise ConfigError(f"sinks: unknown sink '{name}'; {hint}")
    try:
        loaded: MakeSink = points[name].load()
    except Exception as error:
        raise ConfigError(
            f"sinks: {name} ({points[name].value}) cannot be loaded ({error}); mend the package "
            "that offers it, or leave it out"
        ) from error
    return loaded


def _points() -> dict[str, EntryPoint]:
    return {point.name: point for point in entry_points(group=GROUP)}


class Several:
    """Several mirrors of one sweep; one that breaks stops none of the others.

    Args:
        trackers: Each in a thread of its own.
    """

    def __init__(self, trackers: Sequence[BackgroundTracker]) -> None:
        self._trackers = tuple(trackers)

    def update(self, tracked: Tracked, records: Sequence[LoopRecord]) -> None:
        """Pass the records on to all."""
        for tracker in self._trackers:
            tracker.update(tracked, records)

    def alert(self, sweep: str, title: str, text: str, level: Level) -> None:
        """Pass the alert on to all."""
        for tracker in self._trackers:
            tracker.alert(sweep, title, text, level)

    def close(self, patience: float | None = None) -> None:
        """Wait until all are up to date and closed; see :meth:`BackgroundTracker.close`."""
        end = None if patience is None else time.monotonic() + patience
        for tracker in self._trackers:
            tracker.close(None if end is None else max(0.0, end - time.monotonic()))
