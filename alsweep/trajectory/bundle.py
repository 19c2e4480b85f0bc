"""An ensemble of a trajectory for people who have no alsweep."""

from pathlib import Path

from alsweep import __version__
from alsweep.data.case import Dataset
from alsweep.data.exchange.orientation import axis_codes
from alsweep.data.ingest.writing import new_folder, refuse_existing
from alsweep.errors import ConfigError, RunFolderError
from alsweep.layout import models_folder
from alsweep.model.bundle import BundleInfo, write_bundle
from alsweep.results.records import TrajectoryFolder
from alsweep.trajectory.stored_networks import StoredNetworks


def export_bundle(
    run: Path,
    trajectory: TrajectoryFolder,
    loop: int | None,
    out: Path,
    dataset: Dataset | None = None,
) -> Path:
    """Write the ensemble of one training as a MONAI bundle and return its folder.

    Args:
        run: Its run folder; the networks are in its store.
        trajectory: One of the run's.
        loop: Which training; None is the last that is finished.
        out: Must not exist.
        dataset: What the trajectory ran on, or None to open what its config names.

    Raises:
        ConfigError: The networks are not of the learner that bundles are made of.
        RunFolderError: The training is not finished, or its networks are not stored any more.
        DatasetError: ``out`` exists, or the dataset is gone.
    """
    refuse_existing(out)
    config, records = trajectory.config, trajectory.records
    if config is None or not records:
        raise RunFolderError(f"{trajectory.folder}: no training is finished; resume the run")
    if loop is None:
        loop = len(records) - 1
    if loop >= len(records):
        raise RunFolderError(
            f"{trajectory.folder}: training {loop} is not finished; name an earlier --loop or "
            "resume the run"
        )
    learner = config.training.learner.name
    if learner != "monai":
        raise ConfigError(
            f"--to bundle: the networks of learner '{learner}' are not MONAI's; export a "
            "trajectory that was trained with learner monai"
        )
    dataset = dataset or Dataset.open(config.dataset)
    stored = StoredNetworks(trajectory, loop + 1, dataset=dataset, models=models_folder(run))
    info = BundleInfo(
        title=f"{dataset.name}, {trajectory.id}, training {loop}",
        step=config.evaluation.step,
        axis_codes=axis_codes(dataset),
        mean_dice=records[loop].mean_dice,
        version=__version__,
    )
    with new_folder(out) as new:
        write_bundle(new, stored.networks, stored.setup, info)
    return out
