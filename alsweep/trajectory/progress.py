"""Where a trajectory is, for people; nothing is ever decided by it."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

Phase = Literal["start", "train", "evaluate", "query", "annotate"]


@dataclass(frozen=True)
class Progress:
    """A sign of life.

    Attributes:
        loop: The loop in progress.
        phase: What is being done.
        done: Steps of the phase that are done.
        total: Steps of the phase.
    """

    loop: int
    phase: Phase
    done: int
    total: int


OnProgress = Callable[[Progress], None]
