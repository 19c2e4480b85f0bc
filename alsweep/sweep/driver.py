"""Make what is missing of a sweep: shared starts first, then the trajectories."""

from dataclasses import replace

from alsweep.results.failure import forget_failure, read_failure
from alsweep.results.records import read_records
from alsweep.sweep.job import Job, Outcome
from alsweep.sweep.missing import finished, unfinished
from alsweep.sweep.ray_session import ray_session
from alsweep.sweep.starts import prepare_starts
from alsweep.sweep.tuner import run_trajectories


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
    if unfinished(job.run, job.plan) or _is_searching(job):
        with ray_session(job.resources, address):
            make = _Maker()
            make(job)
            job = _search(job, make)
    return _outcome(job)


class _Maker:
    """Makes jobs one after the other on one Ray, and each start for the first that waits for it."""

    def __init__(self) -> None:
        self._prepared: set[str] = set()

    def __call__(self, job: Job) -> None:
        """Make what is missing of a job."""
        fresh = [one for one in job.plan.trajectories if one.start not in self._prepared]
        self._prepared |= {one.start for one in fresh}
        excluded = prepare_starts(replace(job, plan=job.plan.only(fresh)))
        run_trajectories(job, excluded=excluded)


def _is_searching(job: Job) -> bool:
    """Whether a search has something to ask or to tell."""
    if job.plan.sweep.search is None:
        return False
    # Optuna comes along with it; most sweeps search nothing.
    from alsweep.sweep.search import is_over

    return not is_over(job)


def _search(job: Job, make: _Maker) -> Job:
    """Take the sweep's search to its end, where it has one."""
    if not _is_searching(job):
        return job
    from alsweep.sweep.search import searched
    from alsweep.sweep.turns import workers_at_once

    return searched(job, make, workers_at_once(job.resources))


def _outcome(job: Job) -> Outcome:
    rest = unfinished(job.run, job.plan)
    unknown = "it stopped without a word; see the trajectory's log.txt"
    failed = {
        planned.id: job.errors.get(planned.id) or read_failure(job.folder(planned)) or unknown
        for planned in rest
    }
    return Outcome(finished(job.run, job.plan), failed)
