"""Unfinished trajectories through Tune: one trial each; Tune's own state is never read again."""

from __future__ import annotations

import pickle
import shutil
import time
from collections.abc import Callable, Sequence, Set
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from ray import tune
from ray.exceptions import RayTaskError
from ray.tune.schedulers import FIFOScheduler

from alsweep.layout import log_path
from alsweep.results.loops import LoopRecord
from alsweep.results.records import read_records
from alsweep.sweep.crash import placed, quiet_tune, setback_of
from alsweep.sweep.job import Job
from alsweep.sweep.missing import loops_done
from alsweep.sweep.ray_secrets import secrets_kept
from alsweep.sweep.remote import pull_trajectory
from alsweep.sweep.reuse import used_again
from alsweep.sweep.stops import listen
from alsweep.sweep.trainable import Assignment, GaveUpError, Packed, TrajectoryTrainable
from alsweep.sweep.turns import InTurn, let_few_wait, workers_at_once

if TYPE_CHECKING:
    from alsweep.sweep.plan import Planned


MakeScheduler = Callable[[int, Callable[[Any | None], bool], Callable[[Any], float]], FIFOScheduler]
"""A scheduler for so many workers at once, that begins nothing once there is enough, and what was
lost once its seconds are over."""


def run_trajectories(
    job: Job,
    excluded: Set[str],
    until: int | None = None,
    scheduler: MakeScheduler = InTurn,
) -> None:
    """Run all unfinished trajectories but the excluded ones; those that fail get their error.json.

    Args:
        job: The sweep.
        excluded: Ids of trajectories that have failed already.
        until: The last loop that is made now; None makes all.
        scheduler: Says which comes next, and may stop one after a loop.
    """
    rest = [p for p in job.unfinished() if p.id not in excluded]
    todo = [p for p in rest if until is None or loops_done(job.run, p) <= until]
    shutil.rmtree(job.run / ".tune", ignore_errors=True)  # left by an earlier version, if killed
    # Where a worker dies while it is handed its next trajectory, Tune gives that up without a try.
    while todo and not job.capped():
        todo = _run(job, todo, until, scheduler)
        time.sleep(min((job.tries.seconds_left(one.id) for one in todo), default=0.0))


def _run(
    job: Job, todo: Sequence[Planned], until: int | None, scheduler: MakeScheduler
) -> list[Planned]:
    """Run trajectories; return those that Tune has given up and that are to be tried again."""
    follower = Follower(job, todo)
    # Outside the run: nothing in it is kept, and a run's disk that is full must not stop Tune.
    temporary = TemporaryDirectory(prefix="alsweep-tune-", ignore_cleanup_errors=True)
    with temporary as storage, quiet_tune(), secrets_kept():
        tuner = build_tuner(job, Path(storage), follower, until, scheduler)
        results = tuner.fit()
    # Where there was no result there is no config either.
    given_up = ((follower.named(Path(one.path).name), one.error) for one in results if one.error)
    return [
        planned
        for planned, crash in given_up
        if planned.id not in job.errors
        and _lacks(job, planned, until)
        and follower.again(planned, crash)
    ]


def _lacks(job: Job, planned: Planned, until: int | None) -> bool:
    """Whether there is a loop to make; a worker may also be lost after its last."""
    last = planned.config.query.loops - 1 if until is None else until
    return loops_done(job.run, planned) <= last


def build_tuner(
    job: Job,
    storage: Path,
    follower: Follower,
    until: int | None = None,
    scheduler: MakeScheduler = InTurn,
) -> tune.Tuner:
    """A Tune experiment with one trial for each trajectory that is followed, in their order.

    Args:
        job: The sweep.
        storage: Where Tune may write.
        follower: Hears what happens.
        until: The last loop that is made; None makes all.
        scheduler: Says which comes next.
    """
    todo = follower.followed
    at_once = workers_at_once(job.resources)
    let_few_wait(at_once)
    configs = Packed({p.id: p.config for p in todo})
    assignment = Assignment(job.run, job.work, configs, job.resources.stuck_minutes)
    trainable = tune.with_resources(
        tune.with_parameters(TrajectoryTrainable, assignment=assignment),
        {"cpu": job.resources.cpus, "gpu": job.resources.gpus},
    )
    return tune.Tuner(
        trainable,
        param_space={"trajectory": tune.grid_search([planned.id for planned in todo])},
        tune_config=tune.TuneConfig(
            scheduler=scheduler(at_once, follower.enough, follower.pause),
            reuse_actors=used_again(job.resources, (p.config for p in todo)),
            trial_name_creator=_trial_name,
            trial_dirname_creator=_trial_name,
        ),
        run_config=tune.RunConfig(
            name="tune",
            storage_path=str(storage),
            stop=None if until is None else {"loop": until},
            failure_config=tune.FailureConfig(max_failures=-1),
            checkpoint_config=tune.CheckpointConfig(
                checkpoint_frequency=0, checkpoint_at_end=False
            ),
            callbacks=[follower],
            verbose=0,
        ),
    )


def _trial_name(trial: Any) -> str:
    return str(trial.config["trajectory"])


class Follower(tune.Callback):
    """Carries what Tune says of trials over to monitor and tracker, each loop once."""

    def __init__(self, job: Job, todo: Sequence[Planned]) -> None:
        self._job = job
        self._planned = {planned.id: planned for planned in todo}
        self._listening = False
        # Of those at work alone, so that memory does not grow with the sweep.
        self._records: dict[str, tuple[LoopRecord, ...]] = {}

    def __getstate__(self) -> dict[str, Any]:
        # Tune pickles the callbacks with its own state, which is never read again.
        return {}

    @property
    def followed(self) -> list[Planned]:
        """The trajectories, in the order in which they begin."""
        return list(self._planned.values())

    def named(self, id_: str) -> Planned:
        """One of the trajectories that it follows."""
        return self._planned[id_]

    def _of(self, trial: Any) -> Planned:
        return self.named(trial.config["trajectory"])

    def enough(self, trial: Any | None) -> bool:
        """Whether a cap is reached, once the loop is counted that a trial has just done."""
        if trial is not None:
            self._tell_new_loops(self._of(trial))
        return self._job.capped()

    def on_step_begin(self, iteration: int, trials: Any, **info: Any) -> None:
        """Tune has begun, and has taken a signal for itself that ends a sweep."""
        if not self._listening:
            listen()
            self._listening = True

    def on_trial_start(self, iteration: int, trials: Any, trial: Any, **info: Any) -> None:
        """A worker begins, also after a retry."""
        planned = self._of(trial)
        if planned.id not in self._records:
            # What was finished before this run is no news.
            self._records[planned.id] = self._read(planned)
        self._job.monitor.began(planned)

    def pause(self, trial: Any) -> float:
        """Seconds that a trajectory is still to wait after it was lost."""
        return self._job.tries.seconds_left(self._of(trial).id)

    def on_trial_recover(self, iteration: int, trials: Any, trial: Any, **info: Any) -> None:
        """A worker was lost, or has left after it told why."""
        planned = self._of(trial)
        crash = _crash_of(trial)
        if isinstance(crash, RayTaskError) and isinstance(crash.cause, GaveUpError):
            return
        if not self.again(planned, crash):
            _try_no_more(trial)

    def again(self, planned: Planned, crash: Exception | None) -> bool:
        """Note that a worker was lost; return whether another takes its trajectory.

        Args:
            planned: The trajectory.
            crash: As Ray hands it over; None where it cannot be told.
        """
        folder = self._job.folder(planned)
        log = log_path(folder)
        found = setback_of(crash or RuntimeError("nobody knows of what"), log)
        return self._job.again(planned, placed(found, folder, log, self._job.resources))

    def on_trial_result(
        self, iteration: int, trials: Any, trial: Any, result: dict[str, Any], **info: Any
    ) -> None:
        """A loop is finished, or a trajectory gave up."""
        planned = self._of(trial)
        self._tell_new_loops(planned)
        if result["failed"]:
            self._job.failed(planned, result["failed"])
        elif result["done"]:
            self._job.monitor.ended(planned)
        elif result["erred"]:
            self._job.again(planned, result["erred"])
        if planned.id in self._job.errors:
            _try_no_more(trial)
        if planned.id in self._job.errors or result["done"]:
            del self._records[planned.id]

    def _read(self, planned: Planned, known: tuple[LoopRecord, ...] = ()) -> tuple[LoopRecord, ...]:
        pull_trajectory(self._job.run, self._job.folder(planned))
        return read_records(self._job.folder(planned), known, planned.config.query.loops)

    def _tell_new_loops(self, planned: Planned) -> None:
        """What is durable counts: a retry may tell Tune of a loop twice, or skip one."""
        told = self._records.get(planned.id, ())
        records = self._read(planned, told)
        for record in records[len(told) :]:
            self._job.monitor.loop(planned, record)
            self._job.tries.went_on(planned.id)
        self._job.count(planned, records[len(told) :])
        self._records[planned.id] = records
        self._job.mirror(planned, records)


def _try_no_more(trial: Any) -> None:
    """Let Tune give a trajectory up with its worker, which leaves now or the next time."""
    trial.max_failures = 0


def _crash_of(trial: Any) -> Exception | None:
    """What Ray said of a trial's last failure; None where that could not be written down."""
    # Tune's own word for it looks where its files are brought to later.
    try:
        crash: Exception = pickle.loads(Path(trial.pickled_error_file).read_bytes())
    except (OSError, TypeError, EOFError, pickle.UnpicklingError):
        return None
    return crash
