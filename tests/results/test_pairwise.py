import math

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import nct, ttest_rel
from scipy.stats import t as student

from alsweep.errors import RecordError
from alsweep.results import minimal_difference, win_matrix, win_rates
from alsweep.rng import stream

# Multiples of 1/256 add and subtract without rounding, so that exact claims can be made.
EXACT = st.integers(0, 256).map(lambda n: n / 256)


@st.composite
def curves(draw):
    loops, seeds = draw(st.integers(1, 3)), draw(st.integers(1, 4))
    values = st.lists(EXACT, min_size=loops, max_size=loops)
    return {(name, seed): draw(values) for name in "abc" for seed in range(seeds)}


def example(make_table, differences=(0.02, 0.03, 0.025, 0.035)) -> pd.DataFrame:
    base = [0.5, 0.52, 0.51, 0.49]
    lower = {("b", seed): [0.3, base[seed]] for seed in range(4)}
    upper = {("a", seed): [0.3, base[seed] + d] for seed, d in enumerate(differences)}
    return make_table(lower | upper)


def test_the_worked_cell_is_a_win(make_table):
    table = example(make_table)
    wins = win_matrix(table)
    assert wins.loc["a", "b"] == 1
    assert wins.loc["b", "a"] == 0
    assert minimal_difference(table)["p"].item() == pytest.approx(0.0034, abs=5e-5)
    assert win_matrix(table, alpha=0.003).loc["a", "b"] == 0


def test_a_budget_without_a_win_halves_the_share(make_table):
    table = example(make_table)
    level = table[table["loop"] == 1].assign(loop=2, mean_dice=0.5)
    assert win_matrix(pd.concat([table, level])).loc["a", "b"] == 0.5


def test_loop_zero_counts_only_if_asked(make_table):
    table = example(make_table)
    table["loop"] = 1 - table["loop"]
    assert win_matrix(table).loc["a", "b"] == 0
    assert win_matrix(table, include_start=True).loc["a", "b"] == 0.5


def test_loop_zero_is_no_part_of_the_holm_family(make_table):
    table = example(make_table)
    # p = 0.0034 passes 0.005 alone, but would not pass 0.005 / 2 as one of two tests.
    assert win_matrix(table, alpha=0.005, correction="holm").loc["a", "b"] == 1
    both = win_matrix(table, alpha=0.005, correction="holm", include_start=True)
    assert both.loc["a", "b"] == 0


def test_pairs_are_matched_by_seed_not_by_position(make_table):
    table = example(make_table)
    swapped = pd.concat(
        [table[table["strategy"] == "b"].iloc[::-1], table[table["strategy"] == "a"]]
    )
    pd.testing.assert_frame_equal(win_matrix(swapped), win_matrix(table))


def test_seeds_that_one_strategy_lacks_are_left_out_of_its_pairs(make_table):
    table = example(make_table)
    lacking = table[~((table["strategy"] == "b") & (table["seed"] > 1))]
    found = minimal_difference(lacking)
    assert found["seeds"].item() == 2
    assert found["difference"].item() == pytest.approx(0.025)


def test_one_common_seed_allows_no_test(make_table):
    table = example(make_table)
    wins = win_matrix(table[table["seed"] == 0])
    assert math.isnan(wins.loc["a", "b"])
    assert wins.attrs["tests"] == 0


def test_equal_differences_win_and_are_counted_as_such(make_table):
    table = make_table(
        {("a", s): [0.5, 0.75] for s in (0, 1)} | {("b", s): [0.5, 0.5] for s in (0, 1)}
    )
    wins = win_matrix(table)
    assert wins.loc["a", "b"] == 1
    assert wins.attrs["constant"] == 1


def test_a_pair_at_a_budget_is_one_test(make_table):
    table = random_table(make_table, "abcd", seeds=2, loops=4)
    assert win_matrix(table).attrs == {"tests": 6 * 3, "constant": 0}
    assert win_matrix(table, include_start=True).attrs["tests"] == 6 * 4


def test_equal_strategies_never_win(make_table):
    wins = win_matrix(make_table({(name, s): [0.5, 0.6] for name in "ab" for s in range(3)}))
    assert wins.loc["a", "b"] == wins.loc["b", "a"] == 0


def test_settings_are_averaged_over_those_that_have_both(make_table):
    one = example(make_table)
    two = one.assign(setting="t", mean_dice=0.5)
    three = one[one["strategy"] == "a"].assign(setting="u")
    assert win_matrix(pd.concat([one, two, three])).loc["a", "b"] == 0.5


def test_failed_trajectories_are_not_compared(make_table):
    table = example(make_table)
    table.loc[table["strategy"] == "b", "status"] = "failed"
    assert win_matrix(table).index.tolist() == ["a"]


def test_an_unknown_correction_is_refused(make_table):
    with pytest.raises(RecordError, match="expected None or 'holm', got 'bonferroni'"):
        win_matrix(example(make_table), correction="bonferroni")


def random_table(make_table, names: str, seeds: int, loops: int) -> pd.DataFrame:
    rng = stream(0, "test_pairwise")
    keys = [(name, seed) for name in names for seed in range(seeds)]
    return make_table({key: rng.normal(ord(key[0]) / 50, 0.02, loops).tolist() for key in keys})


def test_every_cell_agrees_with_scipy(make_table):
    table = random_table(make_table, "abcde", seeds=4, loops=5)
    wins = win_matrix(table)
    at = table.set_index(["strategy", "loop", "seed"])["mean_dice"].sort_index()
    for one in "abcde":
        for other in set("abcde") - {one}:
            tests = [ttest_rel(at[one, loop], at[other, loop]) for loop in range(1, 5)]
            won = sum(test.pvalue < 0.05 and test.statistic > 0 for test in tests)
            assert wins.loc[one, other] == won / 4
    assert 0 < wins.stack().sum() < wins.size


def test_the_minimal_difference_is_found_as_often_as_asked(make_table):
    table = example(make_table)
    deviation = np.std([0.02, 0.03, 0.025, 0.035], ddof=1)
    for kept, power in ((4, 0.8), (2, 0.8), (3, 0.5)):
        found = minimal_difference(table[table["seed"] < kept], power=power)["minimal"].item()
        spread = np.std([0.02, 0.03, 0.025, 0.035][:kept], ddof=1)
        limit, shift = student.ppf(0.975, kept - 1), found / spread * kept**0.5
        # What ends on the wrong side is less than a millionth.
        found_by_test = nct.sf(limit, kept - 1, shift)
        assert found_by_test == pytest.approx(power, abs=1e-6)
    # Two quantiles added up are too little: with two seeds they have a power of 0.73.
    usual = (student.ppf(0.975, 3) + student.ppf(0.8, 3)) * deviation / 2
    assert minimal_difference(table)["minimal"].item() > 1.02 * usual


def test_a_power_below_the_level_is_refused(make_table):
    with pytest.raises(RecordError, match=r"between alpha, 0\.05, and 1, got 0\.01"):
        minimal_difference(example(make_table), power=0.01)


@settings(max_examples=30, deadline=None)
@given(values=curves(), data=st.data())
def test_the_order_of_rows_never_matters(make_table, values, data):
    table = make_table(values)
    shuffled = table.iloc[data.draw(st.permutations(range(len(table))))]
    for correction in (None, "holm"):
        pair = [win_matrix(t, correction=correction) for t in (table, shuffled)]
        pd.testing.assert_frame_equal(*pair, check_exact=True)


@settings(max_examples=30, deadline=None)
@given(values=curves(), shift=EXACT)
def test_shares_are_bounded_and_a_common_shift_changes_nothing(make_table, values, shift):
    table = make_table(values)
    wins = win_matrix(table)
    both = (wins + wins.T).to_numpy()
    assert np.isnan(np.diag(wins)).all()
    assert not (both > 1).any()
    assert not (wins.to_numpy() < 0).any()
    moved = win_matrix(table.assign(mean_dice=table["mean_dice"] + shift))
    pd.testing.assert_frame_equal(wins, moved, check_exact=True)


@settings(max_examples=25, deadline=None)
@given(values=curves())
def test_holm_never_adds_a_win(make_table, values):
    table = make_table(values)
    plain, corrected = win_matrix(table).to_numpy(), win_matrix(table, correction="holm").to_numpy()
    assert not (corrected > plain).any()


def test_win_rates_are_means_over_the_others(make_table):
    rates = win_rates(win_matrix(example(make_table)))
    assert rates.loc["a"].tolist() == [1, 0, 1]
    assert rates.loc["b"].tolist() == [0, 1, -1]
