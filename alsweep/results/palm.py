"""A model of learning curves with four parameters, and many least-squares fits of it at once.

``A(b) = a_max (1 - (1 - delta) ** ((b / first - 1 + alpha) ** beta))``, b annotated patches, first
the first budget. With alpha = 1 the curve begins at ``a_max delta``, whatever beta is.

Source: PALM (ICCV 2025, arXiv:2507.15381), where the budget is counted in queries from 0; counted
in first budgets, it does not depend on how finely the budget was stepped.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from alsweep.results.cube import Floats

FREE_FROM = 6
"""Budgets from which on all four parameters are fitted; with fewer, free fits hardly converge."""

LEAST = 3
"""Budgets that two parameters need."""

_DELTA, _ALPHA, _BETA = (1e-3, 1 - 1e-3), (0.05, 20.0), (0.0, 8.0)
_STEPS = 200
_SLIGHT = 1e-7


@dataclass(frozen=True)
class Points:
    """Means over seeds at each budget, for many resamplings of the seeds at once.

    Attributes:
        budgets: ``(budget,)``, ascending annotated patches.
        means: ``(fit, budget)``; whatever where the weight is 0.
        weights: ``(fit, budget)``: how many values each mean is of.
    """

    budgets: Floats
    means: Floats
    weights: Floats

    def without_last(self) -> "Points":
        """The same without the last budget."""
        return Points(self.budgets[:-1], self.means[:, :-1], self.weights[:, :-1])

    @property
    def starts(self) -> Floats:
        """Means at the first budget, ``(fit,)``."""
        return self.means[:, 0]


@dataclass(frozen=True)
class Fits:
    """Fitted curves.

    Attributes:
        first: The first budget.
        parameters: ``(fit, 4)``: a_max, delta, alpha, beta; NaN where a fit did not converge.
        loss: ``(fit,)``: weighted sum of squares.
    """

    first: float
    parameters: Floats
    loss: Floats

    def at(self, budgets: Floats) -> Floats:
        """Values at budgets, ``(fit, budget)``."""
        return _curve(self.parameters, budgets / self.first - 1)

    def reach(self, target: float) -> Floats:
        """Patches at which each curve reaches a value; infinite where it never does."""
        a_max, delta, alpha, beta = self.parameters.T
        with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
            turns = np.log1p(-np.minimum(target / a_max, 1)) / np.log1p(-delta)
            patches = self.first * (turns ** (1 / beta) + 1 - alpha)
        found = np.where(target < a_max, np.maximum(patches, self.first), np.inf)
        return np.where(np.isnan(a_max), np.nan, found)


def _curve(parameters: Floats, x: Floats) -> Floats:
    a_max, delta, alpha, beta = (parameters[..., k, None] for k in range(4))
    with np.errstate(over="ignore"):
        values: Floats = -a_max * np.expm1(np.log1p(-delta) * (x + alpha) ** beta)
    return values


def fit(points: Points, ceiling: float) -> Fits:
    """Fit a curve to each resampling; the first is fitted from many starts, the rest from it.

    Under six budgets alpha is 1 and delta what the start is of a_max, so that the curve begins at
    the mean of the first budget; a_max, at most the ceiling, and beta are fitted.

    Args:
        points: At least three budgets; the first fit is that of all seeds.
        ceiling: The highest a_max can be; above every start.
    """
    model = _Model(points, ceiling, len(points.budgets) >= FREE_FROM)
    grid = model.grid()
    one = model.only(0)
    losses = one.losses(grid)
    best = grid[np.argsort(losses, kind="stable")[:5]]
    tried, sizes, _ = _descend(model.repeated(len(best)), best)
    first = tried[int(np.argmin(sizes))]
    found, loss, settled = _descend(model, np.repeat(first[None], len(points.means), axis=0))
    parameters = np.where(settled[:, None], model.parameters(found), np.nan)
    return Fits(float(points.budgets[0]), parameters, loss)


class _Model:
    """The model over unbounded numbers, each of which stands for a parameter in its bounds."""

    def __init__(self, points: Points, ceiling: float, free: bool) -> None:
        self._points, self._ceiling, self._free = points, ceiling, free
        self._x = points.budgets / points.budgets[0] - 1

    def only(self, fit: int) -> "_Model":
        """Of one resampling alone."""
        return self._of(np.array([fit]))

    def repeated(self, times: int) -> "_Model":
        """Of the first resampling, so many times."""
        return self._of(np.zeros(times, dtype=np.intp))

    def _of(self, fits: NDArray[np.intp]) -> "_Model":
        points = self._points
        kept = Points(points.budgets, points.means[fits], points.weights[fits])
        return _Model(kept, self._ceiling, self._free)

    def grid(self) -> Floats:
        """Starts all over the range."""
        shares = [[0.1, 0.35, 0.65, 0.9, 0.99], [0.02, 0.05, 0.1, 0.2, 0.35]]
        if self._free:
            shares = [shares[0], [0.05, 0.2, 0.4, 0.6, 0.8], [0.2, 0.4, 0.5, 0.7], shares[1]]
        mesh = np.meshgrid(*shares, indexing="ij")
        inner = np.stack([one.ravel() for one in mesh], axis=1)
        unbounded: Floats = np.log(inner / (1 - inner))
        return unbounded

    def parameters(self, numbers: Floats) -> Floats:
        """Parameters in their bounds, ``(fit, 4)``."""
        share = 1 / (1 + np.exp(-np.clip(numbers, -40, 40)))
        start = self._points.starts
        beta = _BETA[0] + (_BETA[1] - _BETA[0]) * share[:, -1]
        if not self._free:
            low = np.maximum(start, 1e-6)
            a_max = low + (self._ceiling - low) * share[:, 0]
            delta = np.clip(low / a_max, *_DELTA)
            return np.stack([a_max, delta, np.ones_like(beta), beta], axis=1)
        delta = _DELTA[0] + (_DELTA[1] - _DELTA[0]) * share[:, 1]
        alpha = _ALPHA[0] * (_ALPHA[1] / _ALPHA[0]) ** share[:, 2]
        return np.stack([self._ceiling * share[:, 0], delta, alpha, beta], axis=1)

    def misfits(self, numbers: Floats) -> Floats:
        """Weighted residuals, ``(fit, budget)``."""
        values = _curve(self.parameters(numbers), self._x)
        misfits: Floats = np.sqrt(self._points.weights) * (values - self._points.means)
        return misfits

    def losses(self, numbers: Floats) -> Floats:
        """Sums of squares of one resampling at many places, ``(place,)``."""
        losses: Floats = (self.repeated(len(numbers)).misfits(numbers) ** 2).sum(axis=1)
        return losses


def _descend(model: _Model, numbers: Floats) -> tuple[Floats, Floats, NDArray[np.bool_]]:
    """Levenberg and Marquardt's steps for all fits side by side.

    Returns:
        The numbers, the sums of squares, and which fits have settled: the last step that helped
        made less than a ten-millionth of a difference, or none does.
    """
    count = numbers.shape[1]
    misfits = model.misfits(numbers)
    loss = (misfits**2).sum(axis=1)
    damping = np.full(len(numbers), 1e-2)
    settled = np.zeros(len(numbers), dtype=bool)
    for _ in range(_STEPS):
        slopes = _slopes(model, numbers, misfits)
        square = np.einsum("ftp,ftq->fpq", slopes, slopes)
        scale = np.einsum("fpp->fp", square) + 1e-12
        square = square + np.eye(count) * (damping[:, None] * scale)[:, None, :]
        pull = np.einsum("ftp,ft->fp", slopes, misfits)
        step = np.clip(np.linalg.solve(square, pull[..., None])[..., 0], -3, 3)
        tried = np.where(settled[:, None], numbers, numbers - step)
        after = model.misfits(tried)
        smaller = (after**2).sum(axis=1)
        better = smaller < loss
        slight = loss - smaller < _SLIGHT * (smaller + 1e-12)
        settled |= (better & slight) | (damping > 1e8)
        numbers = np.where(better[:, None], tried, numbers)
        misfits = np.where(better[:, None], after, misfits)
        loss = np.where(better, smaller, loss)
        damping = np.where(better, damping / 4, damping * 4)
        if settled.all():
            break
    return numbers, loss, settled


def _slopes(model: _Model, numbers: Floats, misfits: Floats) -> Floats:
    """Of the residuals, ``(fit, budget, number)``."""
    found = []
    for place in range(numbers.shape[1]):
        moved = numbers.copy()
        moved[:, place] += 1e-5
        found.append((model.misfits(moved) - misfits) / 1e-5)
    return np.stack(found, axis=2)
