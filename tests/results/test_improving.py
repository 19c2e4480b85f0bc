import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import mannwhitneyu

from alsweep.results import improvement
from alsweep.results.improving import _ways
from alsweep.results.resampled import draw_counts
from tests.results.studies import random_study, rescaled, rewritten, study_table


def test_probability_of_the_worked_example_is_a_half():
    table = study_table(np.array([[[0.1, 0.2, 0.3], [0.0, 0.2, 0.4]]]))
    found = improvement(table, ["a1"], "final", draws=100)
    assert found["strategy"].tolist() == ["a0"]
    assert found["probability"].item() == pytest.approx(0.5)


def test_probability_is_u_over_the_pairs_averaged_over_settings():
    table = random_study(4, 3, 5)
    found = improvement(table, metric="final", draws=100).set_index(["control", "strategy"])
    assert len(found) == 3
    last = table[table["loop"] == 2].set_index(["setting", "strategy"])["mean_dice"]
    names = [f"s{k:02d}" for k in range(4)]
    shares = [mannwhitneyu(last[s, "a2"], last[s, "a0"]).statistic / 25 for s in names]
    assert found.loc[("a0", "a2"), "probability"] == pytest.approx(np.mean(shares))
    assert found.loc[("a0", "a2"), "settings"] == 4


def test_one_is_better_always_or_never_or_compared_with_itself():
    scores = np.array([[[0.2, 0.3], [0.5, 0.6], [0.5, 0.6]]])
    found = improvement(study_table(scores), metric="final", draws=100)
    assert found["probability"].tolist() == [1, 1, 0.5]
    assert found[["low", "high"]].to_numpy().tolist() == [[1, 1], [1, 1], [0.5, 0.5]]


def test_intervals_are_of_seeds_drawn_for_both_at_once():
    # b is ahead with every seed, though behind other seeds of a: paired draws of one seed say 1.
    scores = np.array([[[0.1, 0.5], [0.2, 0.6]]])
    found = improvement(study_table(scores), metric="final")
    assert found["probability"].item() == pytest.approx(0.75)
    assert found[["low", "high"]].to_numpy().tolist() == [[0.75, 1.0]]


def test_ways_to_draw_are_all_that_is_drawn():
    for seeds in (3, 9):
        counts = draw_counts("s", tuple(range(seeds)), 500).T.astype(float)
        ways, place = _ways(counts)
        assert (ways[place] == counts).all()
        assert (counts.sum(axis=1) == seeds).all()
    assert len(_ways(draw_counts("s", (0, 1, 2), 500).T.astype(float))[0]) == 10


def test_pairs_that_never_meet_have_no_row(make_table):
    table = make_table({("a", 0): [0.3, 0.4], ("b", 1): [0.3, 0.5]})
    assert improvement(table).empty
    alone = make_table({("a", 0): [0.3, 0.4], ("b", 0): [0.3, 0.5]})
    assert improvement(alone)[["probability", "low"]].to_numpy()[0].tolist()[0] == 1
    assert improvement(alone)["low"].isna().all()


@settings(max_examples=10, deadline=None)
@given(data=st.data())
def test_rows_seed_names_and_a_setting_s_scale_do_not_matter(data):
    table = random_study(3, 3, 3)
    other = rescaled(data.draw(rewritten(table)))
    points = [
        improvement(t, metric="final", draws=10).drop(columns=["low", "high"])
        for t in (table, other)
    ]
    pd.testing.assert_frame_equal(*points)
    swapped = improvement(table, ["a2"], "final", draws=10).set_index("strategy")["probability"]
    straight = improvement(table, ["a0"], "final", draws=10).set_index("strategy")["probability"]
    assert swapped["a0"] == pytest.approx(1 - straight["a2"])
