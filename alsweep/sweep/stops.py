"""Ctrl-C, SIGTERM, SIGUSR1 and the end of a terminal: all end a sweep the same tidy way."""

import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from types import FrameType
from typing import NoReturn

from alsweep.errors import DiskFullError, RayGoneError

_STOPS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1)
"""SIGUSR1 is how Slurm and its like say that the time of a job is nearly up."""


@contextmanager
def stops_raise() -> Iterator[None]:
    """Turn all of them into KeyboardInterrupt, until the block is left.

    A SIGHUP that is ignored stays so: the user has asked for it, with ``nohup``. Signals are the
    main thread's: in another thread, what they do stays as it is.

    Raises:
        KeyboardInterrupt: A signal came, also where somebody's tidying up after it has failed.
    """
    previous = {number: signal.getsignal(number) for number in _STOPS}
    listen()
    try:
        yield
    except (DiskFullError, RayGoneError):  # the latter is found out by an interrupt of our own
        raise
    except Exception as error:
        if _came_of_a_stop(error):
            raise KeyboardInterrupt from error
        raise
    finally:
        if in_main_thread():
            for number, handler in previous.items():
                signal.signal(number, handler)


def _came_of_a_stop(error: BaseException) -> bool:
    """Whether an error was raised while a KeyboardInterrupt was on its way."""
    cause: BaseException | None = error
    while cause is not None and not isinstance(cause, KeyboardInterrupt):
        cause = cause.__cause__ or cause.__context__
    return cause is not None


def listen() -> None:
    """Turn them into KeyboardInterrupt from now on; Ray and Tune bring handlers of their own."""
    _handle(_interrupt)


@contextmanager
def held() -> Iterator[None]:
    """Let what has begun be finished: a signal that comes meanwhile is heeded when it is left.

    For code that takes an exception of any kind for a fault of its own.
    """
    came: list[tuple[int, FrameType | None]] = []
    handlers = {number: signal.getsignal(number) for number in _STOPS if in_main_thread()}
    heeded = {number: handler for number, handler in handlers.items() if callable(handler)}
    for number in heeded:
        signal.signal(number, lambda *told: came.append(told))
    try:
        yield
    finally:
        for number, handler in heeded.items():
            signal.signal(number, handler)
        for first, frame in came[:1]:
            heeded[signal.Signals(first)](first, frame)


def ignore() -> None:
    """Let nothing come between: a second, impatient Ctrl-C must not leave workers behind."""
    _handle(_pass)


def _handle(handler: Callable[[int, FrameType | None], None]) -> None:
    if not in_main_thread():
        return
    for number in _STOPS:
        if number != signal.SIGHUP or signal.getsignal(number) != signal.SIG_IGN:
            signal.signal(number, handler)


def in_main_thread() -> bool:
    """Whether signals come to this thread."""
    return threading.current_thread() is threading.main_thread()


def _pass(number: int, frame: FrameType | None) -> None:
    """Do nothing; SIG_IGN would look like nohup afterwards."""


def _interrupt(number: int, frame: FrameType | None) -> NoReturn:
    if number == signal.SIGHUP:
        _leave_dead_terminal()
    raise KeyboardInterrupt


def _leave_dead_terminal() -> None:
    """Let no last word fail for want of the terminal; a file or a pipe hears it still."""
    nothing = os.open(os.devnull, os.O_WRONLY)
    for stream in (1, 2):
        try:
            os.write(stream, b"")
        except OSError:
            with suppress(OSError):
                os.dup2(nothing, stream)
    os.close(nothing)
