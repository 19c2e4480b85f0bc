"""Whether settings rank strategies alike."""

from collections.abc import Collection

import numpy as np
import pandas as pd

from alsweep.results.cube import DONE, select
from alsweep.results.ranks import kendall_tau
from alsweep.results.scores import Measure, comparable, setting_scores


def setting_agreement(
    table: pd.DataFrame,
    metric: Measure = "aubc",
    *,
    common_budgets: bool = False,
    statuses: Collection[str] = DONE,
) -> pd.DataFrame:
    """Whether settings rank strategies alike: Kendall's tau-b between each two of them.

    Args:
        table: The tidy table.
        metric: ``aubc`` or ``final``.
        common_budgets: Compare two settings at the numbers of annotated patches that both have, as
            where one was trained longer or queried in smaller steps on one dataset.
        statuses: Which trajectories enter.

    Returns:
        Square frame over settings, sorted: 1 where strategies come in the same order, -1 where it
        is reversed; over the strategies that both have, each setting by the seeds that all compared
        there share. NaN where fewer than two are common, where one ranking is all ties, and where
        no budgets are common. 1 on the diagonal.

    Raises:
        RecordError: A column is missing, a loop is there twice, or the metric is unknown.
    """
    rows = select(table, ("mean_dice", "annotated_patches"), statuses)
    budgets = {
        str(setting): frozenset(group["annotated_patches"])
        for setting, group in rows.groupby("setting", sort=True)
    }
    means: dict[tuple[str, frozenset[int]], pd.Series[float]] = {}
    if not common_budgets:
        means = {(s, budgets[s]): m for s, m in _means(rows, metric, statuses).items()}
    names = list(budgets)
    frame = pd.DataFrame(np.eye(len(names)), names, names)
    for place, one in enumerate(names):
        for other in names[place + 1 :]:
            shared = budgets[one] & budgets[other]
            kept = (shared, shared) if common_budgets else (budgets[one], budgets[other])
            keys = [(one, kept[0]), (other, kept[1])]
            for key in keys:
                if key not in means:
                    means[key] = _mean_at(rows, key, metric, statuses)
            tau = kendall_tau(means[keys[0]], means[keys[1]])
            frame.loc[one, other] = frame.loc[other, one] = tau
    return frame


def _means(
    rows: pd.DataFrame, metric: Measure, statuses: Collection[str]
) -> dict[str, "pd.Series[float]"]:
    """Setting to the strategies' means, those left out that lack too many seeds."""
    return {
        setting: comparable(values)[0].mean(axis="columns").round(12)
        for setting, values in setting_scores(rows, metric, statuses).items()
    }


def _mean_at(
    rows: pd.DataFrame,
    key: tuple[str, frozenset[int]],
    metric: Measure,
    statuses: Collection[str],
) -> "pd.Series[float]":
    setting, budgets = key
    kept = rows[(rows["setting"] == setting) & rows["annotated_patches"].isin(list(budgets))]
    return _means(kept, metric, statuses).get(setting, pd.Series(dtype=np.float64))
