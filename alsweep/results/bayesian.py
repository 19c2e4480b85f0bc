"""What is probable of a difference, given the data, with a region in which it is none."""

import math
from collections.abc import Collection, Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.special import stdtr

from alsweep.errors import RecordError
from alsweep.results.comparing import checked_controls, meetings
from alsweep.results.cube import DONE, Floats
from alsweep.results.paired import paired_tests
from alsweep.results.rank_tests import LEAST_SETTINGS
from alsweep.results.scores import Measure, setting_scores
from alsweep.rng import stream

DRAWS = 50_000
"""Of the posterior over settings."""

PRIOR = 0.5
"""Weight of the prior pseudo-setting, which has no difference; a setting has 1."""

_PROBABILITIES = ("p_better", "p_equal", "p_worse")


def bayesian_compare(
    table: pd.DataFrame,
    controls: Sequence[str],
    metric: Measure = "aubc",
    rope: float = 0.005,
    *,
    correlation: float = 0.0,
    statuses: Collection[str] = DONE,
) -> pd.DataFrame:
    """Probability in each setting that a strategy is better than a control, equal, or worse.

    The Bayesian correlated t-test on the differences of common seeds, by its closed form.

    Args:
        table: The tidy table.
        controls: Labels of strategies.
        metric: ``aubc`` or ``final``; higher is better.
        rope: Half-width of the region of practical equivalence, in units of the metric; 0 for none.
        correlation: Of the differences of two seeds. 0: seeds are independent repetitions on one
            dataset. The source has folds of a cross-validation, whose is 1 / folds.
        statuses: Which trajectories enter.

    Returns:
        One row a setting, control and other strategy, as in :func:`alsweep.results.compare`:
        ``setting``, ``control``, ``strategy``, ``n``, ``mean_difference``, ``p_better``,
        ``p_equal``, ``p_worse``; these are NaN for fewer than two common seeds.

    Raises:
        RecordError: A column is missing, a loop is there twice, a number is out of its range, or no
            row bears a control's label.

    Source: Corani and Benavoli 2015, Machine Learning 100; Benavoli et al. 2017, JMLR 18.
    """
    wanted = checked_controls(table, controls)
    _check(rope, correlation)
    found = []
    for setting, values in setting_scores(table, metric, statuses).items():
        for control, strategy in meetings(wanted, list(values.index)):
            test = paired_tests(_differences(values, control, strategy))
            n, mean, deviation = int(test.n), float(test.mean), float(test.deviation)
            p = _posterior(n, mean, deviation, rope, correlation)
            found.append((setting, control, strategy, n, mean, *p))
    columns = ["setting", "control", "strategy", "n", "mean_difference", *_PROBABILITIES]
    return pd.DataFrame(found, columns=columns)


def _differences(values: pd.DataFrame, control: str, strategy: str) -> Floats:
    """Strategy - control of each seed; NaN where one of the two has no value."""
    rows = values.to_numpy(dtype=np.float64)
    one, other = values.index.get_indexer(pd.Index([strategy, control]))
    differences: Floats = rows[one] - rows[other]
    return differences


def _mean(differences: Floats) -> float:
    """Of those that are defined; NaN without any."""
    return float(paired_tests(differences).mean)


def _check(rope: float, correlation: float = 0.0) -> None:
    if not rope >= 0:
        raise RecordError(f"rope: expected a number >= 0, got {rope}")
    if not 0 <= correlation < 1:
        raise RecordError(f"correlation: expected a number from 0 to below 1, got {correlation}")


def _posterior(
    n: int, mean: float, deviation: float, rope: float, correlation: float
) -> tuple[float, float, float]:
    """Better, equal, worse, by Student's t round the mean."""
    if n < 2:
        return math.nan, math.nan, math.nan
    scale = deviation * math.sqrt(1 / n + correlation / (1 - correlation))
    worse, better = _below(-rope - mean, scale, n - 1), _below(mean - rope, scale, n - 1)
    if rope == 0:
        # Differences that are all 0 leave it open, half and half.
        return better, 0.0, 1 - better
    return better, max(0.0, 1 - better - worse), worse


def _below(distance: float, scale: float, free: int) -> float:
    """Share of the posterior on one side of a limit that lies so far from its mean."""
    if scale > 0:
        return float(stdtr(free, distance / scale))
    return 0.5 if distance == 0 else float(distance > 0)


def bayesian_over_settings(
    table: pd.DataFrame,
    controls: Sequence[str],
    metric: Measure = "aubc",
    rope: float = 0.005,
    *,
    draws: int = DRAWS,
    statuses: Collection[str] = DONE,
) -> pd.DataFrame:
    """Probability that a strategy is better than a control on a new setting such as these.

    The Bayesian signed-rank test: a Dirichlet process over the settings' mean differences, with a
    prior of half a setting without a difference.

    Args:
        table: The tidy table.
        controls: Labels of strategies.
        metric: ``aubc`` or ``final``; higher is better.
        rope: Half-width of the region of practical equivalence, in units of the metric; 0 for none.
        draws: Of the posterior.
        statuses: Which trajectories enter.

    Returns:
        One row a control and other strategy: ``control``, ``strategy``, ``settings`` (with a common
        seed), ``mean_difference`` (mean over them), ``p_better``, ``p_equal``, ``p_worse``: shares
        of the draws in which each is the most probable. NaN for fewer than two settings.

    Raises:
        RecordError: As :func:`bayesian_compare`.

    Source: Benavoli et al. 2014, ICML; Benavoli et al. 2017, JMLR 18, section 4.2.
    """
    wanted = checked_controls(table, controls)
    _check(rope)
    settings = setting_scores(table, metric, statuses).values()
    names = sorted({str(name) for values in settings for name in values.index})
    weights: dict[int, NDArray[np.float32]] = {}
    found = []
    for control, strategy in meetings(wanted, names):
        means = np.array(
            [
                difference
                for values in settings
                if control in values.index and strategy in values.index
                if not math.isnan(difference := _mean(_differences(values, control, strategy)))
            ]
        )
        if len(means) not in weights:
            weights[len(means)] = _weights(len(means), draws)
        p = _signed_rank(means, rope, weights[len(means)])
        mean = float(means.mean()) if len(means) else math.nan
        found.append((control, strategy, len(means), mean, *p))
    columns = ["control", "strategy", "settings", "mean_difference", *_PROBABILITIES]
    return pd.DataFrame(found, columns=columns)


def _weights(settings: int, draws: int) -> NDArray[np.float32]:
    """Draws of the Dirichlet process, ``(draw, 1 + setting)``; the prior comes first."""
    rng = stream(0, "dirichlet", settings)
    return rng.dirichlet([PRIOR, *[1.0] * settings], size=draws).astype(np.float32)


def _signed_rank(
    means: Floats, rope: float, weights: NDArray[np.float32]
) -> tuple[float, float, float]:
    """Better, equal, worse: which is the most probable of each draw, as shares of all draws."""
    if len(means) < LEAST_SETTINGS:
        return math.nan, math.nan, math.nan
    differences = np.sort(means)
    # Sorted, so that rows in another order do not meet other weights.
    differences = np.concatenate([[0.0], differences])
    sums = differences[:, None] + differences
    above = _mass(weights, sums, 2 * rope)
    if rope == 0:
        better = float((above > 0.5).mean() + 0.5 * (above == 0.5).mean())
        return better, 0.0, 1 - better
    below = _mass(weights, -sums, 2 * rope)
    winner = np.argmax([below, 1 - above - below, above], axis=0)
    worse, equal, better = np.bincount(winner, minlength=3) / len(winner)
    return float(better), float(equal), float(worse)


def _mass(weights: NDArray[np.float32], sums: Floats, limit: float) -> NDArray[np.float32]:
    """Weight of the pairs of settings whose differences add up to more than a limit."""
    beyond = ((sums > limit) + 0.5 * (sums == limit)).astype(np.float32)
    mass: NDArray[np.float32] = np.einsum("ds,ds->d", weights @ beyond, weights)
    return mass
