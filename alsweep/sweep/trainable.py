"""One trajectory as Tune sees it: a step is a loop, and the folder is all the state there is."""

import logging
import pickle
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ray import tune

from alsweep.config.trajectory import TrajectoryConfig
from alsweep.disk import full_disk_told
from alsweep.errors import AlsweepError, LostError
from alsweep.layout import log_path, trajectory_folder
from alsweep.results.failure import write_failure
from alsweep.sweep.crash import error_told, raised_at
from alsweep.sweep.folder_at_work import LoggedHeartbeat, lock_folder
from alsweep.sweep.remote import folder_here
from alsweep.sweep.reuse import Slate
from alsweep.sweep.tries import Setback
from alsweep.sweep.watchdog import Watchdog
from alsweep.sweep.work import Stepper, Work

_log = logging.getLogger(__name__)


class Packed(Mapping[str, TrajectoryConfig]):
    """Configs of which each is unpacked when it is asked for.

    A worker gets those of all trajectories, and so a new one for each would unpack them all.

    Args:
        configs: Trajectory id to resolved config.
    """

    def __init__(self, configs: Mapping[str, TrajectoryConfig]) -> None:
        self._packed = {id_: pickle.dumps(config) for id_, config in configs.items()}

    def __getitem__(self, id_: str) -> TrajectoryConfig:
        config: TrajectoryConfig = pickle.loads(self._packed[id_])
        return config

    def __iter__(self) -> Iterator[str]:
        return iter(self._packed)

    def __len__(self) -> int:
        return len(self._packed)


@dataclass(frozen=True)
class Assignment:
    """What all workers of a sweep share; each finds its own trajectory in it by id.

    Attributes:
        run: The run folder, absolute, on storage that all nodes see; or the driver's mirror of it.
        work: Makes trajectories.
        configs: Trajectory id to resolved config.
        stuck_minutes: Without a sign of life, after which a worker ends itself; None for never.
    """

    run: Path
    work: Work
    configs: Mapping[str, TrajectoryConfig]
    stuck_minutes: float | None = None


class TrajectoryTrainable(tune.Trainable):
    """A worker; nothing is opened before its first step, since Tune may never come to that.

    It may do one trajectory after the other, but none after one that failed.
    """

    def setup(self, config: dict[str, Any], assignment: Assignment) -> None:
        """Remember what to do."""
        self._assignment = assignment
        self._slate = Slate()
        self._take(config)

    def reset_config(self, new_config: dict[str, Any]) -> bool:
        """Take another trajectory, as if the process were new."""
        self._release()
        self._take(new_config)
        return True

    def cleanup(self) -> None:
        """Let go of the folder, which another worker may be waiting for."""
        self._release()

    def _take(self, config: dict[str, Any]) -> None:
        self._id: str = config["trajectory"]
        run = folder_here(self._assignment.work, self._assignment.run)
        self._folder = trajectory_folder(run, self._id)
        self._watchdog = Watchdog(self._assignment.stuck_minutes, log_path(self._folder))
        self._beat: LoggedHeartbeat | None = None
        self._stepper: Stepper | None = None
        self._held: ExitStack | None = None
        self._failed = False

    def step(self) -> dict[str, Any]:
        """Do the next missing loop; say whether it was the last.

        An AlsweepError would come again, so it ends the trajectory as failed; of any other error
        the driver says whether it is tried again. Both are told in a result; the step after it
        never comes back, so that Tune ends the process. What is lost is raised, as death is.
        """
        if self._failed:
            raise GaveUpError(self._id)
        try:
            with full_disk_told(self._folder), self._watchdog:
                return self._next_loop()
        except LostError:
            _log.exception("the worker stops")
            raise
        except AlsweepError as error:
            write_failure(self._folder, str(error), self._loops_done())
            # Told as well, since it cannot be written to a disk that is full.
            return self._ends(failed=str(error))
        except Exception as error:
            # Here, since the driver tells people the last line alone.
            _log.exception("the worker stops")
            return self._ends(erred=self._setback(error))

    def _ends(self, *, failed: str | None = None, erred: Setback | None = None) -> dict[str, Any]:
        """A result of a worker that does nothing more; the loop is the last that is finished."""
        self._failed = True
        told = {"failed": failed, "erred": erred, "done": False}
        result = {"loop": self._loops_done() - 1, "mean_dice": 0.0, **told}
        # Now, while the log can still be brought to where others read it.
        with suppress(AlsweepError):
            self._release()
        return result

    def _setback(self, error: Exception) -> Setback:
        loop, phase = (None, None) if self._beat is None else self._beat.place
        return Setback(error_told(error, log_path(self._folder)), loop, phase, raised_at(error))

    def _next_loop(self) -> dict[str, Any]:
        stepper = self._open()
        record = stepper.records[-1] if stepper.finished else stepper.step()
        # A search must never see NaN; a Dice that is not defined counts as the worst.
        dice, done = record.mean_dice or 0.0, stepper.finished
        if done:
            # Now, since nobody knows when the next trajectory comes.
            del stepper
            self._release()
        told = {"failed": None, "erred": None, "done": done}
        return {"loop": record.loop, "mean_dice": dice, **told}

    def _open(self) -> Stepper:
        if self._stepper is None:
            self._folder.mkdir(parents=True, exist_ok=True)
            self._held = held = ExitStack()
            held.enter_context(lock_folder(self._folder))
            beat = LoggedHeartbeat(self._id, self._folder, self._watchdog)
            self._beat = held.enter_context(beat)
            config = self._assignment.configs[self._id]
            self._stepper = self._assignment.work.trajectory(config, self._folder, beat)
        return self._stepper

    def _release(self) -> None:
        """Let go of a trajectory and of all that it leaves in the process."""
        if self._stepper is not None:
            self._stepper.close()
            self._stepper = None
        if self._held is not None:
            self._held.close()
            self._held = self._beat = None
            self._slate.wipe()

    def _loops_done(self) -> int:
        return 0 if self._stepper is None else len(self._stepper.records)

    def save_checkpoint(self, checkpoint_dir: str) -> dict[str, Any]:
        """Nothing: the trajectory's folder is the checkpoint."""
        return {}

    def load_checkpoint(self, checkpoint: dict[str, Any] | None) -> None:
        """Nothing: a trajectory opened over its folder goes on where its query log ends."""


class GaveUpError(Exception):
    """A worker that has told why its trajectory failed leaves; the name is all that it says."""
