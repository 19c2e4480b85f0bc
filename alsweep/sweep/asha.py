"""Successive halving at equal loops: within a setting, one trajectory in so many goes on.

Ray's ASHA decides, as soon as a loop is finished and by what is finished then. So what it decides
depends on who was first; the log of decisions says what it was, and a resume follows it.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

from ray.tune.schedulers import AsyncHyperBandScheduler

from alsweep.results.decisions import append_decisions, read_decided
from alsweep.results.records import read_records
from alsweep.sweep.parting import stopping, with_stopped
from alsweep.sweep.starts import prepare_starts
from alsweep.sweep.tuner import run_trajectories
from alsweep.sweep.turns import InTurn, no_pause

if TYPE_CHECKING:
    from alsweep.config.schedule import ScheduleConfig
    from alsweep.sweep.job import Job
    from alsweep.sweep.plan import Planned

BY = "asha"


def run_asha(job: Job) -> Job:
    """Make the sweep's trajectories as far as halving lets them.

    Returns:
        The job with all that was stopped.
    """
    lost = prepare_starts(job)
    run_trajectories(job, excluded=lost, scheduler=partial(Halving, job))
    return with_stopped(job, read_decided(job.run).stopped)


class Halving(InTurn):
    """Asks a bracket of each setting after each loop.

    Args:
        job: The sweep; what it has finished fills the brackets first.
        at_once: Workers that there is room for.
        enough: Whether the sweep is to end.
        pause: Seconds that a trajectory is still to wait.
    """

    def __init__(
        self,
        job: Job,
        at_once: int,
        enough: Callable[[Any | None], bool],
        pause: Callable[[Any], float] = no_pause,
    ) -> None:
        super().__init__(at_once, enough, pause)
        self._job = job
        self._planned = {planned.id: planned for planned in job.plan.trajectories}
        self._brackets: dict[str, AsyncHyperBandScheduler] = {}
        self._known: set[str] = set()
        for planned in job.plan.trajectories:
            self._fill(planned)

    def __getstate__(self) -> dict[str, Any]:
        # Tune pickles its scheduler with its own state, which is never read again.
        return {}

    def _fill(self, planned: Planned) -> None:
        for record in read_records(self._job.folder(planned)):
            self._ask(planned, record.loop, record.mean_dice or 0.0)

    def _bracket(self, planned: Planned) -> AsyncHyperBandScheduler:
        setting = planned.config.setting_hash(planned.dataset_fingerprint)
        if setting not in self._brackets:
            self._brackets[setting] = _bracket(self._job.plan.sweep.schedule, planned)
        return self._brackets[setting]

    def _ask(self, planned: Planned, loop: int, dice: float) -> str:
        bracket, trial = self._bracket(planned), SimpleNamespace(trial_id=planned.id)
        if planned.id not in self._known:
            self._known.add(planned.id)
            bracket.on_trial_add(None, trial)
        result = {"loops": loop + 1, "mean_dice": dice}
        return str(bracket.on_trial_result(None, trial, result))

    def on_trial_result(self, tune_controller: Any, trial: Any, result: dict[str, Any]) -> str:
        """Stop what is cut off; the log knows before Tune does."""
        planned = self._planned[trial.config["trajectory"]]
        ended = result["failed"] or result["erred"] or result["done"]
        said = super().on_trial_result(tune_controller, trial, result)
        if ended or said == self.STOP:
            return said
        if self._ask(planned, result["loop"], result["mean_dice"]) != self.STOP:
            return said
        why = f"cut off after loop {result['loop']} of its setting"
        append_decisions(self._job.run, [stopping(self._job.run, planned, why, None, by=BY)])
        self._job.monitor.stopped(planned, why)
        return str(self.STOP)


def _bracket(schedule: ScheduleConfig, planned: Planned) -> AsyncHyperBandScheduler:
    return AsyncHyperBandScheduler(
        time_attr="loops",
        metric="mean_dice",
        mode="max",
        max_t=planned.config.query.loops,
        grace_period=min(schedule.grace_loops, planned.config.query.loops),
        reduction_factor=schedule.reduction_factor,
    )
