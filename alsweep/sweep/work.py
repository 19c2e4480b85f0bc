"""What the sweep needs of a trajectory, and the real thing: training."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from alsweep.config.sweep import ResourcesConfig
from alsweep.config.trajectory import TrajectoryConfig
from alsweep.layout import models_folder
from alsweep.results.loops import LoopRecord
from alsweep.sweep.run_folder import load_plugins
from alsweep.trajectory.progress import OnProgress


class Stepper(Protocol):
    """A trajectory over a folder: the folder says what is missing, a step makes the next loop."""

    @property
    def records(self) -> Sequence[LoopRecord]:
        """Records of the finished loops."""

    @property
    def finished(self) -> bool:
        """Whether every loop is done."""

    def step(self) -> LoopRecord:
        """Do the next missing loop, up to its commit."""

    def close(self) -> None:
        """Leave nothing at work that a next trajectory in this process could meet."""


class Work(Protocol):
    """Makes trajectories in a worker process; it is pickled, so it holds plain values only."""

    def trajectory(
        self, config: TrajectoryConfig, folder: Path, on_progress: OnProgress
    ) -> Stepper:
        """A trajectory over ``folder``; making it writes nothing."""

    def prepare_start(self, config: TrajectoryConfig, on_progress: OnProgress) -> None:
        """Train and evaluate loop 0 for all trajectories that share it."""

    def full_data(self, config: TrajectoryConfig, on_progress: OnProgress) -> None:
        """Write the record of a recipe's full-data reference."""

    def repeat_start(self, config: TrajectoryConfig, repeat: int, on_progress: OnProgress) -> None:
        """Write the record of a start that is trained again."""


@dataclass(frozen=True)
class Training:
    """Real trajectories: networks trained on a Dataset.

    Attributes:
        run: The run folder, absolute; members are shared through it.
        resources: What a worker may use.
    """

    run: Path
    resources: ResourcesConfig

    def trajectory(
        self, config: TrajectoryConfig, folder: Path, on_progress: OnProgress
    ) -> Stepper:
        """See :class:`Work`."""
        from alsweep.trajectory.runner import Trajectory

        load_plugins(self.run, config)
        return Trajectory(
            config,
            folder,
            models=models_folder(self.run),
            resources=self.resources,
            on_progress=on_progress,
        )

    def prepare_start(self, config: TrajectoryConfig, on_progress: OnProgress) -> None:
        """See :class:`Work`."""
        from alsweep.data.case import Dataset
        from alsweep.trajectory.start import prepare_start

        load_plugins(self.run, config)
        dataset = Dataset.open(config.dataset)
        prepare_start(config, dataset, models_folder(self.run), self.resources, on_progress)

    def full_data(self, config: TrajectoryConfig, on_progress: OnProgress) -> None:
        """See :class:`Work`."""
        from alsweep.data.case import Dataset
        from alsweep.trajectory.fulldata import make_reference

        dataset, models = Dataset.open(config.dataset), models_folder(self.run)
        make_reference(config, dataset, models, self.resources, on_progress).write(self.run)

    def repeat_start(self, config: TrajectoryConfig, repeat: int, on_progress: OnProgress) -> None:
        """See :class:`Work`."""
        from alsweep.data.case import Dataset
        from alsweep.trajectory.noise import repeat_start

        load_plugins(self.run, config)
        repeat_start(
            config,
            repeat,
            dataset=Dataset.open(config.dataset),
            models=models_folder(self.run),
            resources=self.resources,
            on_progress=on_progress,
        ).write(self.run)
