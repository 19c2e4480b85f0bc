"""Full-data references: what the same recipe reaches once the whole pool is annotated."""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Literal

import numpy as np

from alsweep.config.base import Frozen, Name, fingerprint
from alsweep.config.trajectory import TrajectoryConfig
from alsweep.files import write_json
from alsweep.layout import reference_path
from alsweep.results.loops import PartScores, SurfaceScores, read_model
from alsweep.results.records import RunFolder, read_run

_MEND = "restore the file, or move it elsewhere and call 'alsweep fulldata' again"


class FullDataRecord(Frozen):
    """What one reference measured: fractions in 0..1, times in seconds.

    Attributes:
        key: See :func:`reference_key`.
        dataset: Name of the Dataset.
        mean_dice: Mean over foreground classes on the validation cases; None where undefined.
        dice: Foreground class name to its mean over validation cases; None where undefined.
        case_dice: Validation case to class name to Dice; None where a class is absent from both
            label maps.
        surface: On the validation cases, where ``evaluation.surface`` asks for it.
        test: On the test cases; None where there are none.
        members: Keys of the members in the run's models folder.
        version: Of the alsweep that made it; None where it was before records told.
        numerics: See :class:`~alsweep.results.loops.LoopRecord`.
    """

    schema_version: Literal[1] = 1
    key: str
    dataset: str
    seed: int
    mean_dice: float | None
    dice: dict[str, float | None]
    case_dice: dict[str, dict[str, float | None]]
    surface: SurfaceScores | None = None
    test: PartScores | None = None
    train_seconds: float
    evaluate_seconds: float
    threads: int
    device: str
    precision: str
    members: tuple[Name, ...]
    version: str | None = None
    numerics: int | None = None

    def write(self, run: Path) -> Path:
        """Write the record into a run folder, atomically; returns its path."""
        path = reference_path(run, self.key)
        write_json(path, self.plain())
        return path


def reference_key(config: TrajectoryConfig, dataset_fingerprint: str) -> str:
    """Hash of all that a reference follows from: dataset, training, evaluation and seed.

    Strategy, budget and queries do not enter, so that settings that differ in these alone share it.
    """
    identity = config.identity_on(dataset_fingerprint)
    shared = ("schema", "dataset", "training", "evaluation", "seed")
    return fingerprint({"kind": "full-data"} | {key: identity[key] for key in shared})[:16]


def read_reference(run: Path, key: str) -> FullDataRecord | None:
    """Return the record of a reference; None where it is not made yet.

    Raises:
        RecordError: The file is broken.
    """
    path = reference_path(run, key)
    return read_model(FullDataRecord, path, _MEND) if path.exists() else None


def read_references(runs: Iterable[RunFolder]) -> dict[str, tuple[FullDataRecord, ...]]:
    """Return the references of each setting that has any, one for each seed, seeds ascending.

    Raises:
        RecordError: A record is broken.
    """
    found: dict[str, dict[int, FullDataRecord]] = {}
    for run in runs:
        for trajectory in run.trajectories:
            if trajectory.config is None or not trajectory.records:
                continue
            print_ = run.ground(trajectory).dataset_fingerprint
            key = reference_key(trajectory.config, print_)
            record = read_reference(run.path, key)
            if record is not None:
                of_setting = found.setdefault(trajectory.records[0].setting, {})
                of_setting.setdefault(record.seed, record)
    return {s: tuple(by_seed[seed] for seed in sorted(by_seed)) for s, by_seed in found.items()}


def mean_full_dice(references: Sequence[FullDataRecord], class_name: str | None = None) -> float:
    """Mean over seeds of the mean Dice, or of one class's; NaN where undefined for all."""
    values = [r.mean_dice if class_name is None else r.dice.get(class_name) for r in references]
    defined = [value for value in values if value is not None]
    return float(np.mean(defined)) if defined else float("nan")


def full_dice(paths: Path | str | Sequence[Path | str]) -> dict[str, float]:
    """Return the mean full-data Dice of each setting of one or several runs.

    To be handed to :func:`alsweep.results.fg_efficiency`.

    Args:
        paths: Run folders; settings without a reference are left out.

    Raises:
        RunFolderError: A folder is no run folder.
        RecordError: A file in it is broken.
    """
    names = [paths] if isinstance(paths, str | Path) else paths
    references = read_references(read_run(Path(name)) for name in names)
    means = {setting: mean_full_dice(records) for setting, records in references.items()}
    return {setting: mean for setting, mean in means.items() if not np.isnan(mean)}
