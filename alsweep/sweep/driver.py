"""Make what is missing of a sweep: shared starts first, then the trajectories."""

import logging
import time
from dataclasses import replace

from alsweep.errors import RayGoneError
from alsweep.results.failure import forget_failure, read_failure
from alsweep.results.records import read_records
from alsweep.sweep.job import Job, Outcome
from alsweep.sweep.missing import finished, going_on, unfinished
from alsweep.sweep.nodes import check_nodes
from alsweep.sweep.ray_session import ray_session
from alsweep.sweep.retry import Retry
from alsweep.sweep.schedules import configurations_left, make_scheduled
from alsweep.sweep.tries import Setback

_log = logging.getLogger(__name__)


def make_missing(job: Job, address: str | None = None, retry: Retry = Retry.failed) -> Outcome:
    """Make what is missing, until a cap is reached.

    Args:
        job: The sweep.
        address: Of a running Ray cluster; None starts a private Ray.
        retry: Whether trajectories that failed before are tried again.

    Raises:
        ConfigError: Ray cannot give a worker what it needs.
        RunFolderError: A node of the cluster does not see the run folder.
        DatasetError: A node of the cluster lacks a dataset.
        KeyboardInterrupt: A signal, such as Ctrl-C; no worker is left, and finished loops are safe.
    """
    for planned in job.plan.trajectories:
        records = read_records(job.folder(planned), loops=planned.config.query.loops)
        job.mirror(planned, records)
        job.count(planned, records)
    job.count_replaced()
    going = _going_on(job, retry)
    if not unfinished(job.run, going.plan) and not configurations_left(going):
        return _outcome(job)
    if not job.capped():
        made = _made(going, address)
        failed_before = going.plan.stopped - job.plan.stopped
        stopped = made.plan.stopped - failed_before
        job = replace(made, plan=replace(made.plan, stopped=stopped))
    outcome = _outcome(job)
    _tell_end(job, outcome)
    return outcome


def _made(job: Job, address: str | None) -> Job:
    """Make what is missing; where a private Ray is lost on the way, another goes on.

    Raises:
        RayGoneError: The cluster's Ray on this machine is gone.
    """
    while True:
        try:
            with ray_session(job.resources, address):
                if address is not None:
                    check_nodes(job.run, job.plan)
                return make_scheduled(job)
        except RayGoneError as gone:
            if address is not None:
                raise
            told = job.tries.again(job.run, "ray", Setback(str(gone)), job.resources.retries)
            _log.warning("warning: %s", told)
            time.sleep(job.tries.seconds_left("ray"))


def _going_on(job: Job, retry: Retry) -> Job:
    """The job without what failed before, unless that is tried again."""
    if retry is Retry.failed:
        for planned in job.plan.trajectories:
            forget_failure(job.folder(planned))
        return job
    going = going_on(job.run, job.plan, retry)
    failed = going.stopped - job.plan.stopped
    for planned in job.plan.trajectories:
        if planned.id in failed:
            error = read_failure(job.folder(planned)) or ""
            job.errors[planned.id] = error
            job.monitor.failed(planned, error)
    return replace(job, plan=going)


def _outcome(job: Job) -> Outcome:
    rest, stopped = unfinished(job.run, job.plan), job.meter.reached()
    errors = {one.id: job.errors.get(one.id) or read_failure(job.folder(one)) for one in rest}
    unknown = None if stopped else "it stopped without a word; see the trajectory's log.txt"
    failed = {id_: error or unknown for id_, error in errors.items()}
    told = {id_: error for id_, error in failed.items() if error is not None}
    left = len(failed) - len(told)
    untold = configurations_left(job) if stopped else 0
    done = len(finished(job.run, job.plan))
    return Outcome(done, told, stopped if left or untold else None, left, untold)


def _tell_end(job: Job, outcome: Outcome) -> None:
    counts = {"done": outcome.done, "failed": len(outcome.failed), "left": outcome.left}
    said = ", ".join(f"{count} {state}" for state, count in counts.items())
    if outcome.stopped is None:
        job.events.tell("all_done", f"trajectories: {said}", **counts)
    else:
        text = f"stopped at {outcome.stopped}; trajectories: {said}"
        job.events.tell("cap_reached", text, cap=outcome.stopped, **counts)
