"""The headline test: every strategy against each control, on one number a trajectory."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.special import stdtrit

from alsweep.config.report import no_such_label
from alsweep.errors import RecordError
from alsweep.results.cube import DONE, Floats
from alsweep.results.paired import (
    Paired,
    detectable_effect,
    further_seeds,
    half_width,
    holm,
    paired_tests,
)
from alsweep.results.scores import MEASURES, Measure, check_measure


@dataclass(frozen=True)
class _Pairs:
    """Who meets whom; entries belong together, ``differences`` are ``(pair, seed)``."""

    setting: str
    controls: tuple[str, ...]
    strategies: tuple[str, ...]
    differences: Floats


@dataclass(frozen=True)
class _Tested:
    """What came of all pairs; ``family`` is the number of tests in the pair's setting."""

    tests: Paired
    adjusted: Floats
    family: Floats


def compare(
    table: pd.DataFrame,
    controls: Sequence[str],
    metric: Measure = "aubc",
    alpha: float = 0.05,
    rope: float = 0.005,
    *,
    statuses: Collection[str] = DONE,
) -> pd.DataFrame:
    """Compare every strategy with each control, paired by the seeds that both have.

    Many to one is what can be decided with few seeds: all pairs of nine strategies at four budgets
    are 144 tests a setting, and with four seeds the smallest of their p-values must then belong to
    a difference of 9.2 standard deviations; eight strategies against one control are 8 tests, 3.5.

    Args:
        table: The tidy table.
        controls: Labels of strategies, such as ``["random_fg66", "random"]``.
        metric: ``aubc`` or ``final``; higher is better.
        alpha: Level held over all tests of a setting together.
        rope: Half-width of the region of practical equivalence, in units of the metric.
        statuses: Which trajectories enter.

    Returns:
        One row a setting, control that is in it, and other strategy, sorted by setting, by control
        as declared, and by strategy; two controls meet once, where the one declared first is the
        control. Columns: ``n``, common seeds; ``mean_difference``, strategy - control; ``low`` and
        ``high``, its unadjusted 1 - alpha t interval; ``p``, two-sided paired t; ``p_adjusted``,
        Holm over all rows of the setting that have a p; ``verdict``: ``better`` or ``worse`` where
        ``p_adjusted < alpha``, else ``equivalent`` where the 1 - 2 alpha interval lies within
        +-rope, else ``undecided``; ``seeds_to_decide``: fewest further seeds that would find the
        observed mean and deviation with power 0.8 at level alpha / (rows with a p), 0 where it is
        decided, null above 1,000 or for fewer than two seeds. Fewer than two common seeds: no
        interval and no p.

    Raises:
        RecordError: A column is missing, a loop is there twice, no row bears a control's label, or
            a number is out of its range.
    """
    wanted = _checked(table, controls, metric, alpha, rope)
    scores = MEASURES[metric](table, statuses=statuses)
    pairs = [
        _pairs(str(setting), group.pivot(index="strategy", columns="seed", values=metric), wanted)
        for setting, group in scores.groupby("setting", sort=True)
    ]
    return _frame(pairs, alpha, rope)


def detectable(rows: pd.DataFrame, alpha: float = 0.05) -> "pd.Series[float]":
    """The smallest true difference that each comparison would have found with power 0.8.

    Args:
        rows: From :func:`compare` or its ``comparisons.csv``: whole settings, since the level is
            shared by the tests of a setting.
        alpha: The level that they were made with.

    Returns:
        On the index of ``rows``, in units of the metric: by the noncentral t distribution, for the
        deviation that was observed and level alpha / (rows of the setting with a p), where Holm
        begins. NaN without a test.
    """
    found = pd.Series(np.nan, index=rows.index, name="detectable")
    tested = rows.dropna(subset=["p"])
    tested = tested.assign(tests=tested.groupby("setting")["p"].transform("size"))
    for _, group in tested.groupby(["n", "tests"]):
        n, tests = (int(group[name].iloc[0]) for name in ("n", "tests"))
        # The interval is unadjusted: half of it is the quantile times the standard error.
        error = (group["high"] - group["low"]) / 2 / stdtrit(n - 1, 1 - alpha / 2)
        found[group.index] = error * np.sqrt(n) * detectable_effect(n, alpha / tests)
    return found


def _checked(
    table: pd.DataFrame, controls: Sequence[str], metric: str, alpha: float, rope: float
) -> tuple[str, ...]:
    """The controls, each once."""
    check_measure(metric)
    if not 0 < alpha < 0.5:
        raise RecordError(f"alpha: expected a number between 0 and 0.5, got {alpha}")
    if not rope >= 0:
        raise RecordError(f"rope: expected a number >= 0, got {rope}")
    return checked_controls(table, controls)


def checked_controls(table: pd.DataFrame, controls: Sequence[str]) -> tuple[str, ...]:
    """Return the controls, each once.

    Raises:
        RecordError: No row bears a control's label.
    """
    wanted = tuple(dict.fromkeys([controls] if isinstance(controls, str) else controls))
    labels = set(table["strategy"]) if "strategy" in table else set(wanted)
    for control in wanted:
        if control not in labels:
            raise RecordError(f"controls: {no_such_label(control, labels)}")
    return wanted


def meetings(controls: Sequence[str], strategies: Sequence[str]) -> list[tuple[str, str]]:
    """Return who meets whom: each control and other strategy, two controls once, as declared."""
    here = [control for control in controls if control in strategies]
    return [
        (control, str(strategy))
        for place, control in enumerate(here)
        for strategy in strategies
        if strategy not in here[: place + 1]
    ]


def _pairs(setting: str, scores: pd.DataFrame, controls: Sequence[str]) -> _Pairs:
    """Who meets whom in a setting, and how that went.

    Args:
        setting: Its hash.
        scores: Strategies by seeds; NaN where there is none.
        controls: In the order declared; those that are not in the setting meet nobody.
    """
    who = meetings(controls, list(scores.index))
    against, strategies = zip(*who, strict=True) if who else ((), ())
    places = [scores.index.get_indexer(pd.Index(names)) for names in (strategies, against)]
    one, other = (scores.to_numpy(np.float64)[place] for place in places)
    return _Pairs(setting, against, strategies, one - other)


def _frame(pairs: Sequence[_Pairs], alpha: float, rope: float) -> pd.DataFrame:
    found = _tested([one.differences for one in pairs])
    tests, width = found.tests, half_width(found.tests, alpha)
    verdicts = _verdicts(found, alpha, rope)
    names = {
        "setting": [one.setting for one in pairs for _ in one.strategies],
        "control": [control for one in pairs for control in one.controls],
        "strategy": [strategy for one in pairs for strategy in one.strategies],
    }
    columns = {
        **{name: pd.array(texts, dtype="str") for name, texts in names.items()},
        "n": tests.n,
        "mean_difference": tests.mean,
        "low": tests.mean - width,
        "high": tests.mean + width,
        "p": tests.p,
        "p_adjusted": found.adjusted,
        "verdict": pd.array(verdicts.tolist(), dtype="str"),
        "seeds_to_decide": _seeds_to_decide(found, verdicts, alpha),
    }
    return pd.DataFrame(columns)


def _tested(settings: Sequence[Floats]) -> _Tested:
    """Test each pair; the tests of a setting are one family."""
    each = [paired_tests(differences) for differences in settings] or [_NO_TESTS]
    tests = Paired(
        np.concatenate([one.n for one in each]),
        np.concatenate([one.mean for one in each]),
        np.concatenate([one.deviation for one in each]),
        np.concatenate([one.p for one in each]),
    )
    adjusted = np.concatenate([holm(one.p) for one in each])
    sizes = [np.full(len(one.p), float(np.isfinite(one.p).sum())) for one in each]
    return _Tested(tests, adjusted, np.concatenate(sizes))


_NO_TESTS = paired_tests(np.empty((0, 0)))


def _verdicts(found: _Tested, alpha: float, rope: float) -> NDArray[np.str_]:
    tests = found.tests
    reach = np.abs(tests.mean) + half_width(tests, 2 * alpha)
    significant = found.adjusted < alpha
    cases = [significant & (tests.mean > 0), significant & (tests.mean < 0), reach <= rope]
    return np.select(cases, ["better", "worse", "equivalent"], "undecided")


def _seeds_to_decide(
    found: _Tested, verdicts: NDArray[np.str_], alpha: float
) -> pd.arrays.IntegerArray:
    tests, open_ones = found.tests, verdicts == "undecided"
    seeds = np.where(open_ones, np.nan, 0.0)
    # Equal differences are decided, or 0 and equivalent: what is left has a deviation.
    asked = open_ones & (tests.n >= 2)
    effect = np.abs(tests.mean[asked]) / tests.deviation[asked]
    seeds[asked] = further_seeds(tests.n[asked], effect, alpha / found.family[asked])
    return pd.array([None if np.isnan(s) else int(s) for s in seeds], dtype="Int64")
