"""A number for a whole curve: area under the budget curve, final value, foreground efficiency."""

import logging
from collections.abc import Collection, Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from alsweep.errors import RecordError
from alsweep.results.cube import DONE, Floats, select
from alsweep.rng import stream

RATE_COLUMNS = ("mean_dice", "foreground_fraction")

logger = logging.getLogger(__name__)

DRAWS = 1000
"""Bootstrap draws for every interval."""

_TRAJECTORY = ["setting", "strategy", "seed"]
_GRID = 257
_REFINEMENTS = 12


def aubc(
    table: pd.DataFrame, metric: str = "mean_dice", *, statuses: Collection[str] = DONE
) -> pd.DataFrame:
    """Area under the budget curve of each trajectory, by the trapezoid rule.

    The budget (annotated patches) is scaled to 0..1, so that a constant curve v has the area v.

    Args:
        table: The tidy table.
        metric: Column to integrate; higher is better.
        statuses: Which trajectories enter; unfinished ones have shorter curves.

    Returns:
        One row a (setting, strategy, seed), sorted; column ``aubc``, NaN where there is only one
        loop, the budget does not grow, or a value is undefined.

    Raises:
        RecordError: A column is missing, or a loop is there twice.

    Source: Luth et al. 2025 (nnActive, TMLR), AUBC.
    """
    rows = select(table, (metric, "annotated_patches"), statuses)
    value, budget = (rows[c].to_numpy(dtype=np.float64) for c in (metric, "annotated_patches"))
    first, last = ends(rows)
    # Steps from one trajectory to the next have no area, so that one running sum serves all.
    steps = np.diff(budget) * (value[1:] + value[:-1]) / 2
    owner = np.repeat(np.arange(len(first)), last - first + 1)
    inside = owner[1:] == owner[:-1]
    area = np.bincount(owner[1:][inside], steps[inside], minlength=len(first))
    growth = budget[last] - budget[first]
    scaled = np.divide(area, growth, out=np.full(len(first), np.nan), where=growth > 0)
    return _per_trajectory(rows, first, "aubc", scaled)


def ends(rows: pd.DataFrame) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Return the positions of the first and last row of each trajectory in selected rows."""
    keys = rows[_TRAJECTORY]
    begins = (keys != keys.shift()).any(axis=1).to_numpy()
    first = np.flatnonzero(begins)
    return first, np.append(first[1:], len(rows))[: len(first)] - 1


def _per_trajectory(
    rows: pd.DataFrame, first: NDArray[np.intp], name: str, values: Floats
) -> pd.DataFrame:
    return rows.iloc[first][_TRAJECTORY].reset_index(drop=True).assign(**{name: values})


def final(
    table: pd.DataFrame, metric: str = "mean_dice", *, statuses: Collection[str] = DONE
) -> pd.DataFrame:
    """Value of each trajectory's last loop.

    Args:
        table: The tidy table.
        metric: Column to read; higher is better.
        statuses: Which trajectories enter; unfinished ones end earlier than others.

    Returns:
        One row a (setting, strategy, seed), sorted; column ``final``.

    Raises:
        RecordError: A column is missing, or a loop is there twice.
    """
    rows = select(table, (metric,), statuses)
    first, last = ends(rows)
    return _per_trajectory(rows, first, "final", rows[metric].to_numpy(dtype=np.float64)[last])


def fg_efficiency(
    table: pd.DataFrame,
    full_dice: float | Mapping[str, float],
    *,
    statuses: Collection[str] = DONE,
) -> pd.DataFrame:
    """Foreground efficiency: how fast Dice nears that of full annotation per annotated foreground.

    It is the rate beta of ``y(x) = c - a exp(-beta (x - x0))``, where x is the annotated share of
    the pool's foreground, c the Dice of the fully annotated pool, x0 the smallest x of any
    strategy of the setting, and a = c - mean Dice at loop 0; fitted by least squares with
    beta >= 0 to all seeds and loops of a strategy. Departs from the source in a: seeds start at
    different x, so x0 belongs to one of them only, and a is taken from the mean over loop 0.

    Args:
        table: The tidy table.
        full_dice: c, in 0..1; a number, or one for each setting.
        statuses: Which trajectories enter.

    Returns:
        One row a (setting, strategy), sorted; columns ``fg_eff`` (larger = more Dice per annotated
        foreground; infinite where Dice reaches c at once), ``standard_error``, ``low`` and ``high``
        (95 % bootstrap over seeds). NaN where c does not exceed the start.

    Raises:
        RecordError: A column is missing, or ``full_dice`` lacks a setting.

    Source: Luth et al. 2025 (nnActive, TMLR), FG-Eff.
    """
    rows = select(table, RATE_COLUMNS, statuses)
    found = []
    for setting, group in rows.groupby("setting", sort=True):
        fits = setting_rates(group, ceiling_of(str(setting), full_dice))
        found += [{"setting": setting, **fit.row()} for fit in fits]
    columns = ["setting", "strategy", "fg_eff", "standard_error", "low", "high"]
    return pd.DataFrame(found, columns=columns)


def ceiling_of(setting: str, full_dice: float | Mapping[str, float]) -> float:
    """Return the full-data Dice of a setting.

    Raises:
        RecordError: The mapping lacks it.
    """
    if not isinstance(full_dice, Mapping):
        return float(full_dice)
    if setting not in full_dice:
        raise RecordError(f"full_dice has no value for setting {setting}; add its full-data Dice")
    return float(full_dice[setting])


@dataclass(frozen=True)
class RateFit:
    """FG-Eff of a strategy in a setting.

    Attributes:
        strategy: Its label.
        rate: The fit to all seeds.
        error: Standard error of ``rate``.
        draws: Fits to seeds drawn with replacement; entry by entry the same seeds for all
            strategies with equal seeds. Empty for a single seed.
    """

    strategy: str
    rate: float
    error: float
    draws: Floats

    def row(self) -> dict[str, str | float]:
        """The fit and its 95 % interval."""
        defined = self.draws[~np.isnan(self.draws)]
        # Taken from the draws themselves, since infinite ones cannot be interpolated.
        cuts = np.percentile(defined, [2.5, 97.5], method="nearest") if len(defined) else None
        low, high = (float("nan"),) * 2 if cuts is None else map(float, cuts)
        rates = {"fg_eff": self.rate, "standard_error": self.error, "low": low, "high": high}
        return {"strategy": self.strategy, **rates}


def setting_rates(group: pd.DataFrame, ceiling: float) -> list[RateFit]:
    """Fit the FG-Eff of every strategy of one setting, in sorted order.

    Args:
        group: Selected rows of one setting.
        ceiling: Dice of the fully annotated pool.
    """
    curves = group.dropna(subset=[*RATE_COLUMNS])
    lowest = float(curves["foreground_fraction"].min()) if len(curves) else 0.0
    starts = curves[curves["loop"] == 0].groupby("seed")["mean_dice"].mean()
    if not ceiling > starts.mean():
        logger.warning(
            "setting %s: the full-data Dice %.4f does not exceed the start; FG-Eff is undefined",
            group["setting"].iloc[0],
            ceiling,
        )
    return [
        _fit_strategy(str(strategy), rows, starts, lowest, ceiling)
        for strategy, rows in curves.groupby("strategy", sort=True)
    ]


def _fit_strategy(
    strategy: str, rows: pd.DataFrame, starts: pd.Series, lowest: float, ceiling: float
) -> RateFit:
    setting = str(rows["setting"].iloc[0])
    seeds, owner = np.unique(rows["seed"].to_numpy(), return_inverse=True)
    weights = np.vstack([np.ones(len(seeds)), seed_weights(len(seeds), setting)])
    start = starts.reindex(seeds).fillna(starts.mean()).to_numpy(dtype=np.float64)
    drop = ceiling - weights @ start / weights.sum(axis=1)
    drop[0] = ceiling - float(starts.mean())
    x = rows["foreground_fraction"].to_numpy(dtype=np.float64) - lowest
    y = rows["mean_dice"].to_numpy(dtype=np.float64)
    # Few seeds are drawn in few ways: each is fitted once.
    _, first, place = np.unique(weights, axis=0, return_index=True, return_inverse=True)
    each = fit_rates(x, y, ceiling, drop[first], weights[first][:, owner])
    rates = np.concatenate(
        [fit_rates(x, y, ceiling, drop[:1], weights[:1, owner]), each[place[1:]]]
    )
    error = _rate_error(x, y, ceiling, float(drop[0]), float(rates[0]))
    return RateFit(strategy, float(rates[0]), error, rates[1:])


def seed_weights(seeds: int, setting: str) -> Floats:
    """How often each seed was drawn, ``(draw, seed)``; no draws of one seed, which tell nothing.

    Settings are drawn for independently: what chance does in one, it does not in the others.
    """
    if seeds < 2:
        return np.empty((0, seeds))
    drawn = stream(0, "bootstrap", setting, seeds).integers(seeds, size=(DRAWS, seeds))
    counts: Floats = (drawn[:, :, None] == np.arange(seeds)).sum(axis=1).astype(np.float64)
    return counts


def fit_rates(x: Floats, y: Floats, ceiling: float, drop: Floats, weights: Floats) -> Floats:
    """Least-squares rates beta >= 0 of ``y = ceiling - drop * exp(-beta x)``, many fits at once.

    A grid over the whole range of rates that the points can tell apart, then bisection around the
    best: a fit cannot be caught by a poor start, and a thousand resamplings cost one pass.

    Args:
        x: ``(point,)``, >= 0.
        y: ``(point,)``.
        ceiling: Value for large x.
        drop: ``(fit,)``; where it is not positive the rate is NaN.
        weights: ``(fit, point)``, >= 0.

    Returns:
        ``(fit,)``; infinite where the fit does not end within that range.
    """
    positive = x[x > 0]
    if not len(positive):
        return np.full(len(drop), np.nan)
    # Outside, exp(-beta x) is 1 (below) or 0 (above) at every point to about eight digits.
    least, most = 1e-8 / positive.max(), 20 / positive.min()
    rates = np.concatenate([[0.0], np.geomspace(least, most, _GRID - 1)])
    losses = _losses(np.broadcast_to(rates, (len(drop), _GRID)), x, y, ceiling, drop, weights)
    best = losses.argmin(axis=1)
    low, high = rates[np.maximum(best - 1, 0)], rates[np.minimum(best + 1, _GRID - 1)]
    for _ in range(_REFINEMENTS):
        inner = low[:, None] + (high - low)[:, None] * np.linspace(0, 1, 9)
        near = _losses(inner, x, y, ceiling, drop, weights).argmin(axis=1)
        each = np.arange(len(drop))
        low, high = inner[each, np.maximum(near - 1, 0)], inner[each, np.minimum(near + 1, 8)]
    fitted = np.where(best == _GRID - 1, np.inf, (low + high) / 2)
    return np.where(drop > 0, fitted, np.nan)


def _losses(
    rates: Floats, x: Floats, y: Floats, ceiling: float, drop: Floats, weights: Floats
) -> Floats:
    """Weighted squared error, ``(fit, rate)``."""
    misfit = y - ceiling + drop[:, None, None] * np.exp(-rates[:, :, None] * x)
    losses: Floats = np.einsum("frp,fp->fr", misfit**2, weights)
    return losses


def _rate_error(x: Floats, y: Floats, ceiling: float, drop: float, rate: float) -> float:
    """Standard error of the rate, from the curvature at the fit and the residual variance."""
    if not np.isfinite(rate) or len(x) < 2:
        return float("nan")
    decay = drop * np.exp(-rate * x)
    slope = x * decay
    variance = np.sum((y - ceiling + decay) ** 2) / (len(x) - 1)
    return float(np.sqrt(variance / np.sum(slope**2)))
