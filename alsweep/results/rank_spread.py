"""How far a ranking can be trusted: how often each strategy comes out at each place."""

from collections.abc import Collection, Mapping, Sequence
from typing import Literal

import numpy as np
import pandas as pd

from alsweep.errors import RecordError
from alsweep.results.cube import DONE, Floats
from alsweep.results.metrics import DRAWS
from alsweep.results.ranks import Metric, Scored, ranks_of, scored_settings, taus
from alsweep.rng import stream

Resample = Literal["seeds", "settings", "both"]


def rank_shares(
    table: pd.DataFrame,
    metric: Metric = "aubc",
    resample: Resample = "both",
    *,
    full_dice: float | Mapping[str, float] | None = None,
    statuses: Collection[str] = DONE,
) -> pd.DataFrame:
    """How often each strategy comes out at each place when the study is drawn again.

    A thousand times, seeds are drawn with replacement in each setting, the same for all of its
    strategies, or settings, or both; strategies are then ranked by their mean rank over settings.

    Args:
        table: The tidy table.
        metric: ``aubc``, ``final`` or ``fg_eff``.
        resample: ``seeds`` asks what other seeds would have said on these settings, ``both`` what
            another such study would have; a setting with one common seed stands for itself.
        full_dice: For ``fg_eff``, see :func:`alsweep.results.fg_efficiency`.
        statuses: Which trajectories enter.

    Returns:
        One row a (strategy, rank) that occurs, best strategy first: ``share`` of the draws in which
        the strategy is ranked, 0..1. ``attrs`` holds ``tau``: mean, 2.5 and 97.5 % of Kendall's
        tau-b of the draws' rankings with the full one. Empty where nothing is drawn: for one
        setting of one seed, or for ``settings`` with one setting.

    Raises:
        RecordError: As :func:`alsweep.results.ranking`, or ``resample`` is unknown.

    Source: Wiesenfarth et al. 2021 (challengeR), blob plots.
    """
    if resample not in ("seeds", "settings", "both"):
        raise RecordError(f"resample: expected 'seeds', 'settings' or 'both', got {resample!r}")
    scored = scored_settings(table, metric, full_dice, statuses)
    settings = [one for one in scored if not one.scores.empty]  # strategies may share no seed
    strategies = sorted({str(name) for one in settings for name in one.scores.index})
    found = _drawn(settings, strategies, resample)
    columns = {"strategy": "str", "rank": "int64", "share": "float64"}
    if not found.size:
        return pd.DataFrame(columns=list(columns)).astype(columns)
    ranks = ranks_of(pd.DataFrame(-found)).to_numpy()
    order = np.argsort(found[:, 0], kind="stable")
    rows = [row for place in order for row in _shares(strategies[place], ranks[place, 1:])]
    frame = pd.DataFrame(rows, columns=list(columns)).astype(columns)
    frame.attrs = {"tau": _spread(taus(ranks[:, 0], ranks[:, 1:]))}
    return frame


def _spread(values: Floats) -> tuple[float, float, float]:
    """Mean and both ends of 95 %, of those that are defined."""
    known = values[np.isfinite(values)]
    if not len(known):
        return np.nan, np.nan, np.nan
    low, high = map(float, np.percentile(known, [2.5, 97.5]))
    return float(known.mean()), low, high


def _drawn(settings: Sequence[Scored], strategies: Sequence[str], resample: Resample) -> Floats:
    """Mean ranks, ``(strategy, 1 + draw)``; the first as they are. Empty where nothing varies."""
    seeds_vary = resample != "settings" and any(one.scores.shape[1] > 1 for one in settings)
    settings_vary = resample != "seeds" and len(settings) > 1
    if not (seeds_vary or settings_vary):
        return np.empty((0, 0))
    each = np.array([_setting_ranks(s, strategies, resample != "settings") for s in settings])
    weights = np.ones((1 + DRAWS, len(settings)))
    if settings_vary:
        drawn = stream(0, "settings", len(settings)).integers(
            len(settings), size=(DRAWS, len(settings))
        )
        weights[1:] = (drawn[:, :, None] == np.arange(len(settings))).sum(axis=1)
    known = np.isfinite(each)
    total = np.einsum("ds,sad->ad", weights, np.where(known, each, 0))
    ranked = np.einsum("ds,sad->ad", weights, known.astype(np.float64))
    mean: Floats = np.divide(total, ranked, out=np.full(total.shape, np.nan), where=ranked > 0)
    # Means that are equal but for rounding are ties.
    return mean.round(9)


def _setting_ranks(setting: Scored, strategies: Sequence[str], resampled: bool) -> Floats:
    """Ranks in one setting, ``(strategy, 1 + draw)``; NaN for who is not in it."""
    ranks = ranks_of(setting.scores).reindex(index=list(strategies)).to_numpy(dtype=np.float64)
    if resampled and ranks.shape[1] > 1:
        return ranks
    return np.repeat(ranks[:, :1], 1 + DRAWS, axis=1)


def _shares(strategy: str, ranks: Floats) -> list[tuple[str, int, float]]:
    places, counts = np.unique(ranks[np.isfinite(ranks)], return_counts=True)
    total = max(int(counts.sum()), 1)
    return [(strategy, int(p), float(c) / total) for p, c in zip(places, counts, strict=True)]
