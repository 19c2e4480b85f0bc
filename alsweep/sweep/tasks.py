"""Independent pieces of work on Ray, one task each."""

import shutil
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import ray

from alsweep.config.sweep import ResourcesConfig
from alsweep.disk import full_disk_told
from alsweep.errors import AlsweepError
from alsweep.sweep.crash import in_one_line, keep_traceback
from alsweep.sweep.heartbeat import Heartbeat
from alsweep.sweep.reuse import Slate
from alsweep.sweep.turns import workers_at_once
from alsweep.trajectory.progress import OnProgress

_SECONDS_BETWEEN_LOOKS = 5.0
"""At what there is room for, and whether it is enough."""

Task = Callable[[OnProgress], None]
"""What a worker does; it is pickled. What it makes is found on the disk."""


def never() -> bool:
    """All tasks are done, whatever happens meanwhile."""
    return False


@dataclass(frozen=True)
class Workers:
    """Who does tasks.

    Attributes:
        resources: What each gets; lost workers are replaced ``retries`` times.
        again: Whether one may do a task after its first; see :mod:`~alsweep.sweep.reuse`.
    """

    resources: ResourcesConfig
    again: bool = False


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
    signs: Path,
    log: Path,
    enough: Callable[[], bool] = never,
) -> Iterator[Ended]:
    """Run all tasks, as many at a time as there is room for.

    Args:
        tasks: By a name that is fit for a folder.
        workers: Who does them.
        signs: Where workers leave signs of life, each in the folder of its name; nothing else may
            lie there.
        log: Takes the tracebacks of tasks that crashed.
        enough: Asked often; once it says so, those that have begun are ended and no more begin.

    Yields:
        Each task, as it ends.
    """
    resources = workers.resources
    # max_calls: a worker leaves after its task, so that its memory is free for others.
    do = ray.remote(_do_and_forget) if workers.again else ray.remote(max_calls=1)(_do)
    remote = do.options(
        num_cpus=resources.cpus, num_gpus=resources.gpus, max_retries=resources.retries
    )
    shutil.rmtree(signs, ignore_errors=True)  # of a driver that was killed
    todo, working = dict(tasks), dict[Any, str]()
    while (todo and not enough()) or working:
        while todo and not enough() and len(working) < max(1, workers_at_once(resources)):
            name = next(iter(todo))
            working[remote.remote(todo.pop(name), signs / name)] = name
        for ready in ray.wait(list(working), timeout=_SECONDS_BETWEEN_LOOKS)[0]:
            name = working.pop(ready)
            error, seconds = _result_of(ready, log)
            shutil.rmtree(signs / name, ignore_errors=True)
            yield Ended(name, error, seconds)
    shutil.rmtree(signs, ignore_errors=True)


def _do(task: Task, signs: Path) -> tuple[str | None, float]:
    """Do a task; return what a user can mend, since an exception would change its class."""
    began = time.monotonic()
    try:
        with full_disk_told(signs):
            task(Heartbeat(signs))
    except AlsweepError as error:
        return str(error), time.monotonic() - began
    return None, time.monotonic() - began


def _do_and_forget(task: Task, signs: Path) -> tuple[str | None, float]:
    """Do a task in a process that is going to do others."""
    slate = Slate()
    try:
        return _do(task, signs)
    finally:
        slate.wipe()


def _result_of(ready: Any, log: Path) -> tuple[str | None, float]:
    try:
        result: tuple[str | None, float] = ray.get(ready)
    except ray.exceptions.RayError as crash:
        keep_traceback(crash, log)
        return in_one_line(crash, log), 0.0
    return result
