"""Which strategies come first over settings, and how sure that is."""

from collections.abc import Collection, Mapping
from typing import Literal

import numpy as np
import pandas as pd
from scipy.stats import kendalltau

from alsweep.errors import RecordError
from alsweep.results.cube import DONE, select
from alsweep.results.metrics import (
    RATE_COLUMNS,
    aubc,
    ceiling_of,
    final,
    seed_weights,
    setting_rates,
)

Metric = Literal["aubc", "final", "fg_eff"]


def ranking(
    table: pd.DataFrame,
    metric: Metric = "aubc",
    *,
    full_dice: float | Mapping[str, float] | None = None,
    statuses: Collection[str] = DONE,
) -> pd.DataFrame:
    """Mean rank of each strategy over settings, with a bootstrap interval over seeds.

    Within a setting strategies are ranked by their mean over the seeds that all of them have (1 is
    best, ties share the smallest rank); a setting without a common seed is left out. A bootstrap
    draws seeds with replacement in each setting, the same for all strategies: they are paired.

    Args:
        table: The tidy table.
        metric: ``aubc``, ``final`` or ``fg_eff``; higher is better.
        full_dice: For ``fg_eff``, see :func:`alsweep.results.fg_efficiency`.
        statuses: Which trajectories enter.

    Returns:
        Index strategy, best first; ``mean_rank``, ``low`` and ``high`` (95 %; NaN where a setting
        has one seed only), and ``settings``: in how many it is ranked.

    Raises:
        RecordError: A column is missing, the metric is unknown, or ``full_dice`` is needed.
    """
    if metric not in ("aubc", "final", "fg_eff"):
        raise RecordError(f"metric: expected 'aubc', 'final' or 'fg_eff', got {metric!r}")
    if metric == "fg_eff" and full_dice is None:
        raise RecordError("ranking by fg_eff needs full_dice, the Dice of the fully annotated pool")
    rows = select(table, (*RATE_COLUMNS, "annotated_patches"), statuses)
    scores = [
        found
        for setting, group in rows.groupby("setting", sort=True)
        if not (found := _setting_scores(group, str(setting), metric, full_dice)).empty
    ]
    return _summary([_ranks(frame) for frame in scores])


def _setting_scores(
    rows: pd.DataFrame, setting: str, metric: Metric, full_dice: float | Mapping[str, float] | None
) -> pd.DataFrame:
    """Scores over the common seeds, index strategy; column 0 as they are, the others resampled."""
    if metric == "fg_eff" and full_dice is not None:
        common = _pivot(rows.drop_duplicates(["strategy", "seed"]), "loop").columns
        fits = setting_rates(rows[rows["seed"].isin(common)], ceiling_of(setting, full_dice))
        return pd.DataFrame({fit.strategy: [fit.rate, *fit.draws] for fit in fits}).T
    measure = aubc if metric == "aubc" else final
    scores = _pivot(measure(rows, statuses=rows["status"].unique()), metric)
    if scores.empty:
        return scores
    weights = np.vstack([np.ones(scores.shape[1]), seed_weights(scores.shape[1])])
    weights /= weights.sum(axis=1, keepdims=True)
    # einsum adds up in one fixed order, so that equal scores stay equal and share their rank.
    return pd.DataFrame(np.einsum("as,ds->ad", scores.to_numpy(), weights), index=scores.index)


def _pivot(scores: pd.DataFrame, column: str) -> pd.DataFrame:
    """Strategies by the seeds for which all of them have a value."""
    return scores.pivot(index="strategy", columns="seed", values=column).dropna(axis="columns")


def _ranks(scores: pd.DataFrame) -> pd.DataFrame:
    """Rank in each column, 1 for the highest score; ties share the smallest rank."""
    values = scores.to_numpy()
    better = (values[None, :, :] > values[:, None, :]).sum(axis=1)
    return pd.DataFrame(np.where(np.isnan(values), np.nan, better + 1.0), index=scores.index)


def _summary(ranks: list[pd.DataFrame]) -> pd.DataFrame:
    """Mean over settings, and percentiles of that mean over the draws."""
    strategies = sorted({strategy for frame in ranks for strategy in frame.index})
    draws = min((frame.shape[1] for frame in ranks), default=1)
    every = np.array([f.iloc[:, :draws].reindex(strategies).to_numpy() for f in ranks])
    settings = np.isfinite(every.reshape(len(ranks), len(strategies), draws)).sum(axis=0)
    total = np.nansum(every.reshape(len(ranks), len(strategies), draws), axis=0)
    mean = np.divide(total, settings, out=np.full(total.shape, np.nan), where=settings > 0)
    unknown = np.full(len(strategies), np.nan)
    low, high = np.nanpercentile(mean[:, 1:], [2.5, 97.5], axis=1) if draws > 1 else (unknown,) * 2
    frame = pd.DataFrame(
        {"mean_rank": mean[:, 0], "low": low, "high": high, "settings": settings[:, 0]},
        index=pd.Index(strategies, name="strategy", dtype="str"),
    )
    return frame.sort_values("mean_rank", kind="stable")


def kendall_tau(one: pd.Series, other: pd.Series) -> float:
    """Return Kendall's tau-b of two rankings over the strategies that both have; 1 = same order.

    NaN where fewer than two strategies are common or one ranking is all ties.
    """
    common = one.index.intersection(other.index)
    if len(common) < 2:
        return float("nan")
    return float(kendalltau(one[common], other[common]).statistic)


def rank_stability(
    table: pd.DataFrame, metric: Metric = "aubc", *, statuses: Collection[str] = DONE
) -> pd.DataFrame:
    """How much the ranking hangs on single seeds: leave each out and compare with the full one.

    Args:
        table: The tidy table.
        metric: ``aubc`` or ``final``.
        statuses: Which trajectories enter.

    Returns:
        One row a seed left out: ``seed`` and ``tau``, Kendall's tau-b with the full ranking
        (1 = same order). Empty for fewer than two seeds.
    """
    full = ranking(table, metric, statuses=statuses)["mean_rank"]
    seeds = sorted(table.loc[table["status"].isin(list(statuses)), "seed"].unique())
    taus = [
        kendall_tau(
            full, ranking(table[table["seed"] != s], metric, statuses=statuses)["mean_rank"]
        )
        for s in (seeds if len(seeds) > 1 else [])
    ]
    return pd.DataFrame({"seed": seeds[: len(taus)], "tau": taus})
