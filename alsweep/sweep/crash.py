"""What a dead worker left to say: one line for people, and where its traceback lies."""

import logging
import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from traceback import extract_tb, format_exception_only

from ray.exceptions import NodeDiedError, OutOfMemoryError, RayTaskError, RuntimeEnvSetupError

from alsweep.config.sweep import ResourcesConfig
from alsweep.errors import LostError
from alsweep.storage.rooms import known_as
from alsweep.sweep.heartbeat import read_sign_of_life, silent_seconds
from alsweep.sweep.tries import Setback

_MORE_MEMORY = (
    "raise resources.cpus, so that fewer trajectories run at once, or lower "
    "resources.members_at_once, training.batch_size or training.patch_size"
)
_SHORT_OF_MEMORY = ("low on memory", "OUT_OF_MEMORY")
_USED = re.compile(r"was ([\d.]+ ?GB used / [\d.]+ ?GB limit)")
_NODE_LOST = ("node has died", "node was terminated", "node it was running on", "raylet died")
_KILLED = ("worker process has died", "worker died unexpectedly", "unexpected system error")
_UNALLOCATED = ("MemoryError", "can't allocate memory", "Unable to allocate", "bad_alloc")
_IN_CREATION = "error raised in its creation task"
_DIGITS = re.compile(r"[0-9a-f]*\d[0-9a-f]*")

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
        return _with_mend(lines[-1], log)  # Ray puts the cause on the last line
    return (
        f"the worker died ({_likely_cause(crash, text) or f'{type(crash).__name__}: {lines[0]}'})"
    )


def _with_mend(last: str, log: Path) -> str:
    told = f"{last}; the traceback is in {known_as(log)}"
    lacks = any(words in last for words in _UNALLOCATED)
    return f"{told}; memory did not suffice: {_MORE_MEMORY}" if lacks else told


def error_told(error: BaseException, log: Path) -> str:
    """An error in one line, and what helps against its likely cause.

    Args:
        error: As the work raised it.
        log: Holds the traceback.
    """
    return _with_mend(" ".join("".join(format_exception_only(error)).split()), log)


def raised_at(error: BaseException) -> str:
    """What an error is and where in the code it was raised: equal for the same error again."""
    frames = extract_tb(error.__traceback__)
    place = f" in {Path(frames[-1].filename).name}:{frames[-1].lineno}" if frames else ""
    return f"{type(error).__name__}{place}"


def setback_of(crash: BaseException, log: Path) -> Setback:
    """What a crash, as Ray hands it over, was: something lost, or an error of the work itself.

    Args:
        crash: Of a task or an actor.
        log: Holds the traceback, if there is one.
    """
    told, own = in_one_line(crash, log), isinstance(crash, RayTaskError | RuntimeEnvSetupError)
    if _IN_CREATION in str(crash):
        told, own = f"a worker cannot begin: {str(crash).strip().splitlines()[-1]}", True
    if isinstance(crash, RayTaskError) and isinstance(crash.cause, LostError):
        return Setback(" ".join(str(crash.cause).split()))
    return Setback(told, error=_DIGITS.sub("0", told) if own else None)


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


def placed(setback: Setback, signs: Path, log: Path, resources: ResourcesConfig) -> Setback:
    """A setback with what the last sign of life of its worker says of it.

    Args:
        setback: As it is known from Ray.
        signs: Where the worker left signs of life.
        log: Of the worker.
        resources: Of the sweep.
    """
    beat, minutes = read_sign_of_life(signs), resources.stuck_minutes
    if beat is None:
        return setback
    found = replace(setback, loop=beat.loop, phase=beat.phase)
    if setback.error is not None or minutes is None or silent_seconds(beat) < 60 * minutes:
        return found
    told = (
        f"no sign of life for {minutes:g} min (resources.stuck_minutes), so that its worker was "
        f"ended; where it was stuck is in {log}"
    )
    return replace(found, told=told)


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
