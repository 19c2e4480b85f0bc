import numpy as np
import pandas as pd
import pytest
import scikit_posthocs
from hypothesis import given, settings
from hypothesis import strategies as st

from alsweep.errors import RecordError
from alsweep.results import compare_over_settings, win_balance, win_matrix
from tests.results.studies import random_study, rescaled, rewritten, study_table


def test_the_test_against_a_control_is_demsar_s():
    table = random_study(12, 5, 3)
    found = compare_over_settings(table, ["a2"], "final").set_index("strategy")
    means = table[table["loop"] == 2].groupby(["setting", "strategy"])["mean_dice"].mean().unstack()
    for adjust, column in ((None, "p"), ("holm", "p_adjusted")):
        oracle = scikit_posthocs.posthoc_demsar(
            means.to_numpy(), control=2, p_adjust=adjust, to_matrix=False
        )
        expected = {f"a{strategy}": p for (_, strategy), p in oracle.items()}
        assert found[column].to_dict() == pytest.approx(expected)
    assert found["settings"].tolist() == [12] * 4
    assert (found["verdict"] == "better").any()
    assert (found["verdict"] == "worse").any()


def test_a_row_tells_who_won_where():
    scores = np.array([[0.5, 0.6, 0.4], [0.5, 0.5, 0.4], [0.5, 0.7, 0.6]])[:, :, None]
    found = compare_over_settings(study_table(scores), ["a0"], "final").set_index("strategy")
    assert found.loc["a1", ["wins", "ties", "losses"]].tolist() == [2, 1, 0]
    assert found.loc["a2", ["wins", "ties", "losses"]].tolist() == [1, 0, 2]
    assert found.loc["a1", "mean_difference"] == pytest.approx(0.1)
    # Ranks of a0 are 2, 1.5, 3, of a1 1, 1.5, 1.
    assert found.loc["a1", "rank_gain"] == pytest.approx((6.5 - 3.5) / 3)


def test_two_controls_meet_once_and_share_one_family():
    table = random_study(8, 4, 2)
    found = compare_over_settings(table, ["a3", "a0"])
    pairs = list(zip(found["control"], found["strategy"], strict=True))
    assert pairs == [("a3", "a0"), ("a3", "a1"), ("a3", "a2"), ("a0", "a1"), ("a0", "a2")]
    lowest = found["p"].idxmin()
    assert found["p_adjusted"][lowest] == pytest.approx(min(1, 5 * found["p"][lowest]))


def test_one_setting_is_no_sample_of_settings():
    found = compare_over_settings(random_study(1, 3, 4), ["a0"])
    assert found["p_adjusted"].isna().all()
    assert found["verdict"].tolist() == ["undecided"] * 2


def test_what_is_not_everywhere_is_left_out_and_told():
    table = random_study(6, 4, 2)
    rare = (table["strategy"] == "a3") & (table["setting"] > "s01")
    gap = (table["strategy"] == "a1") & (table["setting"] == "s05")
    found = compare_over_settings(table[~rare & ~gap], ["a0"])
    assert found["strategy"].tolist() == ["a1", "a2"]
    assert found["settings"].tolist() == [5, 5]
    assert found.attrs["strategies_left_out"] == ("a3",)
    assert found.attrs["settings_left_out"] == ("s05",)


def test_a_control_that_is_not_there_is_named():
    with pytest.raises(RecordError, match="controls"):
        compare_over_settings(random_study(2, 2, 2), ["a9"])


@settings(max_examples=15, deadline=None)
@given(data=st.data())
def test_rows_seed_names_and_a_setting_s_scale_do_not_matter(data):
    table = random_study(7, 4, 1)
    found = compare_over_settings(table, ["a1"], "final")
    again = compare_over_settings(rescaled(data.draw(rewritten(table))), ["a1"], "final")
    same = [c for c in found if c != "mean_difference"]
    pd.testing.assert_frame_equal(found[same], again[same])


def test_balance_is_the_win_matrix_against_a_control():
    table = random_study(3, 4, 4)
    found = win_balance(table, ["a0", "a3"])
    matrix = win_matrix(table)
    joint = found[found["setting"].isna()].set_index(["control", "strategy"])
    assert len(joint) == 5
    for (control, strategy), row in joint.iterrows():
        assert row["win"] == pytest.approx(matrix.loc[strategy, control])
        assert row["balance"] == pytest.approx(
            matrix.loc[strategy, control] - matrix.loc[control, strategy]
        )
        assert row["settings"] == 3
    one = found[found["setting"] == "s01"].set_index(["control", "strategy"])
    alone = win_matrix(table[table["setting"] == "s01"])
    assert one.loc[("a0", "a2"), "win"] == alone.loc["a2", "a0"]
    assert win_balance(table[table["seed"] == 0], ["a0"]).empty
