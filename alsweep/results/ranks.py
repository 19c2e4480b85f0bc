"""Which strategies come first over settings, and how sure that is."""

import math
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
import pandas as pd
from scipy.stats import kendalltau

from alsweep.errors import RecordError
from alsweep.results.cube import DONE, Floats, select
from alsweep.results.metrics import DRAWS, RATE_COLUMNS, ceiling_of, seed_weights, setting_rates
from alsweep.results.scores import Measure, comparable, setting_scores

Metric = Literal["aubc", "final", "fg_eff"]


_TAIL = 0.025
"""What an interval cuts off at each end."""


@dataclass(frozen=True)
class Scored:
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

    def with_rivals(self) -> "Scored":
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
    settings = scored_settings(table, metric, full_dice, statuses)
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


def scored_settings(
    table: pd.DataFrame,
    metric: Metric,
    full_dice: float | Mapping[str, float] | None,
    statuses: Collection[str],
) -> list[Scored]:
    """Return the score of each strategy in each setting, as it is and resampled over seeds.

    Raises:
        RecordError: A column is missing, the metric is unknown, or ``full_dice`` is needed.
    """
    if metric not in ("aubc", "final", "fg_eff"):
        raise RecordError(f"metric: expected 'aubc', 'final' or 'fg_eff', got {metric!r}")
    if metric != "fg_eff":
        each = setting_scores(table, metric, statuses)
        return [_scored(values, setting).with_rivals() for setting, values in each.items()]
    if full_dice is None:
        raise RecordError("ranking by fg_eff needs full_dice, the Dice of the fully annotated pool")
    rows = select(table, (*RATE_COLUMNS, "annotated_patches"), statuses)
    groups = rows.groupby("setting", sort=True)
    scored = (_scored_rates(group, str(setting), full_dice) for setting, group in groups)
    return [one.with_rivals() for one in scored]


def _scored(values: pd.DataFrame, setting: str) -> Scored:
    common, left_out = comparable(values)
    weights = np.vstack([np.ones(common.shape[1]), seed_weights(common.shape[1], setting)])
    weights /= np.maximum(weights.sum(axis=1, keepdims=True), 1)
    # einsum adds up in one fixed order, so that equal scores stay equal and share their rank.
    means = np.einsum("as,ds->ad", common.to_numpy(), weights)
    scores = pd.DataFrame(means if common.shape[1] else None, index=common.index)
    return Scored(setting, tuple(map(int, common.columns)), scores, left_out, values.shape[1])


def _scored_rates(
    rows: pd.DataFrame, setting: str, full_dice: float | Mapping[str, float]
) -> Scored:
    defined = rows.dropna(subset=[*RATE_COLUMNS]).drop_duplicates(["strategy", "seed"])
    values = defined.pivot(index="strategy", columns="seed", values="loop")
    common, left_out = comparable(values)
    ranked = rows["seed"].isin(common.columns) & rows["strategy"].isin(common.index)
    fits = setting_rates(rows[ranked], ceiling_of(setting, full_dice)) if ranked.any() else []
    scores = pd.DataFrame({fit.strategy: [fit.rate, *fit.draws] for fit in fits}).T
    return Scored(setting, tuple(map(int, common.columns)), scores, left_out, values.shape[1])


def ranks_of(scores: pd.DataFrame) -> pd.DataFrame:
    """Return the rank in each column, 1 for the highest score; ties share the smallest rank.

    Where only one has a score, nobody has a rank.
    """
    values = scores.to_numpy(dtype=float)
    better = (values[None, :, :] > values[:, None, :]).sum(axis=1)
    known = np.isfinite(values) & (np.isfinite(values).sum(axis=0) > 1)
    return pd.DataFrame(np.where(known, better + 1.0, np.nan), index=scores.index)


def _summary(settings: Sequence[Scored]) -> pd.DataFrame:
    """Mean over settings, and percentiles of that mean over the draws."""
    strategies = sorted({strategy for one in settings for strategy in one.scores.index})
    draws = range(1 + DRAWS)
    every = np.array(
        [ranks_of(s.scores).reindex(index=strategies, columns=draws).to_numpy() for s in settings]
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


def _has_tails(settings: Iterable[Scored]) -> bool:
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


def taus(one: Floats, others: Floats) -> Floats:
    """Return Kendall's tau-b of one ranking with each column of others; NaN where none.

    For many rankings at once, which scipy takes one by one.

    Args:
        one: ``(strategy,)``; NaN for who is not in it.
        others: ``(strategy, ranking)``; a pair counts where both rankings have it.
    """
    upper = np.triu_indices(len(one), k=1)
    order = np.sign(one[upper[0]] - one[upper[1]])[:, None]
    other = np.sign(others[upper[0]] - others[upper[1]])
    both = np.isfinite(order) & np.isfinite(other)
    order, other = np.where(both, order, 0), np.where(both, other, 0)
    untied = np.sqrt((order**2).sum(axis=0) * (other**2).sum(axis=0))
    agreeing = (order * other).sum(axis=0)
    found: Floats = np.full(others.shape[1], np.nan)
    np.divide(agreeing, untied, out=found, where=untied > 0)
    return found


def rank_stability(
    table: pd.DataFrame, metric: Measure = "aubc", *, statuses: Collection[str] = DONE
) -> pd.DataFrame:
    """How much the ranking hangs on single seeds: leave each out and compare with the full one.

    Args:
        table: The tidy table.
        metric: ``aubc`` or ``final``.
        statuses: Which trajectories enter.

    Returns:
        One row a seed that the ranking uses: ``seed``; ``tau``, Kendall's tau-b of the ranking
        without it with the full one (1 = same order); ``others``, its mean with the rankings that
        leave out another. Empty for fewer than two seeds.
    """
    each = (comparable(one)[0] for one in setting_scores(table, metric, statuses).values())
    values = [one for one in each if len(one) > 1]  # alone, a strategy ranks nobody
    full = _mean_rank(values)
    seeds = sorted({seed for one in values for seed in one.columns})
    rankings = [
        _mean_rank([one.drop(columns=seed, errors="ignore") for one in values])
        for seed in (seeds if len(seeds) > 1 else [])
    ]
    taus = [kendall_tau(full, one) for one in rankings]
    others = [
        np.mean([kendall_tau(one, other) for other in rankings if other is not one])
        for one in rankings
    ]
    columns = {"seed": seeds[: len(taus)], "tau": taus, "others": others}
    return pd.DataFrame(columns, columns=list(columns))


def _mean_rank(values: Iterable[pd.DataFrame]) -> "pd.Series[float]":
    """Mean over settings of the rank by the mean over seeds; a setting without seeds has none."""
    scored = [one.mean(axis="columns").to_frame() for one in values if one.shape[1]]
    ranks = [ranks_of(one)[0] for one in scored]
    return (
        pd.concat(ranks, axis="columns").mean(axis="columns") if ranks else pd.Series(dtype=float)
    )
