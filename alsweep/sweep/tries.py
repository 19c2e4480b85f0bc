"""Whether what went wrong is tried again, and when: two counts of each trajectory, kept apart.

What is lost, as a worker, its machine or the store, is replaced without limit: nobody's result
hangs on it. The same error in the same phase of the same loop would come again, so that it ends
what raised it, and nothing else.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path

from alsweep.results.mishaps import Mishap, Notebook

_FIRST_PAUSE = 2.0
_LONGEST_PAUSE = 300.0
_OFTEN = 3


@dataclass(frozen=True)
class Setback:
    """Something that went wrong; plain values, since workers tell it their driver.

    Attributes:
        told: For people, in a line.
        loop: In which it happened, where that is known.
        phase: Of the loop, where that is known.
        error: None where something was lost; else equal for errors that are the same: what it is,
            and where in the code it was raised.
    """

    told: str
    loop: int | None = None
    phase: str | None = None
    error: str | None = None


@dataclass
class Tries:
    """Remembers what went wrong in this call; an earlier call's is forgiven.

    Attributes:
        clock: Seconds; tests bring their own.
    """

    clock: Callable[[], float] = time.monotonic
    _lost: Counter[str] = field(default_factory=Counter, init=False)
    _erred: Counter[tuple[str, Setback]] = field(default_factory=Counter, init=False)
    _not_before: dict[str, float] = field(default_factory=dict, init=False)
    _notebook: Notebook = field(default_factory=Notebook, init=False)

    def again(self, run: Path, name: str, setback: Setback, retries: int) -> str | None:
        """Write down what went wrong, and say whether it is tried again.

        Args:
            run: The run folder.
            name: Of what it happened to.
            setback: What happened.
            retries: How often the same error in the same phase is tried again.

        Returns:
            What is to be said of it; None where it is not tried again.
        """
        self._notebook.note(
            run,
            Mishap(
                kind="lost" if setback.error is None else "error",
                name=name,
                loop=setback.loop,
                phase=setback.phase,
                what=setback.told,
                time=datetime.now(UTC),
            ),
        )
        if setback.error is None:
            return self._after_loss(name, setback.told)
        return self._after_error(name, setback, retries)

    def went_on(self, name: str) -> None:
        """A loop was finished: what was lost before it is no sign of anything any more."""
        self._lost.pop(name, None)
        self._not_before.pop(name, None)

    def seconds_left(self, name: str) -> float:
        """Until what was lost is to be tried again; 0 where it may be at once."""
        return max(0.0, self._not_before.get(name, 0.0) - self.clock())

    def _after_loss(self, name: str, told: str) -> str:
        """What is lost again and again waits longer and longer, a first time not at all."""
        self._lost[name] += 1
        times = self._lost[name]
        pause = 0.0 if times == 1 else min(_FIRST_PAUSE * 2.0 ** (times - 2), _LONGEST_PAUSE)
        self._not_before[name] = self.clock() + pause
        often = f"; that makes {times} times in one loop" if times >= _OFTEN else ""
        return f"{told}{often}; it is tried again{f' in {pause:.0f} s' if pause else ''}"

    def _after_error(self, name: str, setback: Setback, retries: int) -> str | None:
        # The text may name a process or an address, which are other ones next time.
        key = (name, replace(setback, told=""))
        self._erred[key] += 1
        return None if self._erred[key] > retries else f"{setback.told}; it is tried again"
