"""Where pictures come from: the images and reference labels of the datasets that a study used."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from alsweep.config.reveal import Reveal
from alsweep.data.annotator import ReferenceLabels
from alsweep.data.case import Dataset
from alsweep.data.recorded import open_recorded
from alsweep.errors import DatasetError
from alsweep.label_codes import IGNORE
from alsweep.report.study import Study
from alsweep.results.records import RunFolder, TrajectoryFolder
from alsweep.results.settings import TIMES


class Volumes(Protocol):
    """Images and labels by case id."""

    @property
    def classes(self) -> tuple[str, ...]:
        """Class names; the index is the label, 0 is background."""

    @property
    def spacing(self) -> tuple[float, float, float]:
        """Voxel size ``(z, y, x)`` in mm."""

    @property
    def reveal(self) -> Reveal:
        """What annotators told of a patch."""

    def image(self, case: str) -> NDArray[np.floating[Any]]:
        """``(channel, z, y, x)``."""

    def reference(self, case: str) -> NDArray[np.integer[Any]]:
        """Reference labels ``(z, y, x)``."""


class DatasetVolumes:
    """The volumes of an ingested Dataset.

    Args:
        dataset: The Dataset.
        reveal: What annotators told of its patches.
    """

    def __init__(self, dataset: Dataset, reveal: Reveal = "dense") -> None:
        self._dataset = dataset
        self.reveal: Reveal = reveal
        self._labels = ReferenceLabels(dataset)

    @property
    def classes(self) -> tuple[str, ...]:
        """Class names, background first."""
        return self._dataset.classes

    @property
    def spacing(self) -> tuple[float, float, float]:
        """Voxel size ``(z, y, x)`` in mm."""
        return self._dataset.manifest.spacing

    def image(self, case: str) -> NDArray[np.floating[Any]]:
        """``(channel, z, y, x)``."""
        return self._dataset.image(case)

    def reference(self, case: str) -> NDArray[np.integer[Any]]:
        """Reference labels ``(z, y, x)``; :data:`IGNORE` throughout where there are none."""
        info = self._dataset.case(case)
        if not info.has_reference:
            return np.broadcast_to(np.uint8(IGNORE), info.shape)
        return self._labels.volume(case)


@dataclass(frozen=True)
class Opened:
    """A dataset of the study, or why it cannot be shown.

    Attributes:
        description: One line for the checklist.
        volumes: None where the dataset is gone or has changed.
        notice: What is to be said above all results that were made on it.
    """

    description: str
    volumes: Volumes | None
    notice: str | None = None


def open_datasets(study: Study) -> Mapping[str, Opened]:
    """Return the datasets of a study by trajectory id, each opened once."""
    opened: dict[tuple[Path, str], Opened] = {}
    found: dict[str, Opened] = {}
    for run in study.runs:
        for trajectory in run.trajectories:
            if trajectory.config is not None and trajectory.id not in found:
                ground = run.ground(trajectory)
                key = ground.dataset, ground.dataset_fingerprint
                if key not in opened:
                    opened[key] = _open(run, trajectory)
                found[trajectory.id] = opened[key]
    return found


def open_dataset(run: RunFolder, trajectory: TrajectoryFolder) -> Dataset:
    """Open the dataset that a trajectory of a run was made on.

    Raises:
        DatasetError: It is gone, or has changed; says how the run is told where it lies.
    """
    ground = run.ground(trajectory)
    return open_recorded(ground.dataset, ground.dataset_fingerprint, run.path, ground.key)


def _open(run: RunFolder, trajectory: TrajectoryFolder) -> Opened:
    try:
        dataset = open_dataset(run, trajectory)
    except DatasetError as error:
        return Opened(f"not available any more ({error})", None)
    parts = f"{len(dataset.pool)} pool, {len(dataset.validation)} validation"
    tests = f", {len(dataset.test)} test" if dataset.test else ""
    spacing = TIMES.join(f"{value:g}" for value in dataset.manifest.spacing)
    text = (
        f"{dataset.name}: {parts}{tests} cases; classes {', '.join(dataset.classes[1:])}; spacing "
        f"{spacing} mm (z, y, x); fingerprint, split included, {dataset.fingerprint[:12]}"
    )
    return Opened(text, DatasetVolumes(dataset), _notice(dataset))


def _notice(dataset: Dataset) -> str | None:
    if not dataset.validation:
        return (
            f"Warning: no case of {dataset.name} validates, so that there is no Dice. How far the "
            "members of an ensemble agree says how sure they are, not how right."
        )
    names = dataset.unreferenced("validation")
    if not names:
        return None
    return (
        f"Warning: no validation case of {dataset.name} has a voxel of {', '.join(names)}. Mean "
        "Dice is over the other classes, whatever is predicted of what it leaves out."
    )
