"""A trajectory's folder while a worker is in it: its lock, its signs of life and its log."""

import fcntl
import logging
import os
import socket
import time
from pathlib import Path
from typing import IO

from alsweep.errors import LostError
from alsweep.layout import log_path, worker_lock_path
from alsweep.sweep.heartbeat import Heartbeat
from alsweep.sweep.watchdog import Watchdog
from alsweep.trajectory.progress import Phase, Progress

_SECONDS_FOR_THE_DEAD = 60.0


def lock_folder(folder: Path) -> IO[str]:
    """Keep a second worker out; one whose node lost its driver may live on for a few seconds.

    Raises:
        LostError: The other worker would not die.
    """
    lock = worker_lock_path(folder).open("a", encoding="utf-8")
    patience = time.monotonic() + _SECONDS_FOR_THE_DEAD
    while True:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() > patience:
                lock.close()
                raise LostError(f"{folder}: another worker is in it, and does not end") from None
            time.sleep(0.2)
        else:
            return lock


class LoggedHeartbeat:
    """A heartbeat that also tells the worker's log, beside the records, which loop it is in.

    Args:
        name: Of the trajectory.
        folder: Of the trajectory.
        watchdog: Hears each sign of life.
    """

    def __init__(self, name: str, folder: Path, watchdog: Watchdog | None = None) -> None:
        self._beat = Heartbeat(folder, watchdog)
        handler = logging.FileHandler(log_path(folder), delay=True, encoding="utf-8")
        place = f"{socket.gethostname()}/{os.getpid()}"
        handler.setFormatter(
            logging.Formatter(f"%(asctime)s {place} {name} loop %(loop)s %(levelname)s %(message)s")
        )
        handler.addFilter(self._add_loop)
        self._handler, logger = handler, logging.getLogger("alsweep")
        logger.addHandler(handler)
        logger.setLevel(logging.INFO)

    def __enter__(self) -> "LoggedHeartbeat":
        return self

    def __exit__(self, *_: object) -> None:
        """Write no more of the log."""
        logging.getLogger("alsweep").removeHandler(self._handler)
        self._handler.close()

    @property
    def place(self) -> tuple[int | None, Phase | None]:
        """Loop and phase of the last sign of life."""
        return self._beat.place

    def _add_loop(self, record: logging.LogRecord) -> bool:
        record.loop = self.place[0] or 0
        return True

    def __call__(self, progress: Progress) -> None:
        """Pass the sign of life on."""
        self._beat(progress)
