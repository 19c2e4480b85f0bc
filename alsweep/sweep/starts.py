"""Loop 0 of each setting and seed, trained once for all trajectories that share it."""

import shutil
from pathlib import Path
from typing import Any

import ray

from alsweep.config.trajectory import TrajectoryConfig
from alsweep.errors import AlsweepError
from alsweep.sweep.crash import LOG, in_one_line, keep_traceback
from alsweep.sweep.heartbeat import Heartbeat
from alsweep.sweep.job import Job
from alsweep.sweep.missing import missing_starts, unfinished
from alsweep.sweep.run_folder import starts_folder
from alsweep.sweep.work import Work


def prepare_starts(job: Job) -> set[str]:
    """Train each distinct start that a trajectory waits for.

    Returns:
        Ids of the trajectories whose start failed.
    """
    starts = missing_starts(job.run, job.plan)
    job.monitor.preparing(starts)
    # max_calls: a worker leaves after its start, so that its memory is free for trajectories.
    task = ray.remote(max_calls=1)(_prepare).options(
        num_cpus=job.resources.cpus,
        num_gpus=job.resources.gpus,
        max_retries=job.resources.retries,
    )
    signs = starts_folder(job.run)
    shutil.rmtree(signs, ignore_errors=True)  # of a driver that was killed
    waiting = {task.remote(job.work, s.example.config, signs / s.key): s for s in starts}
    failed: set[str] = set()
    while waiting:
        for ready in ray.wait(list(waiting))[0]:
            start = waiting.pop(ready)
            error = _error_of(ready, job.run / LOG)
            if error is not None:
                failed |= _fail_all(job, start.key, error)
            shutil.rmtree(signs / start.key, ignore_errors=True)
            job.monitor.prepared(start)
    shutil.rmtree(signs, ignore_errors=True)
    return failed


def _fail_all(job: Job, start: str, error: str) -> set[str]:
    """Fail every trajectory that waits for this start."""
    lost = [planned for planned in unfinished(job.run, job.plan) if planned.start == start]
    for planned in lost:
        job.fail(planned, error)
    return {planned.id for planned in lost}


def _prepare(work: Work, config: TrajectoryConfig, signs: Path) -> str | None:
    """Prepare a start; return what a user can mend, since an exception would change its class."""
    try:
        work.prepare_start(config, Heartbeat(signs))
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
