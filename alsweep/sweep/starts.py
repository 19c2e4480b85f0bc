"""Loop 0 of each setting and seed, trained once for all trajectories that share it."""

from functools import partial

from alsweep.sweep.job import Job
from alsweep.sweep.missing import missing_starts, unfinished
from alsweep.sweep.reuse import used_again
from alsweep.sweep.tasks import Workers, run_tasks


def prepare_starts(job: Job) -> set[str]:
    """Train each distinct start that a trajectory waits for.

    Returns:
        Ids of the trajectories whose start failed.
    """
    missing = {start.example.id: start for start in missing_starts(job.run, job.plan)}
    ordered = (missing[one.id] for one in job.unfinished() if one.id in missing)
    starts = {start.key: start for start in ordered}
    job.monitor.preparing(tuple(starts.values()))
    tasks = {key: partial(job.work.prepare_start, s.example.config) for key, s in starts.items()}
    failed: set[str] = set()
    configs = (start.example.config for start in starts.values())
    workers = Workers(job.resources, used_again(job.resources, configs), job.tries)
    for ended in run_tasks(tasks, workers, job.run, job.capped):
        job.meter.worked(ended.seconds)
        job.meter.first_time(ended.name)
        if ended.error is not None:
            failed |= _fail_all(job, ended.name, ended.error)
        job.monitor.prepared(starts[ended.name])
    return failed


def _fail_all(job: Job, start: str, error: str) -> set[str]:
    """Fail every trajectory that waits for this start."""
    lost = [planned for planned in unfinished(job.run, job.plan) if planned.start == start]
    for planned in lost:
        job.fail(planned, error)
    return {planned.id for planned in lost}
