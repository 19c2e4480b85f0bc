"""What a search makes of a block: one configuration, run on all seeds in every setting."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

from alsweep.config.search import Objective
from alsweep.results.metrics import aubc, fg_efficiency, final

_TIMES = ("train_seconds", "evaluate_seconds", "query_seconds")
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
    # Two trajectories of one strategy may bear two labels, where one of them is a grid's.
    rows = block.assign(strategy=_ALL)
    if objective == "fg_eff":
        return _efficiency(rows, full_dice or {})
    if objective == "aubc":
        return _over_seeds(aubc(rows), "aubc")
    if objective == "final_dice":
        return _over_seeds(final(rows), "final")
    if objective == "foreground_voxels":
        return _cost(final(rows, "foreground_voxels"), "final")
    hours = sum(rows[name] for name in _TIMES) * gpus / 3600
    spent = rows.assign(cost=rows["train_seconds"] if objective == "train_seconds" else hours)
    summed = spent.groupby(["setting", "seed"])["cost"].sum()
    return _cost(summed.reset_index(), "cost")


def _over_seeds(curves: pd.DataFrame, column: str) -> Measured:
    """Mean over settings first, so that seeds are what the error is over."""
    values = curves.pivot(index="seed", columns="setting", values=column).to_numpy(dtype=float)
    of_seeds = values.mean(axis=1)
    n = len(of_seeds)
    error = float(of_seeds.std(ddof=1) / np.sqrt(n)) if n > 1 else float("nan")
    return Measured(float(of_seeds.mean()), error)


def _cost(spent: pd.DataFrame, column: str) -> Measured:
    found = _over_seeds(spent, column)
    return Measured(found.value, found.standard_error, float(spent[column].sum()))


def _efficiency(rows: pd.DataFrame, full_dice: Mapping[str, float]) -> Measured:
    """A fit over all seeds, and its error; the mean of both over settings."""
    fits = fg_efficiency(rows, full_dice)
    errors = fits["standard_error"].to_numpy(dtype=float)
    value = float(fits["fg_eff"].mean(skipna=False))
    error = float(np.sqrt(np.sum(errors**2)) / len(errors))
    return Measured(value if np.isfinite(value) else float("nan"), error)
