"""The noise floor: how far Dice differs when nothing but the draws of training do."""

from collections.abc import Iterable
from pathlib import Path
from typing import Literal

import numpy as np
import pandas as pd

from alsweep.config.base import Frozen
from alsweep.files import write_json
from alsweep.layout import noise_folder, noise_path
from alsweep.results.loops import read_model

_MEND = "delete it and call 'alsweep noise' again"
_COLUMNS = ["setting", "start", "seed", "repeat", "iterations", "members", "mean_dice", "seconds"]


class NoiseRecord(Frozen):
    """One training of loop 0 among several on the same labels.

    Attributes:
        start: Hash of all that the trainings share: dataset, labels, recipe.
        repeat: 0 is the training that the trajectories themselves have.
        setting: As in the tidy table.
        dataset: Name of the Dataset.
        seed: Of the trajectories; it draws the labels, and the networks of repeat 0.
        iterations: Steps of a member's training.
        members: Networks of the ensemble.
        mean_dice: Mean over foreground classes on the validation cases; None where undefined.
        dice: Foreground class name to its mean; None where undefined.
        train_seconds: Of all members.
        version: Of the alsweep that made it.
        numerics: See :class:`~alsweep.results.loops.LoopRecord`.
    """

    schema_version: Literal[1] = 1
    start: str
    repeat: int
    setting: str
    dataset: str
    seed: int
    iterations: int
    members: int
    mean_dice: float | None
    dice: dict[str, float | None]
    train_seconds: float
    threads: int
    device: str
    precision: str
    version: str
    numerics: int

    def write(self, run: Path) -> Path:
        """Write the record into a run folder, atomically; returns its path."""
        path = noise_path(run, self.start, self.repeat)
        write_json(path, self.plain())
        return path


def noise_trainings(runs: Iterable[Path]) -> pd.DataFrame:
    """Return the trainings that 'alsweep noise' left in run folders, each once.

    Returns:
        One row a training: ``setting``, ``start``, ``seed``, ``repeat``, ``iterations`` of a
        member, ``members``, ``mean_dice`` (0..1, NaN where undefined), ``seconds`` of training.

    Raises:
        RecordError: A record is broken.
    """
    found: dict[tuple[str, int], tuple[object, ...]] = {}
    for run in runs:
        for path in sorted(noise_folder(run).glob("*.json")):
            one = read_model(NoiseRecord, path, _MEND)
            dice = np.nan if one.mean_dice is None else one.mean_dice
            row = (one.setting, one.start, one.seed, one.repeat, one.iterations, one.members, dice)
            found.setdefault((one.start, one.repeat), (*row, one.train_seconds))
    return pd.DataFrame(list(found.values()), columns=_COLUMNS)


def noise_floor(trainings: pd.DataFrame) -> pd.DataFrame:
    """Deviation of Dice between trainings on the same labels, by setting and training length.

    Args:
        trainings: From :func:`noise_trainings`.

    Returns:
        One row a (setting, iterations, members), sorted: ``starts`` with two trainings or more,
        ``trainings`` of these, ``mean_dice``, and ``deviation``: the root of the variance within
        starts, pooled by their degrees of freedom. A difference between two strategies of which
        each was trained once has √2 times that deviation from this noise alone.
    """
    known = trainings.dropna(subset=["mean_dice"])
    keys = ["setting", "iterations", "members"]
    each = known.groupby([*keys, "start"])["mean_dice"].agg(["var", "count", "mean"])
    each = each[each["count"] > 1].reset_index()
    each = each.assign(freedom=each["count"] - 1)
    rows = [
        {
            **dict(zip(keys, key, strict=True)),
            "starts": len(own),
            "trainings": int(own["count"].sum()),
            "mean_dice": float(np.average(own["mean"], weights=own["count"])),
            "deviation": float(np.sqrt(np.average(own["var"], weights=own["freedom"]))),
        }
        for key, own in each.groupby(keys, sort=True)
    ]
    return pd.DataFrame(rows, columns=[*keys, "starts", "trainings", "mean_dice", "deviation"])
