"""A number for all settings together that a few of them do not rule: IQM, gap, profiles."""

from collections.abc import Collection, Iterator, Sequence
from typing import Any

import numpy as np
import pandas as pd

from alsweep.errors import RecordError
from alsweep.results.cube import DONE, Floats
from alsweep.results.resampled import (
    ENDS,
    Counts,
    Scores,
    Stratified,
    normalised_by,
    strategy_scores,
    varies,
)
from alsweep.results.scores import Measure

POINT_DRAWS = 50_000
"""Bootstrap draws for single numbers."""

PROFILE_DRAWS = 2_000
"""Bootstrap draws for profiles."""

TAUS = 51
"""Thresholds of a profile where none are asked for."""


def aggregate(
    table: pd.DataFrame,
    metric: Measure = "aubc",
    *,
    control: str | None = None,
    full_dice: float | dict[str, float] | None = None,
    draws: int = POINT_DRAWS,
    statuses: Collection[str] = DONE,
) -> pd.DataFrame:
    """Interquartile mean, mean and optimality gap of each strategy over all settings and seeds.

    Args:
        table: The tidy table.
        metric: ``aubc`` or ``final``.
        control: With ``full_dice``: scores are (v - mean of the control) / (full data - that).
        full_dice: A number, or one for each setting; settings without it are left out.
        draws: Bootstrap draws; seeds are drawn in each setting for itself.
        statuses: Which trajectories enter.

    Returns:
        One row a (strategy, statistic), sorted by strategy: ``statistic`` is ``iqm``, the mean of
        the middle half of the scores; ``mean``; or ``optimality_gap``, how far scores fall short of
        1 (lower is better). ``value``; ``low`` and ``high``, 95 % of the draws; ``scores``, how
        many there are, in how many ``settings``: compare only who has the same. NaN intervals where
        every setting has one seed.

    Raises:
        RecordError: A column is missing, a loop is there twice, the metric is unknown, or only one
            of ``control`` and ``full_dice`` is named.

    Source: Agarwal et al. 2021 (rliable), sections 4.2 and 4.3.
    """
    normalised = normalised_by(control, full_dice, table)
    every = strategy_scores(table, metric, normalised, statuses)
    drawn = Stratified(draws)
    rows = [row for name, scores in every.items() for row in _aggregates(name, scores, drawn)]
    columns = ["strategy", "statistic", "value", "low", "high", "scores", "settings"]
    return pd.DataFrame(rows, columns=columns)


def _aggregates(strategy: str, scores: Scores, drawn: Stratified) -> Iterator[dict[str, Any]]:
    order = np.argsort(scores.values, kind="stable")
    values = scores.values[order]
    once = _statistics(values, np.ones((len(values), 1), dtype=np.float32))
    ends = dict.fromkeys(once, (np.nan, np.nan))
    if varies(scores):
        found = _statistics(values, drawn.of(scores)[order])
        ends = {name: tuple(np.percentile(found[name], ENDS)) for name in once}
    for name, value in once.items():
        yield {
            "strategy": strategy,
            "statistic": name,
            "value": float(value[0]),
            "low": float(ends[name][0]),
            "high": float(ends[name][1]),
            "scores": len(values),
            "settings": len(scores.strata),
        }


def _statistics(values: Floats, counts: Counts) -> dict[str, Floats]:
    """Of ascending values that are there so often, each ``(draw,)``."""
    plain = np.array([values, np.maximum(1 - values, 0)], dtype=np.float32) @ counts
    return {
        "iqm": trimmed_mean(values, counts, len(values) // 4),
        "mean": plain[0] / len(values),
        "optimality_gap": plain[1] / len(values),
    }


def trimmed_mean(values: Floats, counts: Counts, cut: int) -> Floats:
    """Mean without the ``cut`` lowest and highest of each draw, ``(draw,)``.

    A draw's sorted scores are the same values, each as often as it was drawn, so that nothing is
    sorted again: how many lie at or below each value tells what is cut.

    Args:
        values: ``(score,)``, ascending.
        counts: ``(score, draw)``; each draw has as many scores as there are.
        cut: At each end, less than half of them.
    """
    total = len(values)
    below = counts[:-1].copy()
    for place in range(1, total - 1):  # several times as fast as cumsum along this axis
        below[place] += below[place - 1]
    np.clip(below, cut, total - cut, out=below)
    # Summed by parts: what is kept of each value is a difference of two entries of below.
    kept = values[-1] * (total - cut) - values[0] * cut - np.diff(values).astype(np.float32) @ below
    mean: Floats = kept.astype(np.float64) / (total - 2 * cut)
    return mean


def performance_profile(
    table: pd.DataFrame,
    metric: Measure = "aubc",
    taus: Sequence[float] | None = None,
    *,
    control: str | None = None,
    full_dice: float | dict[str, float] | None = None,
    draws: int = PROFILE_DRAWS,
    statuses: Collection[str] = DONE,
) -> pd.DataFrame:
    """Share of a strategy's scores above each threshold, over all settings and seeds.

    Where one profile lies above another everywhere, its strategy is better by any measure that
    rises with scores.

    Args:
        table: The tidy table.
        metric: ``aubc`` or ``final``.
        taus: Thresholds; 51 over the range of all scores if left out.
        control: As in :func:`aggregate`.
        full_dice: As in :func:`aggregate`.
        draws: Bootstrap draws.
        statuses: Which trajectories enter.

    Returns:
        One row a (strategy, tau), sorted so: ``share``, ``low`` and ``high`` (95 %, point by point,
        NaN where every setting has one seed), all in 0..1, falling with tau.

    Raises:
        RecordError: As :func:`aggregate`, or a threshold is not a number.

    Source: Agarwal et al. 2021 (rliable), section 4.1.
    """
    normalised = normalised_by(control, full_dice, table)
    every = strategy_scores(table, metric, normalised, statuses)
    thresholds = _thresholds(every.values(), taus)
    drawn = Stratified(draws)
    frames = [_profile(name, scores, thresholds, drawn) for name, scores in every.items()]
    columns = ["strategy", "tau", "share", "low", "high"]
    return pd.concat(frames, ignore_index=True) if frames else pd.DataFrame(columns=columns)


def _thresholds(every: Collection[Scores], taus: Sequence[float] | None) -> Floats:
    if taus is not None:
        given = np.sort(np.asarray(taus, dtype=np.float64))
        if not np.isfinite(given).all():
            raise RecordError(f"taus: expected finite numbers, got {list(taus)}")
        return given
    low = min((float(one.values.min()) for one in every), default=0.0)
    high = max((float(one.values.max()) for one in every), default=1.0)
    return np.linspace(low, high, TAUS)


def _profile(strategy: str, scores: Scores, taus: Floats, drawn: Stratified) -> pd.DataFrame:
    above = (scores.values[:, None] > taus).astype(np.float32)
    ends = np.full((2, len(taus)), np.nan)
    if varies(scores):
        shares = above.T @ drawn.of(scores) / len(above)
        ends = np.percentile(shares, ENDS, axis=1)
    columns = {"strategy": strategy, "tau": taus, "share": above.mean(axis=0, dtype=np.float64)}
    return pd.DataFrame({**columns, "low": ends[0], "high": ends[1]}).astype({"strategy": "str"})
