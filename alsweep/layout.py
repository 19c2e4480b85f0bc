"""Where everything of a run folder lies: the one place that spells the names in it.

``run`` is a run folder, ``folder`` a trajectory's, which also stands alone, without a run.
"""

from pathlib import Path, PurePath

SPACE = "sweep.yaml"
LOCK = ".alsweep.lock"
MIRROR = ".alsweep.mirror"
DATASET = "dataset"
PLUGINS = "plugins"
RESULTS = "results.parquet"
QUERY_PICTURES, TRIED_PICTURES = "queries", "try"
"""Folders in a report that the report itself does not write."""
REPORT_FILES = "files.json"
"""In a report: what it wrote beside this, by the hash of the content."""


def space_path(run: Path) -> Path:
    """The resolved sweep; its presence makes a folder a run."""
    return run / SPACE


def decisions_path(run: Path) -> Path:
    """What was decided while the sweep ran."""
    return run / "decisions.jsonl"


def mishaps_folder(run: Path) -> Path:
    """What was lost or raised an error while the sweep ran: a file for each that saw some."""
    return run / "mishaps"


def mishaps_path(run: Path, writer: str) -> Path:
    """What one of them saw."""
    return mishaps_folder(run) / f"{writer}.jsonl"


def old_mishaps_path(run: Path) -> Path:
    """What all of them saw, in runs of the time when they had one file."""
    return run / "mishaps.jsonl"


def journal_path(run: Path) -> Path:
    """What a search was told, in Optuna's words."""
    return run / "search" / "journal.log"


def best_path(run: Path) -> Path:
    """The best configuration that a search has found, as a search space."""
    return run / "search" / "best.yaml"


def lock_path(run: Path) -> Path:
    """Held by the driver at work."""
    return run / LOCK


def dataset_folder(run: Path) -> Path:
    """Where a Dataset lies that moves with the run."""
    return run / DATASET


def plugins_folder(run: Path) -> Path:
    """Copies of the files that strategies of the user's own are from."""
    return run / PLUGINS


def trajectories_folder(run: Path) -> Path:
    """Where the trajectories of a run lie."""
    return run / "trajectories"


def trajectory_folder(run: Path, id_: str) -> Path:
    """Where a trajectory of a run lies."""
    return trajectories_folder(run) / id_


def models_folder(run: Path) -> Path:
    """Members and evaluations; a trajectory that stands alone has its own."""
    return run / "models"


def probe_path(run: Path, token: str) -> Path:
    """An empty file by which nodes see whether a run folder is the same for all of them."""
    return run / f".probe-{token}"


def claims_folder(run: Path) -> Path:
    """Who works on what, where several workers share a run without a driver."""
    return run / ".claims"


def claim_path(run: Path, name: str, number: int) -> Path:
    """The claim of that number on a trajectory, or on what several share."""
    return claims_folder(run) / name / f"{number:06d}.json"


def starts_folder(run: Path) -> Path:
    """Where workers that prepare starts or references leave signs of life."""
    return run / ".starts"


def reference_path(run: Path, key: str) -> Path:
    """The record of a full-data reference."""
    return run / "fulldata" / f"{key}.json"


def noise_folder(run: Path) -> Path:
    """Loop 0 trained again and again on the same labels."""
    return run / "noise"


def noise_path(run: Path, start: str, repeat: int) -> Path:
    """The record of one such training."""
    return noise_folder(run) / f"{start}-{repeat:02d}.json"


def results_path(run: Path) -> Path:
    """The tidy table."""
    return run / RESULTS


def costs_path(run: Path, id_: str) -> Path:
    """What the queries of a trajectory cost a person, by models that have to see the labels."""
    return run / "costs" / f"{id_}.json"


def report_folder(run: Path) -> Path:
    """Page, tables and plots."""
    return run / "report"


def report_page(report: Path) -> Path:
    """The page of a report."""
    return report / "index.html"


def query_pictures(run: Path, id_: str, loop: int) -> Path:
    """Pictures of one query of a trajectory."""
    return report_folder(run) / QUERY_PICTURES / id_ / f"loop_{loop:03d}"


def annotations_folder(run: Path) -> Path:
    """All that people painted, one folder a patch; nothing in it is ever changed."""
    return run / "annotations"


def tasks_folder(run: Path, loop: int, id_: str | None = None) -> Path:
    """What people get to label before training ``loop``.

    Args:
        run: The run folder.
        loop: The training.
        id_: Of the trajectory, in a run that has several.
    """
    place = run / "tasks" if id_ is None else run / "tasks" / id_
    return place / f"loop_{loop:03d}"


def task_table(tasks: Path) -> Path:
    """The patches of a folder of tasks, and how far they are."""
    return tasks / "tasks.csv"


def task_overview(tasks: Path) -> Path:
    """One picture of all patches of a folder of tasks."""
    return tasks / "overview.png"


def task_explanation(tasks: Path) -> Path:
    """Why each patch of a folder of tasks was chosen."""
    return tasks / "explained.json"


def tried_pictures(run: Path, id_: str, loop: int) -> Path:
    """Pictures of what other strategies would have queried."""
    return report_folder(run) / TRIED_PICTURES / id_ / f"loop_{loop:03d}"


def wandb_folder(run: Path) -> Path:
    """The files of W&B, which names the folder itself."""
    return run / "wandb"


def tensorboard_folder(run: Path) -> Path:
    """Event files for TensorBoard, a folder a trajectory, where that sink is asked for."""
    return run / "tensorboard"


def log_path(folder: Path) -> Path:
    """What workers said: a trajectory's, or in the run's folder those of what many share."""
    return folder / "log.txt"


def config_path(folder: Path) -> Path:
    """The resolved config of a trajectory."""
    return folder / "config.json"


def query_path(folder: Path, loop: int) -> Path:
    """The patches annotated just before training ``loop``."""
    return folder / "queries" / f"loop_{loop:03d}.json"


def pending_path(folder: Path, loop: int) -> Path:
    """Patches whose labels are awaited, for training ``loop``."""
    return folder / "pending" / f"loop_{loop:03d}.json"


def wanted_path(folder: Path, loop: int) -> Path:
    """How many patches people asked for, for training ``loop``; absent where the config says it."""
    return folder / "wanted" / f"loop_{loop:03d}.json"


def skipped_path(folder: Path) -> Path:
    """Patches that cannot be labelled, and why."""
    return folder / "skipped.json"


def record_path(folder: Path, loop: int) -> Path:
    """The record of ``loop``."""
    return folder / "records" / f"loop_{loop:03d}.json"


def labels_folder(folder: Path) -> Path:
    """The view of the labels for people and tools."""
    return folder / "labels.zarr"


def crops_folder(folder: Path) -> Path:
    """Labels that a person gave, one file a patch."""
    return folder / "crops"


def error_path(folder: Path) -> Path:
    """Why a trajectory cannot go on; absent where it can."""
    return folder / "error.json"


def progress_path(folder: Path) -> Path:
    """A worker's last sign of life."""
    return folder / "progress.json"


def worker_lock_path(folder: Path) -> Path:
    """Held by the worker of a trajectory."""
    return folder / ".worker.lock"


def weights_path(entry: Path) -> Path:
    """The weights of a member, in its entry of the model store."""
    return entry / "weights.pt"


def meta_path(entry: Path) -> Path:
    """What is stored beside them, or an evaluation."""
    return entry / "meta.json"


def training_folder(models: Path) -> Path:
    """States of unfinished trainings, in a model store."""
    return models / ".training"


_OF_RUN = {
    SPACE,
    RESULTS,
    *(of(Path()).name for of in (decisions_path, old_mishaps_path, log_path)),
}
_FOLDERS_OF_RUN = {PLUGINS, "annotations", "costs", "fulldata", "mishaps", "noise", "search"}
_OF_TRAJECTORY = {"config.json", "error.json", "log.txt", "progress.json", "skipped.json"}
_FOLDERS_OF_TRAJECTORY = {"queries", "records", "pending", "wanted", "crops"}


def mirror_mark(run: Path) -> Path:
    """Says that a run folder mirrors one in an object store, and which."""
    return run / MIRROR


def is_told(path: PurePath) -> bool:
    """Whether a file is one of the small ones in which a run says what it is and what happened.

    Networks, pictures and views are none, nor is what is of one machine: locks, W&B's files.

    Args:
        path: In the run folder.
    """
    parts = path.parts
    if any(part.startswith(".") for part in parts) or path.suffix == ".lock":
        return False
    if len(parts) == 1:
        return parts[0] in _OF_RUN
    if parts[0] in _FOLDERS_OF_RUN:
        return True
    return is_of_trajectory(path) and (
        parts[2] in _OF_TRAJECTORY
        if len(parts) == 3
        else len(parts) > 3 and parts[2] in _FOLDERS_OF_TRAJECTORY
    )


def is_of_trajectory(path: PurePath) -> bool:
    """Whether a file of a run is one of a trajectory's."""
    return path.parts[0] == trajectories_folder(Path()).name and len(path.parts) > 2


def is_commit(path: PurePath) -> bool:
    """Whether a file of a run is a query, which is written once and makes a loop finished."""
    return is_of_trajectory(path) and path.parts[2] == query_path(Path(), 0).parent.name


def is_view(path: PurePath) -> bool:
    """Whether a file of a run is of a trajectory's view of its labels."""
    return is_of_trajectory(path) and path.parts[2] == labels_folder(Path()).name
