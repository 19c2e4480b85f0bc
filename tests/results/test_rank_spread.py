import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import kendalltau, wilcoxon

from alsweep.errors import RecordError
from alsweep.results import rank_orders, rank_shares, setting_agreement
from alsweep.results.ranks import taus
from alsweep.rng import stream
from tests.results.studies import random_study, rescaled, rewritten, study_table

ORDERED = np.broadcast_to(np.array([0.7, 0.6, 0.5])[None, :, None], (3, 3, 4))


def test_a_clear_order_is_drawn_every_time():
    found = rank_shares(study_table(ORDERED))
    assert found.to_numpy().tolist() == [["a0", 1, 1.0], ["a1", 2, 1.0], ["a2", 3, 1.0]]
    assert found.attrs["tau"] == (1, 1, 1)


def test_a_seed_that_turns_the_order_is_drawn_as_often_as_chance_has_it():
    scores = np.full((1, 2, 4), 0.5)
    scores[0, 0] = [0.4, 0.55, 0.55, 0.55]
    found = rank_shares(study_table(scores), resample="seeds").set_index(["strategy", "rank"])
    # a0 is behind where that seed is drawn at least twice, and level with it never.
    chance = 1 - 0.75**4 - 4 * 0.25 * 0.75**3
    assert found.loc[("a0", 2), "share"] == pytest.approx(chance, abs=0.05)
    assert found["share"].groupby("strategy").sum().tolist() == pytest.approx([1, 1])


def test_settings_are_drawn_only_where_asked_for():
    scores = np.array([[[0.6], [0.5]], [[0.6], [0.5]], [[0.4], [0.5]]])
    table = study_table(scores)
    assert rank_shares(table, resample="seeds").empty
    found = rank_shares(table, resample="settings").set_index(["strategy", "rank"])["share"]
    # Two of three settings prefer a0: it is behind where the third is drawn at least twice.
    assert found["a0", 2] == pytest.approx(7 / 27, abs=0.05)
    assert rank_shares(study_table(scores[:1]), resample="settings").empty


def test_a_setting_whose_strategies_share_no_seed_says_nothing():
    table = study_table(ORDERED)
    rows = table["setting"] == table["setting"].iloc[0]
    strategies = sorted(set(table["strategy"]))
    apart = {name: 2 * place for place, name in enumerate(strategies)}
    parted = table[rows & (table["seed"] < 2)].copy()
    parted["seed"] += parted["strategy"].map(apart)
    found = rank_shares(pd.concat([parted, table[~rows]]))
    pd.testing.assert_frame_equal(found, rank_shares(table[~rows]))
    assert rank_shares(parted).empty


def test_an_unknown_way_to_draw_is_refused():
    with pytest.raises(RecordError, match="got 'loops'"):
        rank_shares(study_table(ORDERED), resample="loops")


def test_taus_are_scipy_s():
    rng = stream(0, "taus")
    full, draws = rng.integers(1, 5, size=7) * 1.0, rng.integers(1, 5, size=(7, 20)) * 1.0
    draws[0, :5] = np.nan
    expected = [
        kendalltau(full[np.isfinite(one)], one[np.isfinite(one)]).statistic for one in draws.T
    ]
    assert taus(full, draws) == pytest.approx(np.array(expected))


@settings(max_examples=8, deadline=None)
@given(order=st.integers(0, 100))
def test_the_order_of_rows_does_not_matter(order):
    table = random_study(4, 3, 3)
    shuffled = table.iloc[stream(order, "rows").permutation(len(table))]
    pd.testing.assert_frame_equal(rank_shares(table), rank_shares(shuffled), check_exact=True)


def test_orders_of_aggregation_part_where_one_setting_outweighs():
    scores = np.array([[0.9, 0.1], [0.5, 0.55], [0.5, 0.55]])[:, :, None]
    found = rank_orders(study_table(scores), "final")
    assert found["aggregate_then_rank"].to_dict() == {"a0": 1, "a1": 2}
    assert found["rank_then_aggregate"].to_dict() == {"a1": 1, "a0": 2}
    assert found["test_then_rank"].tolist() == [1, 1]


def test_significant_wins_are_wilcoxon_s_with_holm():
    table = random_study(12, 3, 2)
    found = rank_orders(table, "final")
    last = table[table["loop"] == 2].groupby(["setting", "strategy"])["mean_dice"].mean().unstack()
    p = wilcoxon(last["a2"] - last["a0"], alternative="greater").pvalue
    assert p * 6 < 0.05
    assert found.loc["a2", "significant"] >= 1
    assert found.loc["a0", "significant"] == 0
    assert rank_orders(random_study(5, 3, 2))["significant"].tolist() == [0, 0, 0]


def test_settings_agree_as_their_orders_do():
    scores = np.array([[0.1, 0.2, 0.3, 0.4], [0.1, 0.2, 0.4, 0.3], [0.4, 0.3, 0.2, 0.1]])
    found = setting_agreement(study_table(scores[:, :, None]))
    assert found.loc["s00", "s01"] == pytest.approx(2 / 3)
    assert found.loc["s00", "s02"] == pytest.approx(-1)
    assert np.diag(found).tolist() == [1, 1, 1]


def test_settings_of_unlike_steps_are_compared_at_the_budgets_of_both(make_table):
    # At 20, 60, 100 patches a is ahead; between, and so over all, b is.
    steps = {("a", 0): [0.3, 0.1, 0.5, 0.1, 0.7], ("b", 0): [0.3, 0.9, 0.4, 0.9, 0.6]}
    coarse = make_table({("a", 0): [0.3, 0.5, 0.7], ("b", 0): [0.3, 0.4, 0.6]}, setting="t")
    coarse["annotated_patches"] = 20 + 40 * coarse["loop"]
    table = pd.concat([make_table(steps), coarse])
    assert setting_agreement(table).loc["s", "t"] == -1
    assert setting_agreement(table, common_budgets=True).loc["s", "t"] == 1
    coarse["annotated_patches"] += 5
    apart = pd.concat([make_table(steps), coarse])
    assert np.isnan(setting_agreement(apart, common_budgets=True).loc["s", "t"])


@settings(max_examples=10, deadline=None)
@given(data=st.data())
def test_rows_seed_names_and_a_setting_s_scale_do_not_matter(data):
    table = random_study(4, 4, 1)
    other = rescaled(data.draw(rewritten(table)))
    one, two = (setting_agreement(t, "final") for t in (table, other))
    pd.testing.assert_frame_equal(one, two)
    drop = ["aggregate_then_rank", "test_then_rank", "significant"]
    one, two = (rank_orders(t, "final").drop(columns=drop) for t in (table, other))
    pd.testing.assert_frame_equal(one, two)
