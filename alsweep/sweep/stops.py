"""Ctrl-C and SIGTERM: both end a sweep the same tidy way."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import NoReturn

_STOPS = (signal.SIGINT, signal.SIGTERM)


@contextmanager
def stops_raise() -> Iterator[None]:
    """Turn SIGINT and SIGTERM into KeyboardInterrupt, until the block is left."""
    previous = {number: signal.getsignal(number) for number in _STOPS}
    listen()
    try:
        yield
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)


def listen() -> None:
    """Turn both into KeyboardInterrupt from now on; ``ray.init`` brings a handler of its own."""
    for number in _STOPS:
        signal.signal(number, _interrupt)


def ignore() -> None:
    """Let nothing come between: a second, impatient Ctrl-C must not leave workers behind."""
    for number in _STOPS:
        signal.signal(number, signal.SIG_IGN)


def _interrupt(number: int, frame: FrameType | None) -> NoReturn:
    raise KeyboardInterrupt
