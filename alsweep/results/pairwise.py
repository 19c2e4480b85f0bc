"""Which strategy beats which: paired t-tests at each budget, and the win matrix made of them."""

from collections.abc import Collection
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from alsweep.errors import RecordError
from alsweep.results.cube import DONE, Cube, Floats, cube, select
from alsweep.results.paired import POWER, Paired, detectable_effect, holm, paired_tests

Correction = Literal["holm"] | None


@dataclass(frozen=True)
class _Tests:
    """Paired t-tests; every array has the axes ``(setting, strategy, other, loop)``."""

    cube: Cube
    paired: Paired


@dataclass(frozen=True)
class SettingWins:
    """Win matrices of settings.

    Attributes:
        settings: Names along axis 0, sorted.
        strategies: Names along axes 1 and 2, sorted.
        share: ``(setting, strategy, other)``: of budgets, in 0..1; NaN where nothing was tested.
        tests: Distinct tests made.
        constant: Wins whose differences are all equal.
    """

    settings: list[str]
    strategies: list[str]
    share: Floats
    tests: int
    constant: int


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
    wins = setting_wins(table, metric, alpha, correction, include_start, statuses=statuses)
    frame = pd.DataFrame(_mean_over_settings(wins.share), wins.strategies, wins.strategies)
    frame.attrs = {"tests": wins.tests, "constant": wins.constant}
    return frame


def setting_wins(
    table: pd.DataFrame,
    metric: str,
    alpha: float,
    correction: Correction,
    include_start: bool = False,
    *,
    statuses: Collection[str] = DONE,
) -> SettingWins:
    """Return the win matrix of each setting; for arguments and errors see :func:`win_matrix`."""
    if correction not in (None, "holm"):
        raise RecordError(f"correction: expected None or 'holm', got {correction!r}")
    tests = _tests(select(table, (metric,), statuses), metric, include_start)
    p = tests.paired.p
    tested = np.isfinite(p)
    significant = tested & (_holm(p, alpha) if correction == "holm" else p < alpha)
    wins = significant & (tests.paired.mean > 0)
    budgets = tested.sum(axis=-1)
    share = np.where(budgets > 0, wins.sum(axis=-1) / np.maximum(budgets, 1), np.nan)
    constant = wins & (tests.paired.deviation == 0)
    return SettingWins(
        tests.cube.settings,
        tests.cube.strategies,
        share,
        int(tested.sum()) // 2,
        int(constant.sum()),
    )


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
    paired = paired_tests(data.values[:, :, None] - data.values[:, None, :])
    itself = np.eye(len(data.strategies), dtype=bool)[None, :, :, None]
    return _Tests(data, replace(paired, p=np.where(itself, np.nan, paired.p)))


def _holm(p: Floats, alpha: float) -> NDArray[np.bool_]:
    """Which tests Holm rejects, one family a setting; an unordered pair and loop is one test."""
    upper = np.triu_indices(p.shape[1], k=1)
    rejected = np.zeros(p.shape, dtype=bool)
    for setting in range(len(p)):
        family = p[setting][upper]
        kept = holm(family.ravel()).reshape(family.shape) <= alpha
        rejected[setting][upper] = kept
        rejected[setting][upper[::-1]] = kept
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
    power: float = POWER,
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
        ``seeds``, ``difference`` (mean over seeds), ``p``, and ``minimal``, in units of the
        metric: by the noncentral t distribution, for the standard deviation that was observed. The
        usual sum of two t quantiles falls short with few seeds: power 0.73 for 0.8 with two.

    Raises:
        RecordError: A column is missing, a loop is there twice, or ``power`` is not between
            ``alpha`` and 1.
    """
    tests = _tests(select(table, (metric,), statuses), metric, include_start=False)
    paired = tests.paired
    wanted = np.isfinite(paired.p) & np.triu(np.ones(paired.p.shape[1:3], dtype=bool), 1)[..., None]
    setting, one, other, loop = np.nonzero(wanted)
    names, loops = np.array(tests.cube.strategies), np.array(tests.cube.loops, dtype=np.int64)
    counts, place = np.unique(paired.n[wanted], return_inverse=True)
    effects = np.array([detectable_effect(int(n), alpha, power) for n in counts])
    return pd.DataFrame(
        {
            "setting": np.array(tests.cube.settings)[setting],
            "strategy": names[one],
            "other": names[other],
            "loop": loops[loop],
            "seeds": paired.n[wanted],
            "difference": paired.mean[wanted],
            "p": paired.p[wanted],
            "minimal": effects[place] * paired.deviation[wanted] if len(place) else [],
        }
    )
