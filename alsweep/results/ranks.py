"""Which strategies come first over settings, and how sure that is."""

import math
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
import pandas as pd
from scipy.stats import kendalltau

from alsweep.errors import RecordError
from alsweep.results.cube import DONE, select
from alsweep.results.metrics import (
    DRAWS,
    RATE_COLUMNS,
    aubc,
    ceiling_of,
    final,
    seed_weights,
    setting_rates,
)

Metric = Literal["aubc", "final", "fg_eff"]


_TAIL = 0.025
"""What an interval cuts off at each end."""


@dataclass(frozen=True)
class _Scored:
    """What one setting says.

    Attributes:
        setting: Its hash.
        seeds: Those of the ranked strategies' values, common to them all.
        scores: Strategies by (1 + draws): as they are, then resampled; empty without a seed or
            where a strategy has no rival.
        alone: The strategy without a rival; None where there are several, or none.
        left_out: Strategy to the number of its seeds, where these are too few.
        of: Number of seeds in the setting.
    """

    setting: str
    seeds: tuple[int, ...]
    scores: pd.DataFrame
    left_out: dict[str, int]
    of: int
    alone: str | None = None

    def with_rivals(self) -> "_Scored":
        """The same, without scores and seeds where only one strategy has them: it beats nobody."""
        if self.scores.empty or len(self.scores) > 1:
            return self
        return replace(self, seeds=(), scores=pd.DataFrame(), alone=str(self.scores.index[0]))


def ranking(
    table: pd.DataFrame,
    metric: Metric = "aubc",
    *,
    full_dice: float | Mapping[str, float] | None = None,
    statuses: Collection[str] = DONE,
) -> pd.DataFrame:
    """Mean rank of each strategy over settings, with a bootstrap interval over seeds.

    Within a setting strategies are ranked by their mean over the seeds that all ranked ones have (1
    is best, ties share the smallest rank). A strategy that has a value for fewer than half of the
    setting's seeds, which are those of any strategy, is left out there: a single failed trajectory
    costs its seed, a strategy that has hardly begun does not cost everybody's. A setting without a
    common seed, or with one strategy alone, ranks nobody. A bootstrap draws seeds with replacement,
    in each setting for itself, the same for all of its strategies: they are paired.

    Args:
        table: The tidy table.
        metric: ``aubc``, ``final`` or ``fg_eff``; higher is better.
        full_dice: For ``fg_eff``, see :func:`alsweep.results.fg_efficiency`.
        statuses: Which trajectories enter.

    Returns:
        Index strategy, best first; ``mean_rank``, ``low`` and ``high`` (95 %), and ``settings``: in
        how many it is ranked. The interval is NaN where one of these has one seed only, and where
        all together have so few that to draw one and the same seed everywhere is no rarer than the
        2.5 % at an end (one setting of three seeds, two of two): the draws then have no tails, and
        seeds that agree by chance would look like certainty. ``attrs`` holds ``seeds``, by setting
        the common seeds (none where nobody is ranked); ``left_out``: (setting, strategy, its seeds,
        seeds of the setting); ``alone``: (setting, strategy) where it has no rival; and ``ranked``:
        by setting who is ranked there. Where these differ, mean ranks are over other rivals.

    Raises:
        RecordError: A column is missing, the metric is unknown, or ``full_dice`` is needed.
    """
    if metric not in ("aubc", "final", "fg_eff"):
        raise RecordError(f"metric: expected 'aubc', 'final' or 'fg_eff', got {metric!r}")
    if metric == "fg_eff" and full_dice is None:
        raise RecordError("ranking by fg_eff needs full_dice, the Dice of the fully annotated pool")
    rows = select(table, (*RATE_COLUMNS, "annotated_patches"), statuses)
    each = (
        _scored_rates(group, str(setting), full_dice)
        if metric == "fg_eff" and full_dice is not None
        else _scored(group, str(setting), metric)
        for setting, group in rows.groupby("setting", sort=True)
    )
    settings = [one.with_rivals() for one in each]
    frame = _summary([one for one in settings if not one.scores.empty])
    frame.attrs = {
        "seeds": {one.setting: one.seeds for one in settings},
        "left_out": [(s.setting, n, has, s.of) for s in settings for n, has in s.left_out.items()],
        "alone": [(one.setting, one.alone) for one in settings if one.alone is not None],
        "ranked": {
            s.setting: tuple(map(str, s.scores.index)) for s in settings if not s.scores.empty
        },
    }
    return frame


def _scored(rows: pd.DataFrame, setting: str, metric: str) -> _Scored:
    values = _values(rows, metric)
    common, left_out = _common(values)
    weights = np.vstack([np.ones(common.shape[1]), seed_weights(common.shape[1], setting)])
    weights /= np.maximum(weights.sum(axis=1, keepdims=True), 1)
    # einsum adds up in one fixed order, so that equal scores stay equal and share their rank.
    means = np.einsum("as,ds->ad", common.to_numpy(), weights)
    scores = pd.DataFrame(means if common.shape[1] else None, index=common.index)
    return _Scored(setting, tuple(map(int, common.columns)), scores, left_out, values.shape[1])


def _scored_rates(
    rows: pd.DataFrame, setting: str, full_dice: float | Mapping[str, float]
) -> _Scored:
    defined = rows.dropna(subset=[*RATE_COLUMNS]).drop_duplicates(["strategy", "seed"])
    values = defined.pivot(index="strategy", columns="seed", values="loop")
    common, left_out = _common(values)
    ranked = rows["seed"].isin(common.columns) & rows["strategy"].isin(common.index)
    fits = setting_rates(rows[ranked], ceiling_of(setting, full_dice)) if ranked.any() else []
    scores = pd.DataFrame({fit.strategy: [fit.rate, *fit.draws] for fit in fits}).T
    return _Scored(setting, tuple(map(int, common.columns)), scores, left_out, values.shape[1])


def _values(rows: pd.DataFrame, metric: str) -> pd.DataFrame:
    """Strategies by the seeds for which any of them has a value."""
    measure = aubc if metric == "aubc" else final
    scores = measure(rows, statuses=rows["status"].unique())
    values = scores.pivot(index="strategy", columns="seed", values=metric)
    return values.dropna(axis="columns", how="all")


def _common(values: pd.DataFrame) -> tuple[pd.DataFrame, dict[str, int]]:
    """The strategies that are ranked by the seeds that they share, and who is left out."""
    has = values.notna().sum(axis="columns")
    few = has[2 * has < values.shape[1]]
    kept = values.drop(index=few.index).dropna(axis="columns")
    return kept, {str(strategy): int(seeds) for strategy, seeds in few.items()}


def _ranks(scores: pd.DataFrame) -> pd.DataFrame:
    """Rank in each column, 1 for the highest score; ties share the smallest rank.

    Where only one has a score, nobody has a rank.
    """
    values = scores.to_numpy(dtype=float)
    better = (values[None, :, :] > values[:, None, :]).sum(axis=1)
    known = np.isfinite(values) & (np.isfinite(values).sum(axis=0) > 1)
    return pd.DataFrame(np.where(known, better + 1.0, np.nan), index=scores.index)


def _summary(settings: Sequence[_Scored]) -> pd.DataFrame:
    """Mean over settings, and percentiles of that mean over the draws."""
    strategies = sorted({strategy for one in settings for strategy in one.scores.index})
    draws = range(1 + DRAWS)
    every = np.array(
        [_ranks(s.scores).reindex(index=strategies, columns=draws).to_numpy() for s in settings]
    )
    every = every.reshape(len(settings), len(strategies), 1 + DRAWS)
    ranked = np.isfinite(every).sum(axis=0)
    mean = np.divide(
        np.nansum(every, axis=0), ranked, out=np.full(ranked.shape, np.nan), where=ranked > 0
    )
    ends = np.full((2, len(strategies)), np.nan)
    tails = [_has_tails([s for s in settings if n in s.scores.index]) for n in strategies]
    sure = np.array(tails, dtype=bool) & np.isfinite(mean[:, 0])
    if sure.any():
        cuts = [100 * _TAIL, 100 * (1 - _TAIL)]
        ends[:, sure] = np.nanpercentile(mean[sure, 1:], cuts, axis=1)
    columns = {"mean_rank": mean[:, 0], "low": ends[0], "high": ends[1], "settings": ranked[:, 0]}
    frame = pd.DataFrame(columns, index=pd.Index(strategies, name="strategy", dtype="str"))
    return frame.sort_values("mean_rank", kind="stable")


def _has_tails(settings: Iterable[_Scored]) -> bool:
    """Whether drawing a seed alone in all settings is rarer than what an interval cuts off."""
    counts = [len(one.seeds) for one in settings]
    return min(counts) > 1 and math.prod(float(n) ** -n for n in counts) < _TAIL


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
        One row a seed that the ranking uses: ``seed`` and ``tau``, Kendall's tau-b of the ranking
        without it with the full one (1 = same order). Empty for fewer than two seeds.
    """
    rows = select(table, ("mean_dice", "annotated_patches"), statuses)
    groups = [_values(group, metric) for _, group in rows.groupby("setting", sort=True)]
    common = (_common(group)[0] for group in groups)
    values = [one for one in common if len(one) > 1]  # alone, a strategy ranks nobody
    full = _mean_rank(values)
    seeds = sorted({seed for one in values for seed in one.columns})
    taus = [
        kendall_tau(full, _mean_rank([one.drop(columns=seed, errors="ignore") for one in values]))
        for seed in (seeds if len(seeds) > 1 else [])
    ]
    return pd.DataFrame({"seed": seeds[: len(taus)], "tau": taus})


def _mean_rank(values: Iterable[pd.DataFrame]) -> "pd.Series[float]":
    """Mean over settings of the rank by the mean over seeds; a setting without seeds has none."""
    scored = [one.mean(axis="columns").to_frame() for one in values if one.shape[1]]
    ranks = [_ranks(one)[0] for one in scored]
    return (
        pd.concat(ranks, axis="columns").mean(axis="columns") if ranks else pd.Series(dtype=float)
    )
