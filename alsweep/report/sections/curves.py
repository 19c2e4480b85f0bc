"""Learning curves as data: what the page draws, what the PNG shows and what the CSV holds."""

from typing import Any

import numpy as np
import pandas as pd

from alsweep.report.study import Study
from alsweep.results.fulldata import mean_full_dice

BUDGETS = {
    "annotated_patches": "Annotated patches",
    "annotated_voxels": "Annotated voxels",
    "foreground_fraction": "Annotated share of the pool's foreground [%]",
}
"""Columns that a learning curve can be drawn against, and their axis titles."""

_PERCENT = ("foreground_fraction",)


def curve_table(study: Study) -> pd.DataFrame:
    """Mean and spread over seeds of every finished curve.

    Returns:
        One row a (setting, strategy, loop): the mean of each budget column; ``mean``, ``std``
        (ddof 1, NaN for one seed) and ``seeds`` of mean Dice, fractions.
    """
    grouped = study.done.groupby(["setting", "strategy", "loop"], sort=False)
    budgets = {name: (name, "mean") for name in BUDGETS}
    dice = {
        name: ("mean_dice", how)
        for name, how in (("mean", "mean"), ("std", "std"), ("seeds", "count"))
    }
    return grouped.agg(**budgets, **dice).reset_index()


def curves(study: Study) -> list[dict[str, Any]]:
    """One small multiple a setting, for the page's script.

    Returns:
        ``{"title", "full": {metric: number}, "strategies": [{..., "seeds": [{"seed", "x": {budget:
        [...]}, "y": {metric: [...]}}]}]}``; percentages, null where undefined. The script makes
        means and bands of it, so that it can switch axes and classes without a second copy of the
        data. ``full`` is empty where the setting has no full-data reference.
    """
    metrics = {"mean_dice": "Mean Dice"} | {f"dice_{c}": c for c in study.class_names}
    return [
        {
            "title": name,
            "full": _full(study, setting),
            "strategies": _strategies(study, setting, list(metrics)),
        }
        for setting, name in study.settings.items()
    ]


def full_table(study: Study) -> pd.DataFrame:
    """Full-data references: one row a (setting, seed); ``mean_dice`` and ``dice_<class>``."""
    rows = [
        {"setting": setting, "seed": record.seed, "mean_dice": record.mean_dice}
        | {f"dice_{name}": record.dice.get(name) for name in study.class_names}
        for setting, records in study.references.items()
        for record in records
    ]
    return pd.DataFrame(rows)


def _full(study: Study, setting: str) -> dict[str, float | None]:
    references = study.references.get(setting, ())
    if not references:
        return {}
    names = {f"dice_{name}": name for name in study.class_names}
    means = {key: mean_full_dice(references, name) for key, name in names.items()}
    means["mean_dice"] = mean_full_dice(references)
    return {k: None if np.isnan(mean) else round(100 * mean, 4) for k, mean in means.items()}


def _strategies(study: Study, setting: str, metrics: list[str]) -> list[dict[str, Any]]:
    rows = study.done[study.done["setting"] == setting]
    found = []
    for look in study.looks:
        mine = rows[rows["strategy"] == look.strategy]
        seeds = [
            {
                "seed": int(str(seed)),
                "x": {name: _numbers(group[name], name in _PERCENT) for name in BUDGETS},
                "y": {name: _numbers(group[name], percent=True) for name in metrics},
            }
            for seed, group in mine.groupby("seed", sort=True)
        ]
        if seeds:
            found.append({"strategy": look.strategy, "seeds": seeds})
    return found


def _numbers(column: "pd.Series[Any]", percent: bool) -> list[float | None]:
    values = column.to_numpy(dtype=np.float64) * (100 if percent else 1)
    return [None if np.isnan(value) else round(float(value), 4) for value in values]
