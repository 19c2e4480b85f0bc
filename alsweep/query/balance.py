"""Balance of a query: how near each class's sizes in it come to a uniform distribution."""

from dataclasses import dataclass

import numpy as np

GRID = 400
"""Points at which a density is compared with the uniform one."""

_REACH = 3.0
"""Bandwidths by which the grid goes beyond the values on both sides."""

_OUTER = 0.05


@dataclass(frozen=True)
class ClassDensity:
    """Gaussian kernel density of one class's sizes, on a grid.

    Attributes:
        curves: Of each candidate that holds the class, ``(candidate, point)``, at the points where
            the uniform distribution is not 0.
        masses: Of each, over the whole grid, ``(candidate,)``.
        index: Row of each candidate in the two, -1 where it does not hold the class.
        uniform: The uniform distribution at each of those points.
    """

    curves: np.ndarray
    masses: np.ndarray
    index: np.ndarray
    uniform: float

    def scores(self, chosen: np.ndarray, mass: float, candidates: np.ndarray) -> np.ndarray:
        """Nearness to the uniform distribution with each candidate added, in ``[0, 1]``.

        A kernel density is a sum: of the chosen ones, and of each candidate's own curve.

        Args:
            chosen: Sum of the curves of what is chosen, ``(point,)``.
            mass: Sum of their masses.
            candidates: Indices of candidates that hold the class.
        """
        rows = self.index[candidates]
        total = np.maximum(chosen + self.curves[rows], np.finfo(float).tiny)
        divergence = np.log(self.uniform) - np.log(total).mean(axis=1)
        divergence += np.log(mass + self.masses[rows])
        return np.asarray(nearness(divergence))


def nearness(divergence: np.ndarray) -> np.ndarray:
    """``1 - (2/pi) atan((pi/2) KL)``: 1 where nothing is apart, 0 where all is.

    Source: Luo et al. 2023 (CRB), eq. 12 and its code.
    """
    return np.asarray(1 - 2 / np.pi * np.arctan(np.pi / 2 * np.maximum(divergence, 0.0)))


def class_density(every: np.ndarray, values: np.ndarray) -> ClassDensity | None:
    """Density of one class.

    Args:
        every: Sizes in all candidates of the pool that hold it: they give bounds and bandwidth.
        values: Of the candidates to choose from, ``(candidate,)``; NaN where it is absent.

    Returns:
        None where no candidate of the pool holds it: the class is left out.
    """
    if not len(every):
        return None
    width = bandwidth(every)
    grid = np.linspace(every.min() - _REACH * width, every.max() + _REACH * width, GRID)
    low, high = np.quantile(every, (_OUTER, 1 - _OUTER))
    inside = (grid >= low) & (grid <= high)
    if not inside.any():  # Both bounds between two points.
        inside = np.abs(grid - (low + high) / 2) == np.abs(grid - (low + high) / 2).min()
    held = np.flatnonzero(~np.isnan(values))
    curves = np.exp(-(((grid - values[held, None]) / width) ** 2) / 2)
    index = np.full(len(values), -1)
    index[held] = np.arange(len(held))
    return ClassDensity(curves[:, inside], curves.sum(axis=1), index, 1 / int(inside.sum()))


def bandwidth(values: np.ndarray) -> float:
    """Scott's rule; of values that are all the same it is 1."""
    spread = float(values.std(ddof=1)) if len(values) > 1 else 0.0
    return spread * len(values) ** -0.2 if spread > 0 else 1.0


class Balance:
    """Which candidate brings the chosen ones nearest to a uniform distribution, over all classes.

    Args:
        sizes: Of each class in each candidate, ``(candidate, class)``; NaN where it is absent.
        every: The same of all candidates of the pool.
        before: The same of what counts as chosen already.

    Source: Luo et al. 2023 (CRB), balanced sampling.
    """

    def __init__(self, sizes: np.ndarray, every: np.ndarray, before: np.ndarray) -> None:
        both = np.concatenate([sizes, before])
        found = (
            class_density(column[~np.isnan(column)], own)
            for column, own in zip(every.T, both.T, strict=True)
        )
        self._classes = [density for density in found if density is not None]
        self._count = len(sizes)
        self._sums = [np.zeros(density.curves.shape[1]) for density in self._classes]
        self._masses = [0.0] * len(self._classes)
        self._scores = np.zeros((len(self._classes), self._count))
        for index in range(self._count, len(both)):
            self._count_in(index)
        for number in range(len(self._classes)):
            self._update(number)

    @property
    def scores(self) -> np.ndarray:
        """Mean over the classes, ``(candidate,)``; a class that a candidate lacks gives 0."""
        if not self._classes:
            return np.zeros(self._count)
        return np.asarray(self._scores.mean(axis=0))

    def add(self, index: int) -> None:
        """Count a candidate among the chosen."""
        for number in self._count_in(index):
            self._update(number)

    def _count_in(self, index: int) -> list[int]:
        """Add a curve to each class that is there; gives the numbers of these."""
        held = [n for n, density in enumerate(self._classes) if density.index[index] >= 0]
        for number in held:
            density = self._classes[number]
            self._sums[number] += density.curves[density.index[index]]
            self._masses[number] += float(density.masses[density.index[index]])
        return held

    def _update(self, number: int) -> None:
        """Only the classes of what was added last have other scores than before."""
        density = self._classes[number]
        held = np.flatnonzero(density.index[: self._count] >= 0)
        sums, mass = self._sums[number], self._masses[number]
        self._scores[number, held] = density.scores(sums, mass, held)
