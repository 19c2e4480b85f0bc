"""Independent pieces of work on Ray, one task each."""

import shutil
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import ray

from alsweep.config.sweep import ResourcesConfig
from alsweep.disk import full_disk_told
from alsweep.errors import AlsweepError
from alsweep.sweep.crash import in_one_line, keep_traceback
from alsweep.sweep.heartbeat import Heartbeat
from alsweep.trajectory.progress import OnProgress

Task = Callable[[OnProgress], None]
"""What a worker does; it is pickled. What it makes is found on the disk."""


def run_tasks(
    tasks: Mapping[str, Task], resources: ResourcesConfig, signs: Path, log: Path
) -> Iterator[tuple[str, str | None]]:
    """Run all tasks, as many at a time as there is room for.

    Args:
        tasks: By a name that is fit for a folder.
        resources: What each gets; lost workers are replaced ``retries`` times.
        signs: Where workers leave signs of life, each in the folder of its name; nothing else may
            lie there.
        log: Takes the tracebacks of tasks that crashed.

    Yields:
        Name and error (None where all is well) of each task, as it ends.
    """
    # max_calls: a worker leaves after its task, so that its memory is free for others.
    remote = ray.remote(max_calls=1)(_do).options(
        num_cpus=resources.cpus, num_gpus=resources.gpus, max_retries=resources.retries
    )
    shutil.rmtree(signs, ignore_errors=True)  # of a driver that was killed
    waiting = {remote.remote(task, signs / name): name for name, task in tasks.items()}
    while waiting:
        for ready in ray.wait(list(waiting))[0]:
            name = waiting.pop(ready)
            error = _error_of(ready, log)
            shutil.rmtree(signs / name, ignore_errors=True)
            yield name, error
    shutil.rmtree(signs, ignore_errors=True)


def _do(task: Task, signs: Path) -> str | None:
    """Do a task; return what a user can mend, since an exception would change its class."""
    try:
        with full_disk_told(signs):
            task(Heartbeat(signs))
    except AlsweepError as error:
        return str(error)
    return None


def _error_of(ready: Any, log: Path) -> str | None:
    try:
        error: str | None = ray.get(ready)
    except ray.exceptions.RayError as crash:
        keep_traceback(crash, log)
        return in_one_line(crash, log)
    return error
