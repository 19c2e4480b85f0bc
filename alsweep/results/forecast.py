"""What learning curves say of budgets that were not annotated: how far, how much, and when to stop.

A curve is fitted to all seeds of a strategy together (:mod:`alsweep.results.palm`); nothing is said
from a fit that could not foretell its own last loop.
"""

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from alsweep.errors import RecordError
from alsweep.results.cube import DONE, Floats, select
from alsweep.results.metrics import ceiling_of, seed_weights
from alsweep.results.palm import FREE_FROM, LEAST, Fits, Points, fit

TOLERANCE = 0.005
"""By how much a fit may miss its last loop, whatever the seeds say."""

_ENDS = (2.5, 97.5)
_LEAST_KNOWN = 0.9
"""Share of the resamplings whose fits must have converged."""


@dataclass(frozen=True)
class Forecast:
    """The curve of a strategy in a setting.

    Attributes:
        setting: Its hash.
        strategy: Its label.
        budgets: Annotated patches at each loop, ascending.
        seeds: How many.
        fits: The fit to all seeds, then to each drawing of seeds with replacement; None where there
            is none.
        why: Why nothing can be told of it; empty where something can.
        held_out: Mean Dice of the last loop less what the others foretold; NaN where not tried.
    """

    setting: str
    strategy: str
    budgets: Floats
    seeds: int
    fits: Fits | None
    why: str
    held_out: float

    @property
    def verdict(self) -> str:
        """What is said where nothing is."""
        return f"cannot be told from {len(self.budgets)} budgets"

    @property
    def trusted(self) -> Fits | None:
        """The fits; None where nothing can be told from them."""
        return None if self.why else self.fits


def forecasts(
    table: pd.DataFrame,
    full_dice: float | Mapping[str, float] | None = None,
    *,
    tolerance: float = TOLERANCE,
    statuses: Collection[str] = DONE,
) -> list[Forecast]:
    """Fit the curve of every strategy in every setting, sorted so.

    Args:
        table: The tidy table.
        full_dice: Bounds a_max; a number, or one for each setting. 1 where there is none.
        tolerance: By how much a fit may miss its last loop, whatever the seeds say.
        statuses: Which trajectories enter.

    Raises:
        RecordError: A column is missing, or a loop is there twice.
    """
    rows = select(table, ("mean_dice", "annotated_patches"), statuses).dropna(subset="mean_dice")
    return [
        _forecast(str(setting), str(strategy), own, _ceiling(str(setting), full_dice), tolerance)
        for (setting, strategy), own in rows.groupby(["setting", "strategy"], sort=True)
    ]


def _ceiling(setting: str, full_dice: float | Mapping[str, float] | None) -> float:
    if full_dice is None or (isinstance(full_dice, Mapping) and setting not in full_dice):
        return 1.0
    ceiling = ceiling_of(setting, full_dice)
    if not 0 < ceiling <= 1:
        raise RecordError(f"full_dice: expected fractions in 0..1, got {ceiling} for {setting}")
    return ceiling


def _forecast(
    setting: str, strategy: str, rows: pd.DataFrame, ceiling: float, tolerance: float
) -> Forecast:
    points, place, seeds = _points(rows, setting)

    def made(fits: Fits | None, why: str, held_out: float = math.nan) -> Forecast:
        return Forecast(setting, strategy, points.budgets, seeds, fits, why, held_out)

    if len(points.budgets) <= LEAST:
        return made(None, f"a fit and a held-out loop need {LEAST + 1} budgets")
    if seeds < 2:
        return made(None, "one seed has no interval")
    if not (points.starts < ceiling).all():
        return made(None, "the start is not below the full-data Dice")
    before = _expanded(fit(points.without_last(), ceiling), place)
    missed = points.means[place, -1] - before.at(points.budgets[-1:])[:, 0]
    fits, held_out = _expanded(fit(points, ceiling), place), float(missed[0])
    for one in (before, fits):
        known = np.isfinite(one.parameters[:, 0])
        if not known[0] or known.mean() < _LEAST_KNOWN:
            return made(fits, "the fit did not converge", held_out)
    low, high = np.nanpercentile(missed[1:], _ENDS)
    if abs(held_out) > tolerance and not low <= 0 <= high:
        return made(fits, "the fit failed its held-out last loop", held_out)
    return made(fits, "", held_out)


def _points(rows: pd.DataFrame, setting: str) -> tuple[Points, NDArray[np.intp], int]:
    """Means for each way to draw the seeds, which way each draw is, and the number of seeds.

    The first draw is all seeds, each once.
    """
    seeds, owner = np.unique(rows["seed"].to_numpy(), return_inverse=True)
    budgets, at = np.unique(rows["annotated_patches"].to_numpy(np.float64), return_inverse=True)
    values = np.full((len(seeds), len(budgets)), np.nan)
    values[owner, at] = rows["mean_dice"]
    weights = np.vstack([np.ones(len(seeds)), seed_weights(len(seeds), setting)])
    ways, first, place = np.unique(weights, axis=0, return_index=True, return_inverse=True)
    # All seeds come first, so that what is fitted from many starts is their curve.
    order = np.argsort(first, kind="stable")
    ways, place = ways[order], np.argsort(order, kind="stable")[place]
    known = np.isfinite(values)
    there = ways @ known
    total = ways @ np.where(known, values, 0)
    means = np.divide(total, there, out=np.zeros(total.shape), where=there > 0)
    return Points(budgets, means, there), place, len(seeds)


def _expanded(fits: Fits, place: NDArray[np.intp]) -> Fits:
    return Fits(fits.first, fits.parameters[place], fits.loss[place])


def fit_curves(
    table: pd.DataFrame,
    full_dice: float | Mapping[str, float] | None = None,
    *,
    statuses: Collection[str] = DONE,
) -> pd.DataFrame:
    """Parameters of the learning curves, and whether they can be trusted.

    Args:
        table: The tidy table.
        full_dice: As in :func:`patches_to_reach`.
        statuses: Which trajectories enter.

    Returns:
        One row a (setting, strategy), sorted: ``budgets``, ``seeds``; ``a_max``, the Dice that the
        curve nears, ``delta``, ``alpha``, ``beta`` (see :mod:`alsweep.results.palm`); ``free``, how
        many of them were fitted; ``held_out``, the last loop's mean less what the loops before
        foretold; ``why`` nothing can be told of it, empty where something can.

    Raises:
        RecordError: A column is missing, a loop is there twice, or ``full_dice`` is out of range.
    """
    return fit_frame(forecasts(table, full_dice, statuses=statuses))


def fit_frame(found: Sequence[Forecast]) -> pd.DataFrame:
    """The table of :func:`fit_curves`, of forecasts that are there."""
    names = ("a_max", "delta", "alpha", "beta")
    rows = [
        {
            "setting": one.setting,
            "strategy": one.strategy,
            "budgets": len(one.budgets),
            "seeds": one.seeds,
            **dict.fromkeys(names, math.nan),
            **({} if one.fits is None else dict(zip(names, one.fits.parameters[0], strict=True))),
            "free": 4 if len(one.budgets) >= FREE_FROM else 2,
            "held_out": one.held_out,
            "why": one.why,
        }
        for one in found
    ]
    columns = ["setting", "strategy", "budgets", "seeds", *names, "free", "held_out", "why"]
    return pd.DataFrame(rows, columns=columns)


def patches_to_reach(
    table: pd.DataFrame,
    target: float,
    full_dice: float | Mapping[str, float] | None = None,
    *,
    statuses: Collection[str] = DONE,
) -> pd.DataFrame:
    """How many annotated patches each strategy needs to reach a Dice.

    Args:
        table: The tidy table.
        target: Mean Dice in 0..1.
        full_dice: Dice of the fully annotated pool, which no curve exceeds; a number, or one for
            each setting. 1 where there is none.
        statuses: Which trajectories enter.

    Returns:
        One row a (setting, strategy), sorted: ``patches``, ``low`` and ``high`` (95 % bootstrap
        over seeds), ``verdict``: ``reached`` within the budgets that there are, ``predicted``
        beyond, ``out of reach`` where the curve ends below the target in 97.5 % of the draws,
        or ``cannot be told from N budgets``, where the interval is wider than half of the range of
        the budgets, or the fit is not to be trusted; ``why``. Patches are NaN unless reached or
        predicted.

    Raises:
        RecordError: As :func:`fit_curves`, or the target is no fraction.
    """
    return reach_frame(forecasts(table, full_dice, statuses=statuses), target)


def reach_frame(found: Sequence[Forecast], target: float) -> pd.DataFrame:
    """The table of :func:`patches_to_reach`, of forecasts that are there."""
    if not 0 < target < 1:
        raise RecordError(f"target: expected a Dice between 0 and 1, got {target}")
    rows = [(one.setting, one.strategy, *_reach(one, target)) for one in found]
    columns = ["setting", "strategy", "patches", "low", "high", "verdict", "why"]
    return pd.DataFrame(rows, columns=columns)


def _reach(one: Forecast, target: float) -> tuple[float, float, float, str, str]:
    nothing = (math.nan, math.nan, math.nan)
    if one.trusted is None:
        return (*nothing, one.verdict, one.why)
    patches = one.trusted.reach(target)
    # Taken from the draws themselves, since infinite ones cannot be interpolated.
    low, high = np.percentile(patches[1:][~np.isnan(patches[1:])], _ENDS, method="nearest")
    if math.isinf(low):
        return (*nothing, "out of reach", "the curve ends below it")
    first, last = float(one.budgets[0]), float(one.budgets[-1])
    if high - low > (last - first) / 2 or math.isinf(patches[0]):
        return (*nothing, one.verdict, "the interval is wider than half of the range")
    verdict = "reached" if patches[0] <= last else "predicted"
    return float(patches[0]), float(low), float(high), verdict, ""


def predicted_gain(
    table: pd.DataFrame,
    full_dice: float | Mapping[str, float] | None = None,
    patches: int | None = None,
    worth: float = 0.005,
    *,
    statuses: Collection[str] = DONE,
) -> pd.DataFrame:
    """What further patches would gain, and whether to stop annotating.

    Args:
        table: The tidy table.
        full_dice: As in :func:`patches_to_reach`.
        patches: How many more; as many as the last query if left out.
        worth: Gain in Dice that is worth them.
        statuses: Which trajectories enter.

    Returns:
        One row a (setting, strategy), sorted: ``patches``, ``gain``, ``low`` and ``high`` (95 %
        bootstrap over seeds), ``advice``: ``stop`` where high is below worth and all four
        parameters were fitted, ``go on`` where low is above it, ``undecided`` else, ``cannot be
        told from N budgets`` where the fit is not to be trusted, as after a held-out loop that it
        failed; ``why``.

    Raises:
        RecordError: As :func:`fit_curves`, or a number is not positive.
    """
    return gain_frame(forecasts(table, full_dice, statuses=statuses), patches, worth)


def gain_frame(
    found: Sequence[Forecast], patches: int | None = None, worth: float = 0.005
) -> pd.DataFrame:
    """The table of :func:`predicted_gain`, of forecasts that are there."""
    for name, number in (("patches", patches), ("worth", worth)):
        if number is not None and not number > 0:
            raise RecordError(f"{name}: expected a positive number, got {number}")
    rows = [_gain(one, patches, worth) for one in found]
    columns = ["setting", "strategy", "patches", "gain", "low", "high", "advice", "why"]
    return pd.DataFrame(rows, columns=columns)


def _gain(one: Forecast, patches: int | None, worth: float) -> tuple[object, ...]:
    last = one.budgets[-2:]
    more = patches if patches is not None else int(last[-1] - last[0])
    row = (one.setting, one.strategy, more)
    if one.trusted is None:
        return (*row, math.nan, math.nan, math.nan, one.verdict, one.why)
    values = one.trusted.at(np.array([last[-1], last[-1] + more]))
    gain = values[:, 1] - values[:, 0]
    low, high = np.nanpercentile(gain[1:], _ENDS)
    # Two parameters have no choice of shape: their plateau may be that of the model.
    flat = high < worth and len(one.budgets) >= FREE_FROM
    advice = "stop" if flat else "go on" if low > worth else "undecided"
    return (*row, float(gain[0]), float(low), float(high), advice, "")


def curve_frame(found: Sequence[Forecast], further: float = 1.5, points: int = 41) -> pd.DataFrame:
    """Fitted curves with their 95 % bands, for figures, of those that are to be trusted.

    Args:
        found: From :func:`forecasts`.
        further: How far beyond the last budget, as a multiple of it.
        points: Budgets a curve.

    Returns:
        One row a (setting, strategy, annotated_patches): ``dice``, ``low``, ``high``.
    """
    frames = []
    for one in found:
        if one.trusted is not None:
            budgets = np.linspace(one.budgets[0], further * one.budgets[-1], points)
            values = one.trusted.at(budgets)
            low, high = np.nanpercentile(values[1:], _ENDS, axis=0)
            made = {"annotated_patches": budgets, "dice": values[0], "low": low, "high": high}
            names = {"setting": one.setting, "strategy": one.strategy}
            frames.append(pd.DataFrame(made).assign(**names))
    columns = ["setting", "strategy", "annotated_patches", "dice", "low", "high"]
    frame = pd.concat(frames, ignore_index=True) if frames else pd.DataFrame(columns=columns)
    return frame[columns]
