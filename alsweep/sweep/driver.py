"""Make what is missing of a sweep: shared starts first, then the trajectories."""

from alsweep.results.failure import forget_failure, read_failure
from alsweep.results.records import read_records
from alsweep.sweep.job import Job, Outcome
from alsweep.sweep.missing import finished, unfinished
from alsweep.sweep.ray_session import ray_session
from alsweep.sweep.schedules import make_scheduled


def make_missing(job: Job, address: str | None = None) -> Outcome:
    """Make what is missing; trajectories that failed before are tried again.

    Args:
        job: The sweep.
        address: Of a running Ray cluster; None starts a private Ray.

    Raises:
        ConfigError: Ray cannot give a worker what it needs.
        KeyboardInterrupt: Ctrl-C or SIGTERM; no worker is left, and finished loops are safe.
    """
    for planned in job.plan.trajectories:
        forget_failure(job.folder(planned))
        job.mirror(planned, read_records(job.folder(planned)))
    if unfinished(job.run, job.plan):
        with ray_session(job.resources, address):
            job = make_scheduled(job)
    return _outcome(job)


def _outcome(job: Job) -> Outcome:
    rest = unfinished(job.run, job.plan)
    unknown = "it stopped without a word; see the trajectory's log.txt"
    failed = {
        planned.id: job.errors.get(planned.id) or read_failure(job.folder(planned)) or unknown
        for planned in rest
    }
    return Outcome(finished(job.run, job.plan), failed)
