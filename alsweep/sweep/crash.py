"""What a dead worker left to say: one line for people, and where its traceback lies."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ray.exceptions import RayTaskError

LOG = "log.txt"
"""Where tracebacks lie: in a trajectory's folder, or in the run's for a start that many share."""

_log = logging.getLogger(__name__)


def in_one_line(crash: BaseException, log: Path) -> str:
    """What a crash says, less its traceback; Ray puts the cause on the last line.

    Args:
        crash: As Ray hands it over.
        log: Holds the traceback, if there is one.
    """
    lines = [line.strip() for line in str(crash).splitlines() if line.strip()]
    if isinstance(crash, RayTaskError):
        return f"{lines[-1]}; the traceback is in {log}"
    return f"the worker died ({type(crash).__name__}: {lines[0] if lines else 'no reason given'})"


def keep_traceback(crash: BaseException, log: Path) -> None:
    """Append what a worker without a log of its own said last, if it said anything."""
    if isinstance(crash, RayTaskError):
        with log.open("a", encoding="utf-8") as file:
            file.write(f"{crash}\n")


@contextmanager
def quiet_tune() -> Iterator[None]:
    """Keep Tune from printing workers' tracebacks, but for who asked for --debug."""
    logger = logging.getLogger("ray.tune")
    before = logger.level
    if not _log.isEnabledFor(logging.DEBUG):
        logger.setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        logger.setLevel(before)
