"""Claims that must be given signs of life: kept by who has them, watched by who waits for them."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Protocol, TypeVar

LEASE = 60.0
"""Seconds without a sign of life after which a claim of another machine is free."""


class Held(Protocol):
    """A claim of this process."""

    @property
    def lost(self) -> bool:
        """Whether somebody else has taken it, which held this process for dead."""

    def beat(self) -> None:
        """Give a sign of life, and see whether the claim still counts."""

    def release(self) -> None:
        """Give it back; where that cannot be told, others wait for the lease to end."""


_Claim = TypeVar("_Claim", bound=Held)


@contextmanager
def kept(claim: _Claim | None, seconds: float) -> Iterator[_Claim | None]:
    """Give signs of life of a claim, so many seconds apart; then give it back.

    Yields:
        The claim; None where there is none to be kept.
    """
    if claim is None:
        yield None
        return
    done = threading.Event()

    def keep() -> None:
        while not done.wait(seconds) and not claim.lost:
            claim.beat()

    beating = threading.Thread(target=keep, name="claim", daemon=True)
    beating.start()
    try:
        yield claim
    finally:
        done.set()
        beating.join()
        claim.release()


@dataclass
class _Seen:
    """What a claim was like when it last changed, by our clock."""

    number: int
    touched: object
    since: float
    beating: bool


@dataclass
class Watch:
    """Which claims of others live, as far as one process has seen: no two clocks are compared.

    Attributes:
        beat: Seconds between two signs of life.
        lease: Seconds without one after which nobody is believed to be there.
        clock: Seconds; tests bring their own.
    """

    beat: float
    lease: float = LEASE
    clock: Callable[[], float] = time.monotonic
    _seen: dict[str, _Seen] = field(default_factory=dict, init=False)

    def is_free(self, name: str, number: int, touched: object, *, alive: bool | None) -> bool:
        """Whether a claim that was not given back may be taken nevertheless.

        Args:
            name: Of the claim.
            number: Another one for each that held it.
            touched: Another one after each sign of life.
            alive: Whether the holder lives; None where it is of another machine.
        """
        if alive is False:
            return True
        # Also one that lives here may be at work in another folder, of which this is a copy.
        seen = self._seen.get(name)
        if seen is None or (seen.number, seen.touched) != (number, touched):
            beating = bool(alive) or (seen is not None and seen.number == number)
            self._seen[name] = _Seen(number, touched, self.clock(), beating)
            return False
        return self.clock() - seen.since > self.lease

    def unsure(self, name: str) -> bool:
        """Whether a claim that could not be had may be a dead one's: wait, and see it touched."""
        seen = self._seen.get(name)
        return seen is None or not seen.beating or self.clock() - seen.since > 3 * self.beat
