"""Independent pieces of work on Ray, one task each."""

import logging
import shutil
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import ray

from alsweep.config.sweep import ResourcesConfig
from alsweep.disk import full_disk_told
from alsweep.errors import AlsweepError, LostError
from alsweep.layout import log_path, starts_folder
from alsweep.sweep.crash import keep_traceback, placed, setback_of
from alsweep.sweep.heartbeat import Heartbeat
from alsweep.sweep.reuse import Slate
from alsweep.sweep.tries import Tries
from alsweep.sweep.turns import workers_at_once
from alsweep.sweep.watchdog import Watchdog
from alsweep.trajectory.progress import OnProgress

_SECONDS_BETWEEN_LOOKS = 5.0
"""At what there is room for, and whether it is enough."""

_SECONDS_TO_REST = 0.5
"""While all that is left waits for its next try."""

Task = Callable[[OnProgress], None]
"""What a worker does; it is pickled. What it makes is found on the disk."""

_log = logging.getLogger(__name__)


def never() -> bool:
    """All tasks are done, whatever happens meanwhile."""
    return False


@dataclass(frozen=True)
class Workers:
    """Who does tasks.

    Attributes:
        resources: What each gets.
        again: Whether one may do a task after its first; see :mod:`~alsweep.sweep.reuse`.
        tries: Remembers what went wrong.
    """

    resources: ResourcesConfig
    again: bool = False
    tries: Tries = field(default_factory=Tries)


@dataclass(frozen=True)
class Worker:
    """What a worker is told beside its task.

    Attributes:
        signs: Where it leaves signs of life.
        log: Takes what it was at, where it gives none any more.
        stuck_minutes: How long that may be; None for ever.
    """

    signs: Path
    log: Path
    stuck_minutes: float | None


@dataclass(frozen=True)
class Ended:
    """A task that has ended.

    Attributes:
        name: Of the task.
        error: None where all is well.
        seconds: How long it took; 0 where its worker was lost.
    """

    name: str
    error: str | None
    seconds: float


def run_tasks(
    tasks: Mapping[str, Task],
    workers: Workers,
    run: Path,
    enough: Callable[[], bool] = never,
) -> Iterator[Ended]:
    """Run all tasks, as many at a time as there is room for; what is lost is tried again.

    Args:
        tasks: By a name that is fit for a folder, in which a worker leaves signs of life.
        workers: Who does them.
        run: The run folder.
        enough: Asked often; once it says so, those that have begun are ended and no more begin.

    Yields:
        Each task, as it ends.
    """
    signs, remote = starts_folder(run), _remote(workers)
    shutil.rmtree(signs, ignore_errors=True)  # of a driver that was killed
    todo, working = dict(tasks), dict[Any, str]()
    while (todo and not enough()) or working:
        while not enough() and len(working) < max(1, workers_at_once(workers.resources)):
            name = next((n for n in todo if not workers.tries.seconds_left(n)), None)
            if name is None:
                break
            del todo[name]
            worker = Worker(signs / name, log_path(run), workers.resources.stuck_minutes)
            working[remote.remote(tasks[name], worker)] = name
        for ready in _wait(list(working)):
            name = working.pop(ready)
            ended = _ended(ready, name, run, workers)
            shutil.rmtree(signs / name, ignore_errors=True)
            if ended is None:
                todo[name] = tasks[name]
            else:
                yield ended
    shutil.rmtree(signs, ignore_errors=True)


def _remote(workers: Workers) -> Any:
    # max_calls: a worker leaves after its task, so that its memory is free for others.
    do = ray.remote(_do_and_forget) if workers.again else ray.remote(max_calls=1)(_do)
    asked = workers.resources
    return do.options(num_cpus=asked.cpus, num_gpus=asked.gpus, max_retries=0)


def _wait(working: list[Any]) -> list[Any]:
    if not working:
        time.sleep(_SECONDS_TO_REST)
        return []
    ready: list[Any] = ray.wait(working, timeout=_SECONDS_BETWEEN_LOOKS)[0]
    return ready


def _do(task: Task, worker: Worker) -> tuple[str | None, float]:
    """Do a task; return what a user can mend, since an exception would change its class."""
    began = time.monotonic()
    try:
        with full_disk_told(worker.signs), Watchdog(worker.stuck_minutes, worker.log) as watchdog:
            task(Heartbeat(worker.signs, watchdog))
    except LostError:
        raise
    except AlsweepError as error:
        return str(error), time.monotonic() - began
    return None, time.monotonic() - began


def _do_and_forget(task: Task, worker: Worker) -> tuple[str | None, float]:
    """Do a task in a process that is going to do others."""
    slate = Slate()
    try:
        return _do(task, worker)
    finally:
        slate.wipe()


def _ended(ready: Any, name: str, run: Path, workers: Workers) -> Ended | None:
    """How a task ended; None where it is tried again."""
    log = log_path(run)
    try:
        error, seconds = ray.get(ready)
    except ray.exceptions.RayError as crash:
        keep_traceback(crash, log)
        found = placed(setback_of(crash, log), starts_folder(run) / name, log, workers.resources)
        told = workers.tries.again(run, name, found, workers.resources.retries)
        if told is None:
            return Ended(name, found.told, 0.0)
        _log.warning("warning: %s: %s", name, told)
        return None
    return Ended(name, error, seconds)
