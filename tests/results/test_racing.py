"""The rule of a race, and its replay on complete tables."""

from itertools import product

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import chi2, norm, ttest_1samp
from statsmodels.stats.multitest import multipletests

from alsweep.errors import RecordError
from alsweep.results import simulate_race
from alsweep.results.paired import holm
from alsweep.results.racing import Race, RaceRule, _level, _Pairs
from alsweep.rng import stream


def tables(areas, loops=1, setting="s"):
    """A tidy table whose trajectories are constant at ``areas``, strategies by seeds."""
    rows = [
        (setting, f"m{i}", seed, loop, areas[i][seed])
        for i, seed, loop in product(range(len(areas)), range(len(areas[0])), range(loops))
    ]
    return pd.DataFrame(rows, columns=["setting", "strategy", "seed", "loop", "mean_dice"])


def noisy(means, seeds, noise=0.01, draw=0):
    rng = stream(draw, "test race")
    return np.array(means)[:, None] + noise * rng.normal(size=(len(means), seeds))


def by(found, strategy):
    return found[found["strategy"] == strategy].sort_values("seed")


def test_what_is_far_behind_is_dropped_and_named():
    found = simulate_race(tables(noisy([0.9, 0.89, 0.895, 0.5], 8), loops=3))
    assert by(found, "m3")["loops"].tolist() == [3, 3] + [0] * 6
    assert by(found, "m3")["status"].tolist() == ["done"] * 2 + ["not_run"] * 6
    rivals = set(by(found, "m3")["decided_against"])
    assert len(rivals) == 1
    assert rivals <= {"m0", "m1", "m2"}
    assert by(found, "m0")["decided_against"].isna().all()
    assert (by(found, "m0")["loops"] == 3).all()


def test_against_a_control_the_better_stops_too_but_is_not_dropped():
    found = simulate_race(tables(noisy([0.5, 0.9, 0.1, 0.5], 8)), control="m0")
    assert set(by(found, "m2")["decided_against"]) == {"m0"}
    assert by(found, "m1")["decided_against"].isna().all()
    assert by(found, "m1")["status"].tolist()[-1] == "not_run"
    assert (by(found, "m3")["status"] == "done").all()


def test_the_last_one_needs_no_further_seeds():
    found = simulate_race(tables(noisy([0.9, 0.5, 0.1], 8)))
    assert by(found, "m0")["status"].tolist()[-1] == "not_run"
    assert by(found, "m0")["decided_against"].isna().all()


@given(st.permutations(range(24)), st.integers(0, 3))
@settings(max_examples=15)
def test_the_order_of_rows_does_not_matter(order, draw):
    table = tables(noisy([0.9, 0.88, 0.8, 0.5], 6, 0.02, draw))
    assert simulate_race(table.iloc[order]).equals(simulate_race(table))


def test_settings_do_not_see_each_other():
    one = tables(noisy([0.9, 0.5, 0.7], 6, 0.05), setting="a")
    other = tables(noisy([0.2, 0.5, 0.7], 6, 0.01, 1), setting="b")
    both = simulate_race(pd.concat([one, other]))
    assert both[both["setting"] == "a"].reset_index(drop=True).equals(simulate_race(one))


def test_one_row_for_each_trajectory_also_where_some_are_missing():
    table = tables(noisy([0.9, 0.88, 0.3], 6), loops=2)
    table = table[~((table["strategy"] == "m1") & (table["seed"] == 0))]
    found = simulate_race(table)
    keys = table[["setting", "strategy", "seed"]].drop_duplicates()
    assert len(found) == len(keys) == len(found.merge(keys))
    assert set(by(found, "m2")["decided_against"]) != {None}


@given(st.sets(st.tuples(st.integers(0, 3), st.integers(0, 4)), max_size=8), st.integers(0, 3))
@settings(max_examples=25)
def test_whoever_is_dropped_is_spared_something_also_where_values_are_missing(missing, draw):
    values = noisy([0.9, 0.89, 0.5, 0.3], 5, 0.01, draw)
    for strategy, seed in missing:
        values[strategy, seed] = np.nan
    found = simulate_race(tables(values))
    dropped = found[found["decided_against"].notna()]
    assert (dropped.groupby("strategy")["status"].agg(lambda s: (s != "done").sum()) > 0).all()
    if not {strategy for strategy, _ in missing} & {0, 1, 2}:
        assert by(found, "m2")["status"].iloc[-1] == "not_run"


def test_one_strategy_without_values_keeps_nobody_from_being_dropped():
    values = noisy([0.9, 0.89, 0.5, 0.3], 5)
    values[1] = np.nan
    found = simulate_race(tables(values))
    assert by(found, "m1")["decided_against"].isna().all()
    assert set(by(found, "m2")["decided_against"]) == {"m0"}
    assert set(by(found, "m3")["decided_against"]) == {"m0"}


@pytest.mark.parametrize("offset", [0.0, 0.01])
def test_equal_curves_are_not_told_apart_and_a_constant_lead_is(offset):
    one = noisy([0.8], 6)
    found = simulate_race(tables(np.concatenate([one, one, one - offset])))
    assert by(found, "m0")["decided_against"].isna().all()
    assert by(found, "m1")["decided_against"].isna().all()
    assert by(found, "m2")["decided_against"].isna().any() == (offset == 0)


def test_a_look_after_each_loop_truncates_within_a_seed():
    means, seeds = [0.9, 0.6, 0.5, 0.4, 0.3, 0.2], 8
    table = tables(noisy(means, seeds, 0.03), loops=5)
    late, soon = simulate_race(table), simulate_race(table, each_loop=True)
    assert "truncated" not in set(late["status"])
    assert soon["loops"].sum() < 6 * seeds * 5
    cut = soon[soon["status"] == "truncated"]
    assert cut["loops"].between(1, 4).all()


def test_two_strategies_and_two_seeds_decide_nothing_early():
    found = simulate_race(tables(noisy([0.9, 0.1], 2)))
    assert (found["status"] == "done").all()


@pytest.mark.parametrize("noise", [1.0, 3.0])
def test_equal_strategies_are_seldom_dropped(noise):
    # 120 settings: more than 12 wrong ones have a probability below 1 % at a true rate of 5 %.
    rng, wrong = stream(5, "null", int(noise)), 0
    for _ in range(120):
        values = (
            0.5 + 0.01 * rng.normal(size=(6, 6)) * np.where(np.arange(6) == 2, noise, 1)[:, None]
        )
        wrong += simulate_race(tables(values))["decided_against"].notna().any()
    assert wrong <= 12


def test_a_dropped_one_is_worse_in_the_headline_test_on_all_seeds():
    contradicted = 0
    for draw in range(40):
        rng = stream(draw, "means")
        values = noisy(0.8 - rng.uniform(0, 0.05, 8), 6, 0.005, draw)
        found = simulate_race(tables(values)).dropna(subset=["decided_against"])
        for rival, rows in found.groupby("decided_against"):
            others = [i for i in range(8) if f"m{i}" != rival]
            lead = values[int(rival[1:])] - values[others]
            p = ttest_1samp(lead, 0, axis=1).pvalue
            worse = multipletests(p, 0.05, "holm")[0] & (lead.mean(axis=1) > 0)
            names = {f"m{i}" for i in np.array(others)[worse]}
            contradicted += not set(rows["strategy"]) <= names
    assert contradicted <= 4


def test_the_level_of_two_strategies_in_three_seeds_is_that_of_one_test():
    # One look at two seeds, and nobody to borrow from: the plain t-test with one degree of freedom.
    level = _level(2, 3, 1, RaceRule(alpha=0.2))
    assert level == pytest.approx(0.2, abs=0.02)


def test_variances_of_unlike_strategies_are_drawn_together_by_three_degrees_of_freedom():
    values = np.array([[1.0, 2.0, 4.0], [1.0, 1.5, 2.0], [0.0, 0.5, 4.0], [3.0, 1.0, 1.0]])
    own = np.array([[np.var(a - b, ddof=1) for b in values] for a in values])
    typical = own[np.triu_indices(4, 1)].mean()
    pairs = _Pairs.of(values, 3.0)
    assert pairs.variance[0, 1] == pytest.approx((3 * typical + 2 * own[0, 1]) / 5)
    assert pairs.free[0, 1] == 5


@given(st.lists(st.floats(0, 1), min_size=1, max_size=12), st.floats(0.001, 0.5))
def test_many_families_are_held_as_statsmodels_holds_one(p, alpha):
    ours = holm(np.array([p, p[::-1]]))
    assert ours[0] == pytest.approx(multipletests(p, alpha, "holm")[1])
    assert ours[1] == pytest.approx(multipletests(p[::-1], alpha, "holm")[1])


def test_what_is_foreseen_is_the_predictive_probability():
    # Two seeds of three, one rival: the third difference decides, and its distribution is known.
    values = np.array([[3.0, 3.2], [0.0, 0.0]])
    race = Race(["a", "b"], 3, 1, RaceRule(alpha=0.2))
    same = race._foreseen(_Pairs.of(values, 3.0), values, 0, np.array([1]))
    rng = np.random.default_rng(1)
    variance = 0.02 / chi2.rvs(1, size=40_000, random_state=rng)
    third = 3.1 + np.sqrt(variance * 1.5) * norm.rvs(size=40_000, random_state=rng)
    full = np.stack([np.full(40_000, 3.0), np.full(40_000, 3.2), third], axis=1)
    expected = (ttest_1samp(full, 0, axis=1).pvalue <= 0.2) & (full.mean(axis=1) > 0)
    assert same[:, 0].mean() == pytest.approx(expected.mean(), abs=0.03)


def test_those_that_are_dropped_at_a_look_are_sure_together():
    race = Race(["a", "b", "c", "d"], 4, 1, RaceRule(assurance=0.9))
    draws = np.arange(100)
    # Each alone is sure enough; the first two together, but not all three.
    same = np.stack([draws >= 4, draws < 95, (draws < 50) | (draws >= 58)], axis=1)
    assert (same.mean(axis=0) >= 0.9).all()
    asked = np.array([True, True, True])
    assert race._surest(same, asked).tolist() == [True, True, False]
    assert race._surest(same, ~asked).tolist() == [False] * 3
    assert race._surest(same, np.array([False, False, True])).tolist() == [False, False, True]


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"control": "other"}, "no strategy 'other'"),
        ({"assurance": 1.5}, "assurance"),
        ({"alpha": 0.0}, "alpha"),
        ({"prior_df": -1.0}, "prior_df"),
        ({"asurance": 0.9}, "asurance"),
    ],
)
def test_a_rule_that_is_none_is_named(change, named):
    with pytest.raises(RecordError, match=named):
        simulate_race(tables([[0.1, 0.2], [0.3, 0.4]]), **change)


def test_a_table_without_a_column_and_with_a_loop_twice_is_refused():
    table = tables([[0.1, 0.2], [0.3, 0.4]])
    with pytest.raises(RecordError, match="mean_dice"):
        simulate_race(table.drop(columns="mean_dice"))
    with pytest.raises(RecordError, match="two rows"):
        simulate_race(pd.concat([table, table]))
