import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.integrate import quad
from scipy.stats import chi, norm, ttest_1samp
from scipy.stats import t as student
from statsmodels.stats.multitest import multipletests
from statsmodels.stats.power import TTestPower

from alsweep.errors import RecordError
from alsweep.results.paired import (
    _power,
    detectable_effect,
    further_seeds,
    half_width,
    holm,
    needed_effect,
    paired_tests,
)
from alsweep.rng import stream


def test_each_row_agrees_with_scipy():
    rng = stream(0, "test_paired")
    differences = rng.normal(0.3, 1, size=(40, 6))
    differences[::2, 1] = np.nan
    tests = paired_tests(differences)
    for row, width in enumerate(half_width(tests, 0.1)):
        known = differences[row][np.isfinite(differences[row])]
        expected = ttest_1samp(known, 0)
        assert tests.p[row] == pytest.approx(expected.pvalue)
        assert tests.n[row] == len(known)
        interval = expected.confidence_interval(0.9)
        assert (tests.mean[row] - width, tests.mean[row] + width) == pytest.approx(interval)


def test_without_two_seeds_there_is_no_test():
    tests = paired_tests(np.array([[0.5, np.nan], [np.nan, np.nan]]))
    assert tests.n.tolist() == [1, 0]
    assert tests.mean[0] == 0.5
    assert np.isnan([tests.mean[1], *tests.deviation, *tests.p, *half_width(tests, 0.05)]).all()


def test_equal_differences_are_certain_and_none_are_no_difference():
    tests = paired_tests(np.array([[0.25, 0.25], [0.0, 0.0]]))
    assert tests.p.tolist() == [0, 1]
    assert half_width(tests, 0.05).tolist() == [0, 0]


@given(value=st.floats(0, 1), parts=st.integers(2, 9), n=st.integers(2, 5))
def test_what_rounding_leaves_of_equal_numbers_is_no_difference(value, parts, n):
    again = sum([value / parts] * parts)
    tests = paired_tests(np.full((1, n), again - value))
    assert (tests.mean[0], tests.deviation[0], tests.p[0]) == (0, 0, 1)


@pytest.mark.parametrize(
    ("p", "adjusted"),
    [
        ([0.01, 0.02, 0.04], [0.03, 0.04, 0.04]),
        ([0.02, 0.02, 0.02], [0.06, 0.06, 0.06]),
        ([0.04, 0.01, 0.03], [0.06, 0.03, 0.06]),
        ([0.9, 0.8], [1, 1]),
        ([math.nan, 0.04], [math.nan, 0.04]),
        ([math.nan], [math.nan]),
        ([], []),
    ],
)
def test_holm_stops_at_the_first_failure(p, adjusted):
    assert holm(np.array(p)).tolist() == pytest.approx(adjusted, nan_ok=True)


@settings(max_examples=20, deadline=None)
@given(p=st.lists(st.floats(0, 1), min_size=1, max_size=12))
def test_holm_agrees_with_statsmodels(p):
    expected = multipletests(p, method="holm")[1]
    assert holm(np.array(p)).tolist() == pytest.approx(expected.tolist())


@pytest.mark.parametrize(
    ("tests", "four", "eight"),
    [(1, 1.59, 0.84), (8, 3.45, 1.36), (36, 5.78, 1.81), (144, 9.23, 2.28)],
)
def test_what_a_family_needs_is_the_published_table(tests, four, eight):
    assert needed_effect(4, tests) == pytest.approx(four, abs=0.005)
    assert needed_effect(8, tests) == pytest.approx(eight, abs=0.005)


@pytest.mark.parametrize("seeds", [2, 3, 4, 10])
def test_a_detectable_effect_is_found_in_four_experiments_of_five(seeds):
    effect = detectable_effect(seeds)
    drawn = stream(seeds, "test_paired").normal(effect, 1, size=(20_000, seeds))
    # Of 20,000 draws the share has a standard deviation of 0.003.
    assert (paired_tests(drawn).p < 0.05).mean() == pytest.approx(0.8, abs=0.012)


def test_a_detectable_effect_may_be_smaller_than_what_one_experiment_needs():
    effect = detectable_effect(5, power=0.06)
    assert 0 < effect < needed_effect(5)
    assert TTestPower().power(effect, 5, 0.05) == pytest.approx(0.06)


@pytest.mark.parametrize("power", [0.05, 0.0, 1.0])
def test_a_power_that_no_effect_has_is_refused(power):
    with pytest.raises(RecordError, match=r"between alpha, 0\.05, and 1"):
        detectable_effect(4, power=power)


@pytest.mark.parametrize(
    ("effect", "n", "alpha"),
    [
        (1.3, 4, 0.05 / 3),
        (0.1, 4, 0.05),
        (5, 2, 0.05),
        (7, 4, 0.05 / 12),
        (2.36, 10, 2e-5),
        (1, 504, 0.05),
    ],
)
def test_power_is_the_mean_over_what_the_deviation_may_come_out_as(effect, n, alpha):
    # Some of these are NaN in scipy's and statsmodels' own functions of the noncentral t.
    limit, shift = student.isf(alpha / 2, n - 1) / (n - 1) ** 0.5, effect * n**0.5

    def found(u):
        both = norm.sf(limit * u - shift) + norm.cdf(-limit * u - shift)
        return chi.pdf(u, n - 1) * both

    middle = (n - 1) ** 0.5
    expected = quad(found, max(0, middle - 9), middle + 9, epsabs=1e-12, limit=500)[0]
    assert _power(effect, n, alpha) == pytest.approx(expected, abs=1e-9)


@settings(deadline=None)
@given(
    n=st.integers(2, 12),
    effect=st.floats(0.15, 3),
    alpha=st.sampled_from([0.05, 0.05 / 8, 0.05 / 36]),
)
def test_further_seeds_are_the_fewest_that_have_the_power(n, effect, alpha):
    (found,) = further_seeds(np.array([n]), np.array([effect]), np.array([alpha]))
    assert _power(effect, n + found, alpha) >= 0.8
    assert found == 1 or _power(effect, n + found - 1, alpha) < 0.8


def test_the_seed_calculator_agrees_with_a_solver():
    needed = TTestPower().solve_power(effect_size=1.0, alpha=0.05, power=0.8)
    assert needed == pytest.approx(9.94, abs=0.01)
    found = further_seeds(np.array([4]), np.array([1.0]), np.array([0.05]))
    assert found.tolist() == [math.ceil(needed) - 4]


def test_more_than_a_thousand_further_seeds_are_no_plan():
    # 1,000 more than two are 1,002: the effect that they find is the last that has a plan.
    last = TTestPower().solve_power(nobs=1002, alpha=0.05, power=0.8)
    found = further_seeds(
        np.array([2, 2, 2]), np.array([last * 1.0001, last * 0.999, 0.0]), np.full(3, 0.05)
    )
    assert found[0] == 1000
    assert np.isnan(found[1:]).all()
    assert len(further_seeds(np.empty(0, dtype=int), np.empty(0), np.empty(0))) == 0
