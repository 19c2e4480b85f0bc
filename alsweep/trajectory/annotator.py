"""Whom a trajectory asks for labels, and all that was answered."""

from collections.abc import Sequence
from pathlib import Path

from alsweep.config.trajectory import TrajectoryConfig
from alsweep.data.annotator import Annotator, Oracle
from alsweep.data.case import Dataset
from alsweep.data.label_store import PartialLabels
from alsweep.data.labels.human import HumanLabels
from alsweep.data.labels.noisy import Errors, NoisyOracle
from alsweep.data.labels.revealing import Revealing
from alsweep.errors import ConfigError
from alsweep.geometry import Patch
from alsweep.layout import crops_folder


def make_annotator(
    config: TrajectoryConfig, dataset: Dataset, folder: Path | None = None
) -> Annotator:
    """The annotator that the config names, asked for what it wants to be told.

    Args:
        config: Of the trajectory.
        dataset: Whose patches are labelled.
        folder: Of the trajectory, where a person's labels lie; None where there is none.

    Raises:
        ConfigError: A person is asked, who has no folder to answer into.
    """
    knows, mode = _who_knows(config, dataset, folder), config.annotator.reveal
    if mode == "dense" or config.annotator.kind == "human":
        # A person marks what is asked for, and leaves out the rest.
        return knows
    return Revealing(knows, mode, len(dataset.classes))


def _who_knows(config: TrajectoryConfig, dataset: Dataset, folder: Path | None) -> Annotator:
    if config.annotator.kind == "oracle":
        return Oracle(dataset)
    if config.annotator.kind == "noisy_oracle":
        return NoisyOracle(dataset, Errors.of(config.annotator), config.seed)
    if folder is None:
        raise ConfigError(
            "base.annotator.kind: a person labels for one trajectory in its own folder; "
            "write oracle"
        )
    return HumanLabels(crops_folder(folder), len(dataset.classes))


def annotated(dataset: Dataset, annotator: Annotator, patches: Sequence[Patch]) -> PartialLabels:
    """The labels inside ``patches``, beside those of the dataset that cost nothing."""
    shapes = {case: dataset.cases[case].shape for case in dataset.pool}
    classes = len(dataset.classes)
    return PartialLabels(shapes, classes, annotator, patches, free=dataset.free)
