"""Unfinished trajectories through Tune: one trial each; Tune's own state is never read again."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from ray import tune

from alsweep.layout import log_path
from alsweep.results.records import read_records
from alsweep.sweep.crash import in_one_line, quiet_tune
from alsweep.sweep.job import Job
from alsweep.sweep.missing import loops_done
from alsweep.sweep.trainable import Assignment, TrajectoryTrainable

if TYPE_CHECKING:
    from alsweep.sweep.plan import Planned


def run_trajectories(job: Job, excluded: set[str]) -> None:
    """Run all unfinished trajectories but the excluded ones; those that fail get their error.json.

    Args:
        job: The sweep.
        excluded: Ids of trajectories that have failed already.
    """
    todo = [p for p in job.unfinished() if p.id not in excluded]
    if not todo:
        return
    shutil.rmtree(job.run / ".tune", ignore_errors=True)  # left by an earlier version, if killed
    # Outside the run: nothing in it is kept, and a run's disk that is full must not stop Tune.
    temporary = TemporaryDirectory(prefix="alsweep-tune-", ignore_cleanup_errors=True)
    with temporary as storage, quiet_tune():
        results = build_tuner(job, todo, Path(storage)).fit()
    by_id = {planned.id: planned for planned in todo}
    for result in results:
        planned = by_id[result.config["trajectory"]]
        # A trajectory may also lose its worker after its last loop: then nothing is missing.
        if result.error is not None and loops_done(job.run, planned) < planned.config.query.loops:
            job.fail(planned, in_one_line(result.error, log_path(job.folder(planned))))


def build_tuner(job: Job, todo: Sequence[Planned], storage: Path) -> tune.Tuner:
    """A Tune experiment with one trial a trajectory.

    Args:
        job: The sweep.
        todo: Trajectories, in the order in which they begin.
        storage: Where Tune may write.
    """
    assignment = Assignment(job.run, job.work, {p.id: p.config for p in todo})
    trainable = tune.with_resources(
        tune.with_parameters(TrajectoryTrainable, assignment=assignment),
        {"cpu": job.resources.cpus, "gpu": job.resources.gpus},
    )
    return tune.Tuner(
        trainable,
        param_space={"trajectory": tune.grid_search([planned.id for planned in todo])},
        tune_config=tune.TuneConfig(
            reuse_actors=False,  # clean CUDA state, and no race between setup and reset
            trial_name_creator=_trial_name,
            trial_dirname_creator=_trial_name,
        ),
        run_config=tune.RunConfig(
            name="tune",
            storage_path=str(storage),
            failure_config=tune.FailureConfig(max_failures=job.resources.retries),
            checkpoint_config=tune.CheckpointConfig(
                checkpoint_frequency=0, checkpoint_at_end=False
            ),
            callbacks=[Follower(job, todo)],
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
        self._told = {planned.id: loops_done(job.run, planned) for planned in todo}

    def __getstate__(self) -> dict[str, Any]:
        # Tune pickles the callbacks with its own state, which is never read again.
        return {}

    def _of(self, trial: Any) -> Planned:
        return self._planned[trial.config["trajectory"]]

    def on_trial_start(self, iteration: int, trials: Any, trial: Any, **info: Any) -> None:
        """A worker begins, also after a retry."""
        self._job.monitor.began(self._of(trial))

    def on_trial_recover(self, iteration: int, trials: Any, trial: Any, **info: Any) -> None:
        """A worker was lost."""
        self._job.monitor.lost(self._of(trial))

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

    def _tell_new_loops(self, planned: Planned) -> None:
        """What is durable counts: a retry may tell Tune of a loop twice, or skip one."""
        records = read_records(self._job.folder(planned))
        for record in records[self._told[planned.id] :]:
            self._job.monitor.loop(planned, record)
        self._told[planned.id] = len(records)
        self._job.mirror(planned)
