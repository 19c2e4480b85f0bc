import math

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from alsweep.errors import RecordError
from alsweep.results import kendall_tau, rank_stability, ranking


def three(make_table, setting: str = "s") -> pd.DataFrame:
    values = {"a": 0.7, "b": 0.6, "c": 0.5}
    curves = {(n, seed): [0.3, v + 0.01 * seed] for n, v in values.items() for seed in range(3)}
    return make_table(curves, setting=setting)


def test_best_strategy_comes_first_and_a_clear_order_has_no_spread(make_table):
    found = ranking(three(make_table))
    assert found.index.tolist() == ["a", "b", "c"]
    assert found["mean_rank"].tolist() == [1, 2, 3]
    assert found["low"].tolist() == found["high"].tolist() == [1, 2, 3]
    assert found["settings"].tolist() == [1, 1, 1]


def test_ranks_are_averaged_over_settings(make_table):
    other = three(make_table, setting="t")
    other["mean_dice"] = other["strategy"].map({"a": 0.1, "b": 0.9, "c": 0.5})
    found = ranking(pd.concat([three(make_table), other]), metric="final")
    assert found["mean_rank"].to_dict() == {"b": 1.5, "a": 2.0, "c": 2.5}
    assert found["settings"].tolist() == [2, 2, 2]


def test_ties_share_the_smallest_rank(make_table):
    table = make_table(
        {(n, s): [0.3, 0.5] for n in "ab" for s in range(2)} | {("c", 0): [0.3, 0.4]}
    )
    table = pd.concat([table, make_table({("c", 1): [0.3, 0.4]})])
    assert ranking(table)["mean_rank"].to_dict() == {"a": 1, "b": 1, "c": 3}


def test_the_interval_shows_a_seed_that_turns_the_order(make_table):
    table = make_table(
        {("a", 0): [0.3, 0.9], ("a", 1): [0.3, 0.4], ("b", 0): [0.3, 0.5], ("b", 1): [0.3, 0.5]}
    )
    found = ranking(table)
    assert found.loc["a"].tolist() == [1, 1, 2, 1]


def test_one_seed_has_ranks_but_no_interval(make_table):
    found = ranking(three(make_table).query("seed == 0"))
    assert found["mean_rank"].tolist() == [1, 2, 3]
    assert found["low"].isna().all()


def test_only_seeds_that_all_strategies_have_are_used(make_table):
    table = make_table({("a", 0): [0.3, 0.4], ("a", 1): [0.3, 0.99], ("b", 0): [0.3, 0.5]})
    assert ranking(table)["mean_rank"].to_dict() == {"b": 1, "a": 2}


def test_nothing_done_gives_an_empty_ranking(make_table):
    found = ranking(make_table({("a", 0): [0.3, 0.4]}, status="running"))
    assert found.empty
    assert found.columns.tolist() == ["mean_rank", "low", "high", "settings"]


def test_a_setting_without_a_common_seed_is_left_out(make_table):
    apart = make_table({("a", 0): [0.3, 0.4], ("b", 1): [0.3, 0.5]}, setting="t")
    found = ranking(pd.concat([three(make_table), apart]))
    assert found["settings"].to_dict() == {"a": 1, "b": 1, "c": 1}
    assert ranking(apart).empty


def test_one_loop_gives_no_area_to_rank_by(make_table):
    table = three(make_table).query("loop == 0")
    assert ranking(table).empty
    assert ranking(table, "final")["mean_rank"].tolist() == [1, 1, 1]


def test_efficiency_ranks_by_rate_and_needs_the_ceiling(make_table):
    assert ranking(three(make_table), "fg_eff", full_dice=0.95).index.tolist() == ["a", "b", "c"]
    with pytest.raises(RecordError, match="full_dice"):
        ranking(three(make_table), "fg_eff")


def test_an_unknown_metric_is_refused(make_table):
    with pytest.raises(RecordError, match="got 'dice'"):
        ranking(three(make_table), "dice")


@settings(max_examples=25, deadline=None)
@given(data=st.data())
def test_the_order_of_rows_never_matters(make_table, data):
    table = three(make_table)
    shuffled = table.iloc[data.draw(st.permutations(range(len(table))))]
    pd.testing.assert_frame_equal(ranking(table), ranking(shuffled), check_exact=True)


def test_kendall_tau_of_one_swap_in_four_is_two_thirds():
    one = pd.Series([1, 2, 3, 4], index=list("abcd"))
    other = pd.Series([3, 4, 2, 1], index=list("dcba"))
    assert kendall_tau(one, other) == pytest.approx(2 / 3)
    assert math.isnan(kendall_tau(one, other[["a"]]))


def test_stability_is_one_where_every_seed_agrees(make_table):
    found = rank_stability(three(make_table))
    assert found["seed"].tolist() == [0, 1, 2]
    assert found["tau"].tolist() == pytest.approx([1, 1, 1])
    assert rank_stability(three(make_table).query("seed == 0")).empty
