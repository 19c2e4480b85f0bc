"""What the driver tells those who watch: one interface for displays and tests."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

from alsweep.results.loops import LoopRecord

if TYPE_CHECKING:
    from alsweep.sweep.plan import Planned


@dataclass(frozen=True)
class Shared:
    """What is made once for several trajectories.

    Attributes:
        key: Hash of all that it follows from.
        example: One of the trajectories that share it.
        sharers: How many trajectories do.
    """

    key: str
    example: Planned
    sharers: int


class Start(Shared):
    """A loop 0, to be prepared before the trajectories that share it."""


class Monitor(Protocol):
    """Hears what happens. Called in the driver's loop, so it must be quick and must not raise."""

    def preparing(self, starts: Sequence[Start]) -> None:
        """These starts are trained before anything else."""

    def prepared(self, start: Start) -> None:
        """One of them is done, or has failed."""

    def began(self, planned: Planned) -> None:
        """A worker works on a trajectory."""

    def setback(self, planned: Planned, told: str) -> None:
        """Its worker was lost or met an error; it is going to be tried again."""

    def loop(self, planned: Planned, record: LoopRecord) -> None:
        """A loop is finished and durable; told once for each."""

    def failed(self, planned: Planned, error: str) -> None:
        """A trajectory cannot go on."""

    def stopped(self, planned: Planned, why: str) -> None:
        """It was decided that a trajectory does no further loops."""

    def ended(self, planned: Planned) -> None:
        """A trajectory is finished."""

    def added(self, more: Sequence[Planned]) -> None:
        """These were added to the plan; their folders say which loops are done already."""


@dataclass
class Pace:
    """How fast loops are finished, and so how long the rest may take.

    Attributes:
        left: Loops still to be done.
        clock: Seconds; tests bring their own.
    """

    left: int
    clock: Callable[[], float] = time.monotonic
    began: float = field(init=False)
    _counting_since: float | None = field(default=None, init=False)
    _done: int = field(default=0, init=False)

    def __post_init__(self) -> None:
        self.began = self.clock()

    def start(self) -> None:
        """Trajectories begin now; starting Ray and the shared loop 0 say nothing of their pace."""
        if self._counting_since is None:
            self._counting_since = self.clock()

    def finished_loop(self) -> None:
        """One more loop is done."""
        self._done += 1
        self.left -= 1

    def more(self, loops: int) -> None:
        """Trajectories were added: these loops come, too."""
        self.left += loops

    def drop(self, loops: int) -> None:
        """A trajectory failed: these loops will not come."""
        self.left -= loops

    @property
    def elapsed(self) -> float:
        """Seconds since the driver began."""
        return self.clock() - self.began

    @property
    def seconds_left(self) -> float | None:
        """Estimate for the rest; None before anything can be said."""
        if self._counting_since is None or not self._done:
            return None
        return self.left * (self.clock() - self._counting_since) / self._done


def in_words(seconds: float) -> str:
    """A duration for people: ``42 s``, ``7 min``, ``3.2 h``."""
    if seconds < 100:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 6000 else f"{seconds / 3600:.1f} h"


def left_in_words(seconds: float | None) -> str:
    """How long the rest takes, as far as that can be said."""
    if seconds is None:
        return "time left unknown"
    return f"about {in_words(seconds)} left" if seconds else "nothing left to do"


def dice_text(dice: float | None) -> str:
    """A Dice for people; ``-`` where it is not defined."""
    return "-" if dice is None else f"{dice:.3f}"
