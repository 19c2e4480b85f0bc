"""Ranks over settings in three orders of aggregation."""

from collections.abc import Collection
from itertools import permutations

import numpy as np
import pandas as pd
from scipy.stats import wilcoxon

from alsweep.results.cube import DONE
from alsweep.results.paired import holm
from alsweep.results.rank_tests import LEAST_SETTINGS
from alsweep.results.ranks import ranks_of
from alsweep.results.scores import Measure, blocks


def rank_orders(
    table: pd.DataFrame,
    metric: Measure = "aubc",
    alpha: float = 0.05,
    *,
    statuses: Collection[str] = DONE,
) -> pd.DataFrame:
    """Rank over settings in three orders of aggregation: where they agree, the order is no matter.

    Args:
        table: The tidy table.
        metric: ``aubc`` or ``final``.
        alpha: Level of the tests, held over all of them.
        statuses: Which trajectories enter.

    Returns:
        Index strategy, sorted by ``rank_then_aggregate``; columns ``aggregate_then_rank``, by the
        mean score over settings; ``rank_then_aggregate``, by the mean rank; ``test_then_rank``, by
        ``significant``, the number of others than which a strategy is better by a one-sided
        Wilcoxon signed-rank test over settings with Holm's correction (it takes more than five
        settings for any). Ties share the smallest rank. Settings and strategies as in
        :func:`alsweep.results.friedman`.

    Source: Wiesenfarth et al. 2021 (challengeR).
    """
    found = blocks(table, metric, statuses)
    scores = found.scores
    ranks = pd.Series(
        ranks_of(scores.T).mean(axis="columns").to_numpy(dtype=np.float64), scores.columns
    )
    wins = _wilcoxon_wins(scores, alpha)
    columns = {
        "aggregate_then_rank": scores.mean(axis="index").rank(method="min", ascending=False),
        "rank_then_aggregate": ranks.round(9).rank(method="min"),
        "test_then_rank": wins.rank(method="min", ascending=False),
        "significant": wins,
    }
    frame = pd.DataFrame(columns).sort_values("rank_then_aggregate", kind="stable")
    frame.index = pd.Index(frame.index, name="strategy", dtype="str")
    frame.attrs = found.attrs
    return frame


def _wilcoxon_wins(scores: pd.DataFrame, alpha: float) -> "pd.Series[int]":
    pairs = list(permutations(scores.columns, 2))
    p = np.array([_better(scores[one] - scores[other]) for one, other in pairs])
    won = [one for (one, _), adjusted in zip(pairs, holm(p), strict=True) if adjusted < alpha]
    return pd.Series({name: won.count(name) for name in scores.columns}, dtype="int64")


def _better(differences: "pd.Series[float]") -> float:
    """One-sided p that these are above 0; 1 where all are 0."""
    if len(differences) < LEAST_SETTINGS:
        return float("nan")
    if not differences.any():
        return 1.0
    return float(wilcoxon(differences, alternative="greater").pvalue)
