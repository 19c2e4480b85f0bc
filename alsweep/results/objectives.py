"""What a search makes of a block: one configuration, run on all seeds in every setting."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

from alsweep.config.search import Objective
from alsweep.results.metrics import aubc, fg_efficiency, final

_TIMES = ("train_seconds", "evaluate_seconds", "query_seconds")
_AREAS = ("aubc", "final_dice")
_ALL = "all"


@dataclass(frozen=True)
class Measured:
    """An objective of a configuration.

    Attributes:
        value: Mean over seeds; NaN where it is undefined for one of them.
        standard_error: Of that mean; NaN for a single seed.
        total: Sum over seeds and settings, of costs; else NaN.
    """

    value: float
    standard_error: float
    total: float = float("nan")


def measure(
    block: pd.DataFrame,
    objective: Objective,
    gpus: float = 0.0,
    full_dice: Mapping[str, float] | None = None,
) -> Measured:
    """Return what an objective is on a block. The test part is never read.

    Args:
        block: Rows of the tidy table, of finished trajectories of one configuration.
        objective: ``foreground_voxels`` counts at the last loop; ``train_seconds`` and
            ``gpu_hours`` sum over loops, the latter also evaluation and query.
        gpus: That a worker has.
        full_dice: Dice of the fully annotated pool for each setting; of ``fg_eff`` alone.

    Raises:
        RecordError: A column is missing, or ``full_dice`` lacks a setting.
    """
    if objective == "fg_eff":
        return _efficiency(block.assign(strategy=_ALL), full_dice or {})
    each = _each(block, objective, gpus)
    values = _over_settings(each)
    n = len(values)
    error = float(values.std(ddof=1) / np.sqrt(n)) if n > 1 else float("nan")
    total = float("nan") if objective in _AREAS else float(each.sum())
    return Measured(float(values.mean(skipna=False)), error, total)


def of_seeds(block: pd.DataFrame, objective: Objective, gpus: float = 0.0) -> dict[int, float]:
    """Return what an objective is for each seed: its mean over settings. See :func:`measure`.

    Raises:
        RecordError: A column is missing.
    """
    return {int(str(seed)): v for seed, v in _over_settings(_each(block, objective, gpus)).items()}


def _each(block: pd.DataFrame, objective: Objective, gpus: float) -> "pd.Series[float]":
    """One value a setting and seed."""
    # Two trajectories of one strategy may bear two labels, where one of them is a grid's.
    rows = block.assign(strategy=_ALL)
    keys = ["setting", "seed"]
    if objective == "aubc":
        return aubc(rows).set_index(keys)["aubc"]
    if objective == "final_dice":
        return final(rows).set_index(keys)["final"]
    if objective == "foreground_voxels":
        return final(rows, "foreground_voxels").set_index(keys)["final"]
    hours = sum(rows[name] for name in _TIMES) * gpus / 3600
    spent = rows.assign(cost=rows["train_seconds"] if objective == "train_seconds" else hours)
    return spent.groupby(keys)["cost"].sum()


def _over_settings(each: "pd.Series[float]") -> "pd.Series[float]":
    """Mean over settings first, so that seeds are what the error is over."""
    return each.astype(float).unstack("setting").mean(axis="columns", skipna=False)


def _efficiency(rows: pd.DataFrame, full_dice: Mapping[str, float]) -> Measured:
    """A fit over all seeds, and its error; the mean of both over settings."""
    fits = fg_efficiency(rows, full_dice)
    errors = fits["standard_error"].to_numpy(dtype=float)
    value = float(fits["fg_eff"].mean(skipna=False))
    error = float(np.sqrt(np.sum(errors**2)) / len(errors))
    return Measured(value if np.isfinite(value) else float("nan"), error)
