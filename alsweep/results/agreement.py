"""Whether settings rank strategies alike."""

from collections.abc import Collection, Sequence
from itertools import combinations

import numpy as np
import pandas as pd

from alsweep.results.cube import DONE, Floats, select
from alsweep.results.ranks import taus
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
    means = _means(rows, metric, statuses)
    names = sorted(map(str, rows["setting"].unique()))
    every = pd.DataFrame(means).reindex(columns=names).to_numpy(dtype=np.float64)
    if common_budgets:
        found = _at_common_budgets(rows, names, metric, statuses)
    else:
        found = np.array([taus(one, every) for one in every.T]).reshape(len(names), len(names))
    np.fill_diagonal(found, 1)
    return pd.DataFrame(found, names, names)


def _at_common_budgets(
    rows: pd.DataFrame, names: Sequence[str], metric: Measure, statuses: Collection[str]
) -> Floats:
    """Taus of all pairs, each pair's at its own budgets."""
    groups = {str(name): group for name, group in rows.groupby("setting", sort=True)}
    budgets = {name: frozenset(group["annotated_patches"]) for name, group in groups.items()}
    means: dict[tuple[str, frozenset[int]], pd.Series[float]] = {}
    found = np.full((len(names), len(names)), np.nan)
    for one, other in combinations(range(len(names)), 2):
        shared = budgets[names[one]] & budgets[names[other]]
        for name in (names[one], names[other]):
            if (name, shared) not in means:
                kept = groups[name][groups[name]["annotated_patches"].isin(list(shared))]
                found_means = _means(kept, metric, statuses)
                means[name, shared] = found_means.get(name, pd.Series(dtype=np.float64))
        both = pd.DataFrame([means[names[one], shared], means[names[other], shared]])
        values = both.to_numpy(dtype=np.float64)
        found[one, other] = found[other, one] = taus(values[0], values[1:].T)[0]
    return found


def _means(
    rows: pd.DataFrame, metric: Measure, statuses: Collection[str]
) -> dict[str, "pd.Series[float]"]:
    """Setting to the strategies' means, those left out that lack too many seeds."""
    return {
        setting: comparable(values)[0].mean(axis="columns").round(12)
        for setting, values in setting_scores(rows, metric, statuses).items()
    }
