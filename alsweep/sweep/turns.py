"""Which trajectory begins next: the one whose turn it is, as far as workers let that be."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import ray
from ray.tune.schedulers import FIFOScheduler

from alsweep.config.sweep import ResourcesConfig
from alsweep.sweep.environment import set_variable

_MOST_WAITING = "TUNE_MAX_PENDING_TRIALS_PG"


def _never(trial: Any | None) -> bool:
    return False


def no_pause(trial: Any) -> float:
    """Whatever was lost is tried again at once."""
    return 0.0


class InTurn(FIFOScheduler):
    """Trajectories in order, and no worker in vain.

    Tune gives a worker that is free to a trajectory that waits, and ends the process that has begun
    to start for it. Where trajectories are shorter than a start, the workers that were first would
    so keep all others from ever coming. So as long as others are on their way, the first that wait
    are left to them.

    Once there is enough, those that run end with the loop at hand and the others never begin.

    Args:
        at_once: Workers that there is room for.
        enough: Asked often, whether the sweep is to end. What it is given has just done a loop.
        pause: Seconds that a trajectory which was lost is still to wait.
    """

    def __init__(
        self,
        at_once: int,
        enough: Callable[[Any | None], bool] = _never,
        pause: Callable[[Any], float] = no_pause,
    ) -> None:
        super().__init__()
        self._at_once = at_once
        self._enough = enough
        self._pause = pause
        self._resting: list[Any] = []
        # Of its own, since Tune's list grows with the sweep.
        self._waiting: list[Any] = []
        self._running: set[Any] = set()
        self._begun = False

    def on_trial_add(self, tune_controller: Any, trial: Any) -> None:
        """It waits, also after a setback."""
        self._waiting.append(trial)

    def on_trial_result(self, tune_controller: Any, trial: Any, result: dict[str, Any]) -> str:
        """It has done a loop."""
        return self.STOP if self._enough(trial) else self.CONTINUE

    def choose_trial_to_run(self, tune_controller: Any) -> Any | None:
        """The next in order, or the last that waits where the others have workers on their way."""
        if self._enough(None):
            self._stop_those_that_wait(tune_controller)
            return None
        self._running |= {trial for trial in self._waiting if trial.status == trial.RUNNING}
        self._running = {trial for trial in self._running if trial.status == trial.RUNNING}
        self._waiting = [trial for trial in self._waiting if trial.status == trial.PENDING]
        self._begun = self._begun or bool(self._running)
        if (rested := self._rested(tune_controller)) is not None:
            return rested
        if not self._waiting:
            return None
        others_come = self._begun and len(self._running) + 1 < self._at_once
        return self._waiting[-1 if others_come else 0]

    def _rested(self, tune_controller: Any) -> Any | None:
        """One that has waited for as long as it is to; those that are still to wait are paused.

        Tune begins with all that is pending, whatever is chosen.
        """
        for trial in [one for one in self._waiting if self._pause(one)]:
            self._waiting.remove(trial)
            self._resting.append(trial)
            tune_controller._set_trial_status(trial, trial.PAUSED)
        rested = next((one for one in self._resting if not self._pause(one)), None)
        if rested is not None:
            self._resting.remove(rested)
            self._waiting.append(rested)
        return rested

    def _stop_those_that_wait(self, tune_controller: Any) -> None:
        """Tune would begin with them, whatever is chosen, as soon as there is room."""
        for trial in self._resting:
            tune_controller.stop_trial(trial)
        for trial in self._waiting:
            if trial.status == trial.PENDING:
                tune_controller.stop_trial(trial)
        self._waiting, self._resting = [], []


def let_few_wait(at_once: int) -> None:
    """Let Tune ask Ray for no more workers than may come next: each that waits costs time and turn.

    Where Ray has room for none yet, a machine that joins brings some.
    """
    set_variable(_MOST_WAITING, str(at_once + 1))


def workers_at_once(resources: ResourcesConfig) -> int:
    """Workers that Ray has room for now."""
    there = ray.cluster_resources()
    wanted = {"CPU": resources.cpus, "GPU": resources.gpus}
    return int(min(there.get(name, 0) // amount for name, amount in wanted.items() if amount))
