"""When a strategy may stop costing: the rule of a race, for a scheduler and for replays alike.

Strategies of a setting are run seed by seed. After a seed that all of them have finished, one that
is worse than the leader, or than a declared control, is dropped, if two things hold:

- It is significantly worse, at a level that holds over all looks at the data and all strategies
  together. With two or three seeds a pair's own variance has one or two degrees of freedom, so it
  borrows strength: it is shrunk towards that of all pairs of the setting. How much that may be
  trusted depends on how unlike the strategies are, so the level is found by simulation, for equal
  noise and for one strategy with three times the noise of the others, and the stricter counts. It
  covers that the data choose the leader. One with ten times the noise is dropped wrongly, or wins
  wrongly, in up to a tenth of settings: benchmarks/racing.py.
- With all planned seeds the headline test (paired t, Holm) would very probably say the same of all
  that are dropped together. So a race reaches the verdicts of the full design, only sooner.

Source: shrunk variances as in Smyth 2004 (Stat Appl Genet Mol Biol 3:3), with a fixed prior; the
prediction is stochastic curtailment (Lan, Simon and Halperin 1982; predictive power, Spiegelhalter
et al. 1986).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from scipy.special import stdtr

from alsweep.errors import RecordError
from alsweep.results.cube import Floats
from alsweep.results.paired import holm, paired_tests, two_sided
from alsweep.rng import stream

FEWEST_SEEDS = 2
"""A difference of one seed has no spread, so that nothing can be said of it."""

_NOISY = 3.0
_TABLES = 4000
_FUTURES = 2000

Bools = NDArray[np.bool_]


@dataclass(frozen=True)
class RaceRule:
    """What is asked before a strategy is dropped.

    Attributes:
        alpha: Probability of dropping any strategy wrongly in a setting where all are equal.
        control: Strategy that the others race against; None for the leader.
        assurance: Least probability that the headline test on all planned seeds says the same of
            all that are dropped at a look.
        prior_df: Degrees of freedom that the variance of all pairs counts for beside a pair's own.
        each_loop: Look after each loop of a seed too, not only at its end.
    """

    alpha: float = 0.05
    control: str | None = None
    assurance: float = 0.95
    prior_df: float = 3.0
    each_loop: bool = False

    def __post_init__(self) -> None:
        for name in ("alpha", "assurance"):
            value = getattr(self, name)
            if not 0 < value < 1:
                raise RecordError(f"{name}: expected a number between 0 and 1, got {value}")
        if not 0 <= self.prior_df < float("inf"):
            raise RecordError(
                f"prior_df: expected a number of degrees of freedom, 0 or more, got {self.prior_df}"
            )


@dataclass(frozen=True)
class Look:
    """What follows from one look at a setting.

    Attributes:
        dropped: Strategy to the one that it was dropped for.
        settled: Strategies that need no further seeds, since all about them is decided.
    """

    dropped: dict[str, str]
    settled: frozenset[str]


class Race:
    """The race of one setting's strategies.

    Args:
        strategies: All of them, in any order; results do not depend on it.
        seeds: Planned for each.
        rule: What is asked.
        loops: Of a trajectory; the first one's labels are the same for all strategies.
    """

    def __init__(self, strategies: Sequence[str], seeds: int, loops: int, rule: RaceRule) -> None:
        self.strategies = sorted(strategies)
        self.seeds = seeds
        control = rule.control if rule.control in self.strategies else None
        self.rule = replace(rule, control=control)
        self._control = None if control is None else self.strategies.index(control)
        looks = max(1, loops - 1) if rule.each_loop else 1
        self._level = _level(len(self.strategies), seeds, looks, self.rule)

    def look(self, values: Floats, running: Sequence[str]) -> Look:
        """Decide what can be decided.

        Args:
            values: ``(strategy, seed)``, in the order of ``strategies``, of the seeds that are
                begun; higher is better; NaN where a trajectory has no value. Strategies that were
                dropped keep theirs: they still tell how large the noise is.
            running: Strategies that still race.

        Returns:
            Nobody dropped while there are too few seeds, or when the last planned one is begun.
        """
        racing = np.isin(self.strategies, list(running))
        if values.shape[1] >= self.seeds:
            return Look({}, frozenset())
        pairs = _Pairs.of(values, self.rule.prior_df)
        against = self._rival(values, racing)
        if against is None:
            return Look({}, frozenset())
        open_ = np.flatnonzero(self._undecided(pairs, against, racing))
        if not len(open_):
            return Look({}, frozenset())
        worse, better = self._verdicts(pairs, values, against, open_)
        names, rival = self.strategies, self.strategies[against]
        dropped = {names[i]: rival for i in open_[worse]}
        settled = set(dropped)
        if self._control is not None:
            settled |= {names[i] for i in open_[better]}
        if set(running) - settled == {rival}:
            settled.add(rival)
        return Look(dropped, frozenset(settled))

    def _rival(self, values: Floats, racing: Bools) -> int | None:
        """The control, or who leads on the seeds that all who may lead have; ties go to the first.

        Who lacks most seeds may not lead where the others would share too few: one strategy that
        fails keeps nobody from being decided.
        """
        if self._control is not None:
            return self._control if racing[self._control] else None
        there, able = np.isfinite(values), racing.copy()
        while (common := there[able].all(axis=0)).sum() < FEWEST_SEEDS and able.sum() > 1:
            able[np.where(able, there.sum(axis=1), values.shape[1] + 1).argmin()] = False
        if racing.sum() < 2 or common.sum() < FEWEST_SEEDS:
            return None
        means = np.where(able, values[:, common].mean(axis=1), -np.inf)
        return int(means.argmax())

    def _undecided(self, pairs: _Pairs, against: int, racing: Bools) -> Bools:
        """Whom the rival can be compared with now, before all its seeds are there."""
        can: Bools = racing & (pairs.n[against] >= FEWEST_SEEDS)
        can[against] = False
        return can

    def _verdicts(
        self, pairs: _Pairs, values: Floats, against: int, open_: NDArray[np.intp]
    ) -> tuple[Bools, Bools]:
        """Which of the open strategies are worse than the rival, and which better."""
        mean, found = pairs.mean[against, open_], pairs.p[against, open_] < self._level
        if self._control is None:
            found &= mean > 0  # nothing follows from one that is better than the leader
        if not found.any():  # drawing futures takes nearly all of a look's time
            return found, found
        sure = found & self._surest(self._foreseen(pairs, values, against, open_), found)
        return sure & (mean > 0), sure & (mean < 0)

    def _surest(self, same: Bools, found: Bools) -> Bools:
        """The most strategies of which the headline test says the same of all of them together.

        Args:
            same: ``(draw, strategy)``.
            found: Who is asked for.
        """
        order = np.flatnonzero(found)
        order = order[np.argsort(-same[:, order].mean(axis=0), kind="stable")]
        together = np.logical_and.accumulate(same[:, order], axis=1).mean(axis=0)
        sure = np.zeros_like(found)
        sure[order[together >= self.rule.assurance]] = True
        return sure

    def _foreseen(
        self, pairs: _Pairs, values: Floats, against: int, open_: NDArray[np.intp]
    ) -> Bools:
        """Where the headline test on all seeds says of each what is said now; (draw, strategy).

        Strategies that were decided before count as significant in Holm's family.
        """
        differences = values[against] - values[open_]
        tests = paired_tests(_futures(differences, pairs, against, open_, self.seeds))
        decided = len(self.strategies) - 1 - len(open_)
        adjusted = holm(np.pad(tests.p, ((0, 0), (0, decided))))[:, : len(open_)]
        now = np.sign(pairs.mean[against, open_])
        same: Bools = (adjusted < self.rule.alpha) & (np.sign(tests.mean) == now)
        return same


@dataclass(frozen=True)
class _Pairs:
    """All ordered pairs of strategies over their common seeds; arrays ``(strategy, other)``.

    ``variance`` is shrunk and counts ``free`` degrees of freedom.
    """

    n: NDArray[np.int64]
    mean: Floats
    variance: Floats
    free: Floats
    p: Floats

    @staticmethod
    def of(values: Floats, prior_df: float) -> _Pairs:
        """Compare all strategies with each other; ``values`` is ``(strategy, seed)``."""
        differences = values[:, None] - values[None]
        there = np.isfinite(differences)
        n = there.sum(axis=-1)
        mean = np.where(there, differences, 0).sum(axis=-1) / np.maximum(n, 1)
        squares = (np.where(there, differences - mean[..., None], 0) ** 2).sum(axis=-1)
        variance, free = _shrunk(squares, n, prior_df)
        p = two_sided(mean, np.sqrt(variance / np.maximum(n, 1)), np.maximum(free, 1))
        return _Pairs(n, mean, variance, free, np.where(n >= FEWEST_SEEDS, p, 1.0))


def _shrunk(squares: Floats, n: NDArray[np.int64], prior_df: float) -> tuple[Floats, Floats]:
    """Variances of pairs that borrow from all pairs, and their degrees of freedom.

    Args:
        squares: Sums of squared deviations, ``(..., strategy, other)``.
        n: Seeds of each pair.
        prior_df: Most degrees of freedom that all pairs together count for; fewer where there are
            few strategies, since two have nobody to borrow from.
    """
    own = np.maximum(n - 1, 0)
    upper = np.triu(np.ones(squares.shape[-2:], dtype=bool), 1)
    total = np.where(upper, own, 0).sum(axis=(-2, -1))
    typical = np.where(upper, squares, 0).sum(axis=(-2, -1)) / np.maximum(total, 1)
    borrowed = np.minimum(prior_df, own * max(squares.shape[-1] - 2, 0))
    free = own + borrowed
    variance = (borrowed * typical[..., None, None] + squares) / np.maximum(free, 1)
    return variance, free


def _futures(
    differences: Floats, pairs: _Pairs, against: int, open_: NDArray[np.intp], seeds: int
) -> Floats:
    """Draw how differences may look with all seeds, ``(draw, strategy, seed)``.

    What is there stays; the rest follows from the mean and the shrunk variance, which are as
    uncertain as their degrees of freedom say.
    """
    rng = stream(0, "race", seeds, int(np.isfinite(differences).sum()), len(open_))
    n, free = pairs.n[against, open_], pairs.free[against, open_]
    drawn = pairs.variance[against, open_] * free / rng.chisquare(free, (_FUTURES, len(open_)))
    spread = np.sqrt(drawn)
    mean = pairs.mean[against, open_] + spread / np.sqrt(n) * rng.normal(size=spread.shape)
    there = np.full((len(open_), seeds), np.nan)
    there[:, : differences.shape[1]] = differences
    noise = rng.normal(size=(_FUTURES, *there.shape))
    return np.where(np.isnan(there), mean[..., None] + spread[..., None] * noise, there)


@lru_cache
def _level(strategies: int, seeds: int, loops: int, rule: RaceRule) -> float:
    """The level of a single look and pair at which ``alpha`` holds for all of them together.

    Simulated tables in which all strategies are equal, with equal noise and with one that has three
    times the noise (the control, too, where there is one); the strictest counts. A fixed generator:
    equal designs have equal levels.

    Args:
        strategies: How many race.
        seeds: Planned for each.
        loops: At whose ends the data are looked at, for each seed.
        rule: Its control is one of the strategies, or None.
    """
    if seeds <= FEWEST_SEEDS or strategies < 2:
        return rule.alpha
    rng = stream(0, "race level", strategies, seeds, loops)
    curves = rng.normal(size=(_TABLES, strategies, seeds, loops))
    level = float(np.quantile(_smallest_p(curves, rule), rule.alpha))
    # Without a control it does not matter which one is noisy.
    for noisy in (0,) if rule.control is None else (0, 1):
        unlike = curves.copy()
        unlike[:, noisy] *= _NOISY
        level = min(level, float(np.quantile(_smallest_p(unlike, rule), rule.alpha)))
    return level


def _smallest_p(curves: Floats, rule: RaceRule) -> Floats:
    """The smallest p of any pair at any look, for each simulated table.

    Args:
        curves: ``(table, strategy, seed, loop)`` of loops with noise of their own.
        rule: As given.
    """
    seeds, loops = curves.shape[2:]
    areas = curves.cumsum(axis=-1) / np.arange(1, loops + 1)
    smallest = np.ones(len(curves))
    for n in range(FEWEST_SEEDS, seeds):
        for end in range(loops):
            seen = np.concatenate([areas[:, :, : n - 1, -1], areas[:, :, n - 1 : n, end]], axis=-1)
            smallest = np.minimum(smallest, _smallest_of_look(seen, rule))
    return smallest


def _smallest_of_look(values: Floats, rule: RaceRule) -> Floats:
    """The smallest p of any pair, for each table ``(table, strategy, seed)``."""
    strategies, n = values.shape[1:]
    # The sums of (a - b)^2 from the products of all pairs of strategies.
    products = values @ values.swapaxes(-1, -2)
    own = np.diagonal(products, axis1=-2, axis2=-1)
    sums = values.sum(axis=-1)
    total = sums[..., :, None] - sums[..., None, :]
    squares = own[..., :, None] + own[..., None, :] - 2 * products - total**2 / n
    counts = np.full((strategies, strategies), n)
    variance, free = _shrunk(np.maximum(squares, 0), counts, rule.prior_df)
    rivals = slice(0, 1) if rule.control is not None else slice(None)
    with np.errstate(invalid="ignore", divide="ignore"):
        t = np.nan_to_num(np.abs(total / n) / np.sqrt(variance / n))[:, rivals]
    p: Floats = 2 * stdtr(max(float(free[0, 0]), 1.0), -t.max(axis=(-2, -1)))
    return p
