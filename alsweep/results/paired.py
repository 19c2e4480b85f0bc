"""Paired t-tests on differences between seeds: what they found, and what they could have found."""

import warnings
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import brentq
from scipy.special import stdtr, stdtrit
from scipy.stats import nct

from alsweep.errors import RecordError
from alsweep.results.cube import Floats

Counts = NDArray[np.int64]

POWER = 0.8
"""Share of repetitions in which a difference shall be found, wherever power is told."""

MOST_SEEDS = 1000
"""More further seeds than that are no plan."""

ROUNDING = 1e-12
"""Differences up to this are none: the same Dice, averaged or integrated in another order."""


@dataclass(frozen=True)
class Paired:
    """Two-sided t-tests of differences against 0; arrays of one shape.

    Attributes:
        n: Seeds that both have.
        mean: Of the differences; NaN without any.
        deviation: Standard deviation (ddof 1); NaN for fewer than two seeds.
        p: NaN for fewer than two seeds. Differences that are all equal leave no doubt (t is
            infinite) if they are not 0, and show no difference if they are.
    """

    n: Counts
    mean: Floats
    deviation: Floats
    p: Floats


def paired_tests(differences: Floats) -> Paired:
    """Test along the last axis, that of the seeds; NaN where a seed is not common."""
    there = np.isfinite(differences)
    n = there.sum(axis=-1)
    # What is left of equal numbers after rounding would be a difference without any doubt.
    known = np.where(there & (np.abs(differences) > ROUNDING), differences, 0)
    mean = np.where(n > 0, known.sum(axis=-1) / np.maximum(n, 1), np.nan)
    squares = np.where(there, known - np.where(n > 0, mean, 0)[..., None], 0) ** 2
    deviation = np.sqrt(squares.sum(axis=-1) / np.maximum(n - 1, 1))
    deviation = np.where(n >= 2, deviation, np.nan)
    return Paired(n, mean, deviation, _p_values(n, mean, deviation))


def _p_values(n: Counts, mean: Floats, deviation: Floats) -> Floats:
    p = two_sided(mean, deviation / np.sqrt(np.maximum(n, 1)), np.maximum(n - 1, 1))
    values: Floats = np.where(n >= 2, p, np.nan)
    return values


def two_sided(mean: Floats, error: Floats, free: Counts | Floats) -> Floats:
    """Return p of t-tests of means against 0, from standard errors and degrees of freedom."""
    certain = np.where(mean == 0, 0.0, np.inf)
    t = np.divide(np.abs(mean), error, out=certain, where=error > 0)
    p: Floats = 2 * stdtr(free, -t)
    return p


def half_width(tests: Paired, alpha: float) -> Floats:
    """Half of the 1 - ``alpha`` t interval of each mean; NaN for fewer than two seeds."""
    quantile = stdtrit(np.maximum(tests.n - 1, 1), 1 - alpha / 2)
    width: Floats = quantile * tests.deviation / np.sqrt(np.maximum(tests.n, 1))
    return width


def holm(p: Floats) -> Floats:
    """Return p-values adjusted by Holm: each is compared with the level of the whole family.

    A family lies along the last axis; the others hold as many as there are. NaN is no test: it is
    not counted and stays NaN. Own code, since statsmodels' collects all garbage of the process in
    each call, and a table of many settings takes many calls.

    Source: Holm 1979.
    """
    order = np.argsort(p, axis=-1, kind="stable")
    left = np.isfinite(p).sum(axis=-1, keepdims=True) - np.arange(p.shape[-1])
    # NaN comes last, so that what is known is accumulated before it.
    steps = np.maximum.accumulate(left * np.take_along_axis(p, order, -1), axis=-1)
    adjusted = np.empty(p.shape)
    np.put_along_axis(adjusted, order, np.minimum(steps, 1), -1)
    return adjusted


def needed_effect(n: int, tests: int = 1, alpha: float = 0.05) -> float:
    """How many standard deviations of the differences their mean must exceed to be significant.

    Args:
        n: Common seeds, at least 2.
        tests: Size of the family that Holm corrects for, which its first step divides alpha by.
        alpha: Level of the family.
    """
    return float(stdtrit(n - 1, 1 - alpha / (2 * tests)) / np.sqrt(n))


def detectable_effect(n: int, alpha: float = 0.05, power: float = POWER) -> float:
    """The true mean, in standard deviations, that a test of ``n`` seeds finds with ``power``.

    By the noncentral t distribution, thus exact for differences that are normally distributed.

    Raises:
        RecordError: ``power`` is not between ``alpha`` and 1.
    """
    if not 0 < alpha < power < 1:
        raise RecordError(f"power: expected a number between alpha, {alpha:g}, and 1, got {power}")
    high = needed_effect(n, alpha=alpha)
    while _power(high, n, alpha) < power:
        high *= 2
    return float(brentq(lambda effect: _power(effect, n, alpha) - power, 0, high))


def further_seeds(n: Counts, effect: Floats, alpha: Floats) -> Floats:
    """Fewest seeds beyond ``n`` with which an effect is found with power 0.8.

    Args:
        n: Seeds that there are, at least 2.
        effect: Mean over standard deviation, >= 0.
        alpha: Level of the two-sided test.

    Returns:
        1 to 1,000, NaN above.
    """
    low, high = np.zeros(len(n)), np.full(len(n), float(MOST_SEEDS))
    reached = _power(effect, n + high, alpha) >= POWER
    # Power grows with the seeds: high always has enough of it, low has not.
    while len(n) and (high - low).max() > 1:
        middle = np.floor((low + high) / 2)
        enough = _power(effect, n + middle, alpha) >= POWER
        low, high = np.where(enough, low, middle), np.where(enough, middle, high)
    return np.where(reached, high, np.nan)


def _power(effect: float | Floats, n: float | Floats, alpha: float | Floats) -> Floats:
    """Power of the two-sided test; statsmodels' own is NaN for many large effects."""
    free, shift = np.asarray(n) - 1, np.asarray(effect) * np.sqrt(n)
    limit = -stdtrit(free, np.asarray(alpha) / 2)
    with warnings.catch_warnings():
        # Where a series does not converge in the last digits, power is 1 or the difference absurd.
        warnings.simplefilter("ignore", RuntimeWarning)
        power: Floats = nct.sf(limit, free, shift) + nct.sf(limit, free, -shift)
    return power
