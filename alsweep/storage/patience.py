"""How long a store that does not answer is asked again."""

import logging
import os
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TypeVar

from alsweep.errors import ConfigError, StoreAwayError
from alsweep.storage.environment import variable

T = TypeVar("T")

SECONDS = "ALSWEEP_STORE_SECONDS"
_SECONDS = 120.0
_FIRST, _LONGEST = 0.25, 10.0
"""Seconds between two tries."""

_log = logging.getLogger(__name__)


class TransientError(Exception):
    """A request has failed in a way that another try may mend; says how."""


@dataclass(frozen=True)
class Patience:
    """Tries again, each time after a longer pause, until so much time is over.

    Attributes:
        seconds: From the first failure on; ALSWEEP_STORE_SECONDS says otherwise. A minute of
            absence is not to end anything.
        clock: Seconds; tests bring their own.
        sleep: Waits so many of them.
    """

    seconds: float = field(default_factory=lambda: _seconds())
    clock: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] = time.sleep

    def __call__(self, place: str, do: Callable[[], T]) -> T:
        """Return what ``do`` returns, which may be called many times.

        Raises:
            StoreAwayError: It has raised TransientError for too long.
        """
        until: float | None = None
        pause = _FIRST
        while True:
            try:
                done = do()
            except TransientError as error:
                if until is None:
                    until = self.clock() + self.seconds
                    _log.warning("warning: %s does not answer (%s); trying again", place, error)
                if self.clock() + pause > until:
                    raise StoreAwayError(
                        f"{place}: has not answered for {self.seconds:.0f} s ({error}); what was "
                        "finished is safe there; see to the network or the store, and give the "
                        "command again"
                    ) from error
                self.sleep(pause * _share())
                pause = min(2 * pause, _LONGEST)
            else:
                if until is not None:
                    _log.warning("%s answers again", place)
                return done


def _seconds() -> float:
    """What the environment says.

    Raises:
        ConfigError: That is no number.
    """
    text = variable(SECONDS) or str(_SECONDS)
    with suppress(ValueError):
        return float(text)
    raise ConfigError(f"{SECONDS}: '{text}' is no number of seconds")


def _share() -> float:
    """Between a half and one, another in each process, so that they do not all come at once."""
    return 0.5 + os.getpid() % 97 / 194
