"""What a dead worker left to say: one line for people, and where its traceback lies."""

import logging
import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from ray.exceptions import NodeDiedError, OutOfMemoryError, RayTaskError

_MORE_MEMORY = (
    "raise resources.cpus, so that fewer trajectories run at once, or lower "
    "resources.members_at_once, training.batch_size or training.patch_size"
)
_SHORT_OF_MEMORY = ("low on memory", "OUT_OF_MEMORY")
_USED = re.compile(r"was ([\d.]+ ?GB used / [\d.]+ ?GB limit)")
_NODE_LOST = ("node has died", "node was terminated", "node it was running on", "raylet died")
_KILLED = ("worker process has died", "worker died unexpectedly", "unexpected system error")
_UNALLOCATED = ("MemoryError", "can't allocate memory", "Unable to allocate", "bad_alloc")

_log = logging.getLogger(__name__)


def in_one_line(crash: BaseException, log: Path) -> str:
    """What a crash says, less its traceback, and what helps against its likely cause.

    Args:
        crash: As Ray hands it over.
        log: Holds the traceback, if there is one.
    """
    text = str(crash)
    lines = [line.strip() for line in text.splitlines() if line.strip()] or ["no reason given"]
    if isinstance(crash, RayTaskError):
        told = f"{lines[-1]}; the traceback is in {log}"  # Ray puts the cause on the last line
        lacks = any(words in lines[-1] for words in _UNALLOCATED)
        return f"{told}; memory did not suffice: {_MORE_MEMORY}" if lacks else told
    return (
        f"the worker died ({_likely_cause(crash, text) or f'{type(crash).__name__}: {lines[0]}'})"
    )


def _likely_cause(crash: BaseException, text: str) -> str | None:
    """What a worker died of that could not say so itself; None where nobody knows."""
    if isinstance(crash, OutOfMemoryError) or any(words in text for words in _SHORT_OF_MEMORY):
        used = _USED.search(text)
        how_much = f" ({used[1]})" if used else ""
        return f"killed because the machine's memory was nearly used up{how_much}: {_MORE_MEMORY}"
    if isinstance(crash, NodeDiedError) or any(words in text for words in _NODE_LOST):
        return "its machine, or Ray on it, was lost; look at that machine"
    if any(words in text for words in _KILLED):
        return (
            f"killed or crashed, most often for want of memory (the system's OOM killer): "
            f"{_MORE_MEMORY}"
        )
    return None


def keep_traceback(crash: BaseException, log: Path) -> None:
    """Append what a worker without a log of its own said last, if it said anything."""
    if isinstance(crash, RayTaskError):
        with suppress(OSError), log.open("a", encoding="utf-8") as file:
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
