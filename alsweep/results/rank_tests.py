"""Ranks over settings: the Friedman test, Nemenyi's critical difference, and who differs by it."""

import math
from collections.abc import Collection, Sequence

import numpy as np
import pandas as pd
from scipy.stats import chi2, f, friedmanchisquare, rankdata, studentized_range

from alsweep.results.cube import DONE, Floats
from alsweep.results.scores import Measure, blocks

LEAST_SETTINGS = 2
"""Of fewer, no test over settings says anything."""


def friedman(
    table: pd.DataFrame,
    metric: Measure = "aubc",
    alpha: float = 0.05,
    *,
    statuses: Collection[str] = DONE,
) -> pd.DataFrame:
    """Test whether any strategy ranks unlike the others over settings.

    Args:
        table: The tidy table.
        metric: ``aubc`` or ``final``; higher is better.
        alpha: Level of the critical difference.
        statuses: Which trajectories enter.

    Returns:
        One row: ``settings``, ``strategies``; ``chi2`` and ``p``, Friedman's with ties corrected;
        ``f`` and ``f_p``, Iman and Davenport's, which is less conservative (``f`` is infinite where
        all settings agree, and ``f_p`` never below the probability that chance makes them
        agree); ``critical_difference``, Nemenyi's, of mean ranks. NaN for fewer than two
        settings, and the tests also for fewer than three strategies. ``attrs`` holds ``settings``
        and what is left out, so that every strategy has a score in every setting.

    Raises:
        RecordError: A column is missing, a loop is there twice, or the metric is unknown.

    Source: Demsar 2006, JMLR 7, section 3.2.2.
    """
    found = blocks(table, metric, statuses)
    settings, strategies = found.scores.shape
    statistic, p = _friedman(found.scores.to_numpy())
    f_value, f_p = _iman_davenport(statistic, found.scores.to_numpy())
    row = {
        "settings": settings,
        "strategies": strategies,
        "chi2": statistic,
        "p": p,
        "f": f_value,
        "f_p": f_p,
        "critical_difference": critical_difference(strategies, settings, alpha),
    }
    frame = pd.DataFrame([row])
    frame.attrs = found.attrs
    return frame


def _friedman(scores: Floats) -> tuple[float, float]:
    settings, strategies = scores.shape
    if settings < LEAST_SETTINGS or strategies < 3 or (scores == scores[:, :1]).all():
        return math.nan, math.nan
    statistic = float(friedmanchisquare(*scores.T).statistic)
    return statistic, float(chi2.sf(statistic, strategies - 1))


def _iman_davenport(statistic: float, scores: Floats) -> tuple[float, float]:
    if math.isnan(statistic):
        return math.nan, math.nan
    settings, strategies = scores.shape
    left = settings * (strategies - 1) - statistic
    value = (settings - 1) * statistic / left if left > 1e-9 else math.inf
    free = strategies - 1
    p = float(f.sf(value, free, free * (settings - 1)))
    return value, max(p, _chance_of_agreement(scores))


def _chance_of_agreement(scores: Floats) -> float:
    """Probability that all settings rank alike, were there no differences: exact, with ties.

    The first setting may rank as it likes, each other one must follow.
    """
    return math.exp(-sum(_log_orders(setting) for setting in scores[1:]))


def _log_orders(scores: Floats) -> float:
    """Logarithm of the number of orders of a setting's scores; ties are in one order only."""
    _, ties = np.unique(scores, return_counts=True)
    return math.lgamma(len(scores) + 1) - sum(math.lgamma(n + 1) for n in ties)


def critical_difference(strategies: int, settings: int, alpha: float = 0.05) -> float:
    """Return by how much mean ranks must differ to be significant, over all pairs together.

    NaN for fewer than two strategies or settings.

    Source: Demsar 2006, equation of the Nemenyi test.
    """
    if strategies < 2 or settings < LEAST_SETTINGS:
        return math.nan
    quantile = float(studentized_range.ppf(1 - alpha, strategies, np.inf)) / math.sqrt(2)
    return quantile * rank_error(strategies, settings)


def rank_error(strategies: int, settings: int) -> float:
    """Standard error of a difference of two mean ranks, were there no differences."""
    return math.sqrt(strategies * (strategies + 1) / (6 * settings))


def average_ranks(scores: pd.DataFrame) -> "pd.Series[float]":
    """Mean over settings of each strategy's rank: 1 is the highest score, ties share their mean.

    Args:
        scores: Settings by strategies.
    """
    if scores.empty:
        return pd.Series(np.nan, scores.columns)
    return pd.Series(rankdata(-scores.to_numpy(), axis=1).mean(axis=0), scores.columns)


def nemenyi(
    table: pd.DataFrame, metric: Measure = "aubc", *, statuses: Collection[str] = DONE
) -> pd.DataFrame:
    """Compare all pairs of strategies by their mean ranks over settings.

    Args:
        table: The tidy table.
        metric: ``aubc`` or ``final``.
        statuses: Which trajectories enter.

    Returns:
        Square frame over strategies, sorted: p-values, held over all pairs together; 1 on the
        diagonal, NaN for fewer than two settings. ``attrs`` as in :func:`friedman`.

    Source: Nemenyi 1963, as in Demsar 2006.
    """
    found = blocks(table, metric, statuses)
    names = list(found.scores.columns)
    ranks = np.asarray(average_ranks(found.scores), dtype=np.float64)
    frame = pd.DataFrame(_pairwise(ranks, len(found.scores)), names, names)
    frame.attrs = found.attrs
    return frame


def _pairwise(ranks: Floats, settings: int) -> Floats:
    if settings < LEAST_SETTINGS or len(ranks) < 2:
        return np.full((len(ranks), len(ranks)), np.nan)
    q = np.abs(ranks[:, None] - ranks) / rank_error(len(ranks), settings) * math.sqrt(2)
    # Many pairs have the same difference of ranks, and one distribution takes its time.
    values, place = np.unique(q.round(12), return_inverse=True)
    p: Floats = studentized_range.sf(values, len(ranks), np.inf)[place].reshape(q.shape)
    return p


def rank_groups(
    table: pd.DataFrame,
    metric: Measure = "aubc",
    alpha: float = 0.05,
    *,
    statuses: Collection[str] = DONE,
) -> pd.DataFrame:
    """Mean ranks over settings, and which strategies are not significantly apart.

    What a critical-difference diagram shows: two strategies that share a letter have mean ranks
    within Nemenyi's critical difference.

    Args:
        table: The tidy table.
        metric: ``aubc`` or ``final``.
        alpha: Level, held over all pairs together.
        statuses: Which trajectories enter.

    Returns:
        Index strategy, best first; ``mean_rank`` (ties share their mean) and ``letters``, empty for
        who differs from everybody or where there are fewer than two settings. ``attrs`` as in
        :func:`friedman`, and ``critical_difference``.
    """
    found = blocks(table, metric, statuses)
    ranks = average_ranks(found.scores).sort_values(kind="stable")
    needed = critical_difference(len(ranks), len(found.scores), alpha)
    frame = pd.DataFrame(
        {"mean_rank": ranks, "letters": _letters(np.asarray(ranks, dtype=np.float64), needed)}
    )
    frame.index = pd.Index(ranks.index, name="strategy", dtype="str")
    frame.attrs = {**found.attrs, "critical_difference": needed}
    return frame


def _letters(ranks: Floats, needed: float) -> list[str]:
    texts = [""] * len(ranks)
    for letter, (first, last) in zip(_names(len(ranks)), bars(ranks, needed), strict=False):
        for place in range(first, last + 1):
            texts[place] += letter
    return texts


def _names(number: int) -> list[str]:
    alphabet = "abcdefghijklmnopqrstuvwxyz"
    return [alphabet[i] if i < 26 else f"({i})" for i in range(number)]


def bars(ranks: Sequence[float] | Floats, needed: float) -> list[tuple[int, int]]:
    """Return the longest runs of at least two ascending ranks that lie within ``needed``.

    Returns:
        First and last place of each, ascending; none where ``needed`` is NaN.
    """
    runs: list[tuple[int, int]] = []
    for first, rank in enumerate(ranks):
        last = max((i for i, other in enumerate(ranks) if other - rank < needed), default=first)
        if last > first and not (runs and runs[-1][1] >= last):
            runs.append((first, last))
    return runs
