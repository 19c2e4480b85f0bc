"""Which strategy beats which: paired t-tests at each budget, and the win matrix made of them."""

from collections.abc import Collection
from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.special import stdtr, stdtrit

from alsweep.errors import RecordError
from alsweep.results.cube import DONE, Cube, Floats, cube, select

Correction = Literal["holm"] | None


@dataclass(frozen=True)
class _Tests:
    """Paired t-tests; every array has the axes ``(setting, strategy, other, loop)``."""

    cube: Cube
    seeds: NDArray[np.int64]
    mean: Floats
    deviation: Floats
    p: Floats


def win_matrix(
    table: pd.DataFrame,
    metric: str = "mean_dice",
    alpha: float = 0.05,
    correction: Correction = None,
    include_start: bool = False,
    *,
    statuses: Collection[str] = DONE,
) -> pd.DataFrame:
    """Share of budgets at which one strategy beats another significantly.

    At each budget, values of the two strategies are paired by seed, and their differences tested
    against 0 (two-sided t-test). Loop 0 is the same for all strategies, so it is left out of the
    tests, of the correction and of the share.

    Args:
        table: The tidy table.
        metric: Column to compare; higher is better.
        alpha: Level of each test.
        correction: ``"holm"`` holds the level over all tests of a setting together.
        include_start: Test loop 0 too, for comparison with published numbers.
        statuses: Which trajectories enter.

    Returns:
        Square frame over strategies, sorted: ``m.loc[i, j]`` in 0..1, higher = i wins more often
        against j; the mean over the settings with both. A share counts the budgets with at least
        two common seeds; NaN where there is none, and on the diagonal. ``attrs`` holds ``tests``
        (distinct tests made) and ``constant`` (wins whose differences are all equal, where t is
        infinite).

    Raises:
        RecordError: A column is missing, a loop is there twice, or the correction is unknown.

    Source: Luth et al. 2025 (nnActive, TMLR), pairwise penalty matrix (theirs is the transpose);
        Holm 1979.
    """
    if correction not in (None, "holm"):
        raise RecordError(f"correction: expected None or 'holm', got {correction!r}")
    tests = _tests(select(table, (metric,), statuses), metric, include_start)
    tested = np.isfinite(tests.p)
    significant = tested & (_holm(tests.p, alpha) if correction == "holm" else tests.p < alpha)
    wins = significant & (tests.mean > 0)
    budgets = tested.sum(axis=-1)
    share = np.where(budgets > 0, wins.sum(axis=-1) / np.maximum(budgets, 1), np.nan)
    frame = pd.DataFrame(_mean_over_settings(share), tests.cube.strategies, tests.cube.strategies)
    constant = wins & (tests.deviation == 0)
    frame.attrs = {"tests": int(tested.sum()) // 2, "constant": int(constant.sum())}
    return frame


def _mean_over_settings(share: Floats) -> Floats:
    compared = np.isfinite(share)
    settings = compared.sum(axis=0)
    total = np.where(compared, share, 0).sum(axis=0)
    mean: Floats = np.where(settings > 0, total / np.maximum(settings, 1), np.nan)
    return mean


def _tests(rows: pd.DataFrame, metric: str, include_start: bool) -> _Tests:
    """All tests at once: the differences of every ordered pair are one array."""
    if not include_start:
        rows = rows[rows["loop"] > 0]
    data = cube(rows, metric)
    differences = data.values[:, :, None] - data.values[:, None, :]
    there = np.isfinite(differences)
    n = there.sum(axis=-1)
    mean = np.where(there, differences, 0).sum(axis=-1) / np.maximum(n, 1)
    squares = np.where(there, differences - mean[..., None], 0) ** 2
    deviation = np.sqrt(squares.sum(axis=-1) / np.maximum(n - 1, 1))
    return _Tests(data, n, mean, deviation, _p_values(n, mean, deviation))


def _p_values(n: NDArray[np.int64], mean: Floats, deviation: Floats) -> Floats:
    """Two-sided p of each test; NaN for fewer than two seeds and for a strategy with itself."""
    spread = deviation / np.sqrt(np.maximum(n, 1))
    # Equal differences: no doubt if they are not 0 (t is infinite), and no difference if they are.
    certain = np.where(mean == 0, 0.0, np.inf)
    t = np.divide(np.abs(mean), spread, out=certain, where=spread > 0)
    p = 2 * stdtr(np.maximum(n - 1, 1), -t)
    itself = np.eye(n.shape[1], dtype=bool)[None, :, :, None]
    values: Floats = np.where((n >= 2) & ~itself, p, np.nan)
    return values


def _holm(p: Floats, alpha: float) -> NDArray[np.bool_]:
    """Which tests Holm rejects, one family a setting; an unordered pair and loop is one test."""
    upper = np.triu_indices(p.shape[1], k=1)
    rejected = np.zeros(p.shape, dtype=bool)
    for setting in range(len(p)):
        family = p[setting][upper]
        kept = holm_rejects(family.ravel(), alpha).reshape(family.shape)
        rejected[setting][upper] = kept
        rejected[setting][upper[::-1]] = kept
    return rejected


def holm_rejects(p: Floats, alpha: float) -> NDArray[np.bool_]:
    """Return which p-values are rejected at the family-wise level ``alpha``; NaN is no test.

    Step down from the smallest: the r-th of m is rejected while ``p <= alpha / (m - r + 1)``.
    """
    order = np.argsort(p, kind="stable")[: int(np.isfinite(p).sum())]
    passed = p[order] <= alpha / np.arange(len(order), 0, -1)
    rejected = np.zeros(len(p), dtype=bool)
    rejected[order[np.logical_and.accumulate(passed)]] = True
    return rejected


def win_rates(matrix: pd.DataFrame) -> pd.DataFrame:
    """Return each strategy's mean win and mean loss against the others.

    Args:
        matrix: From :func:`win_matrix`.

    Returns:
        Index strategy; columns ``mean_win``, ``mean_loss`` and ``balance`` (win - loss), 0..1.
    """
    win, loss = matrix.mean(axis=1), matrix.mean(axis=0)
    return pd.DataFrame({"mean_win": win, "mean_loss": loss, "balance": win - loss})


def minimal_difference(
    table: pd.DataFrame,
    metric: str = "mean_dice",
    alpha: float = 0.05,
    power: float = 0.8,
    *,
    statuses: Collection[str] = DONE,
) -> pd.DataFrame:
    """What each comparison could have found: the smallest true difference that is detected often.

    Args:
        table: The tidy table.
        metric: Column to compare.
        alpha: Level of the two-sided test.
        power: Share of repetitions in which the difference would be found.
        statuses: Which trajectories enter.

    Returns:
        One row a (setting, unordered pair, loop), loop 0 left out: ``strategy``, ``other``,
        ``seeds``, ``difference`` (mean over seeds), ``p``, and ``minimal``
        = (t(1 - alpha/2, n-1) + t(power, n-1)) sd / sqrt(n), in units of the metric.

    Raises:
        RecordError: A column is missing, or a loop is there twice.
    """
    tests = _tests(select(table, (metric,), statuses), metric, include_start=False)
    free = np.maximum(tests.seeds - 1, 1)
    factor = stdtrit(free, 1 - alpha / 2) + stdtrit(free, power)
    minimal = factor * tests.deviation / np.sqrt(np.maximum(tests.seeds, 1))
    wanted = np.isfinite(tests.p) & np.triu(np.ones(tests.p.shape[1:3], dtype=bool), 1)[..., None]
    setting, one, other, loop = np.nonzero(wanted)
    names, loops = np.array(tests.cube.strategies), np.array(tests.cube.loops, dtype=np.int64)
    return pd.DataFrame(
        {
            "setting": np.array(tests.cube.settings)[setting],
            "strategy": names[one],
            "other": names[other],
            "loop": loops[loop],
            "seeds": tests.seeds[wanted],
            "difference": tests.mean[wanted],
            "p": tests.p[wanted],
            "minimal": minimal[wanted],
        }
    )
