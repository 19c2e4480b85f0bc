import math

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from alsweep.errors import RecordError
from alsweep.results import fit_curves, patches_to_reach, predicted_gain
from alsweep.results.forecast import curve_frame, forecasts
from alsweep.rng import stream

WIDE = "the interval is wider than half of the range"


def curve(loops: int, a_max: float = 0.8, delta: float = 0.6, beta: float = 0.7) -> np.ndarray:
    return a_max * (1 - (1 - delta) ** ((np.arange(loops) + 1.0) ** beta))


def table_of(make_table, values: np.ndarray, noise: float = 0.003, seeds: int = 4) -> pd.DataFrame:
    rng = stream(0, "forecast", len(values), seeds)
    return make_table(
        {("a", s): list(values + rng.normal(0, noise, size=len(values))) for s in range(seeds)}
    )


def test_a_target_beyond_the_budgets_is_predicted_with_an_interval(make_table):
    table = table_of(make_table, curve(5, beta=0.6))
    found = patches_to_reach(table, 0.75, full_dice=0.85).iloc[0]
    assert found["verdict"] == "predicted"
    # (1 - .75 / .8) = .4 ** (b / 20) ** .6
    exact = 20 * (math.log(1 / 16) / math.log(0.4)) ** (1 / 0.6)
    assert exact > 100
    assert found["low"] <= found["patches"] <= found["high"]
    assert found["patches"] == pytest.approx(exact, rel=0.12)


def test_a_target_within_the_budgets_is_reached(make_table):
    found = patches_to_reach(table_of(make_table, curve(5)), 0.7, full_dice=0.85).iloc[0]
    assert found["verdict"] == "reached"
    assert found["patches"] == pytest.approx(
        20 * (math.log(1 / 8) / math.log(0.4)) ** (1 / 0.7), rel=0.1
    )


def test_a_target_above_full_data_is_out_of_reach(make_table):
    found = patches_to_reach(table_of(make_table, curve(5)), 0.86, full_dice=0.85).iloc[0]
    assert found["verdict"] == "out of reach"
    assert math.isnan(found["patches"])


def test_a_wide_interval_is_no_answer(make_table):
    # Where the curve has flattened, a hundredth of Dice is any number of patches.
    found = patches_to_reach(table_of(make_table, curve(5, beta=0.9), 0.02), 0.78, 0.85).iloc[0]
    assert found["verdict"] == "cannot be told from 5 budgets"
    assert found["why"] == WIDE
    assert found[["patches", "low", "high"]].isna().all()


@pytest.mark.parametrize(
    ("values", "seeds", "why"),
    [
        (curve(3), 4, "a fit and a held-out loop need 4 budgets"),
        (curve(5), 1, "one seed has no interval"),
        (curve(5) + 0.5, 4, "the start is not below the full-data Dice"),
        ([0.4, 0.5, 0.55, 0.57, 0.8], 4, "the fit failed its held-out last loop"),
    ],
)
def test_nothing_is_told_from_too_little_or_from_a_fit_that_failed(make_table, values, seeds, why):
    table = table_of(make_table, np.array(values), 0.001, seeds)
    for found in (
        patches_to_reach(table, 0.7, 0.85).rename(columns={"verdict": "advice"}),
        predicted_gain(table, 0.85),
    ):
        row = found.iloc[0]
        assert row["advice"] == f"cannot be told from {len(values)} budgets"
        assert row["why"] == why
        assert row[["low", "high"]].isna().all()
    assert fit_curves(table, 0.85)["why"].item() == why
    assert curve_frame(forecasts(table, 0.85)).empty


def test_annotation_stops_where_it_gains_nothing_and_goes_on_where_it_does(make_table):
    flat = table_of(make_table, curve(6, beta=1.3), 0.001)
    steep = table_of(make_table, curve(5, delta=0.2, beta=0.8), 0.001)
    assert predicted_gain(flat, 0.85)["advice"].item() == "stop"
    few = predicted_gain(table_of(make_table, curve(5, beta=1.3), 0.001), 0.85).iloc[0]
    assert few["high"] < 0.005
    assert few["advice"] == "undecided"
    found = predicted_gain(steep, 0.85).iloc[0]
    assert found["advice"] == "go on"
    assert found["patches"] == 20
    exact = curve(6, delta=0.2, beta=0.8)
    assert found["gain"] == pytest.approx(exact[5] - exact[4], abs=0.005)
    more = predicted_gain(steep, 0.85, patches=60).iloc[0]
    assert more["gain"] > 2 * found["gain"]
    assert predicted_gain(steep, 0.85, worth=found["gain"])["advice"].item() == "undecided"


def test_six_budgets_free_all_parameters(make_table):
    found = [fit_curves(table_of(make_table, curve(n)), 0.85).iloc[0] for n in (5, 6)]
    assert [row["free"] for row in found] == [2, 4]
    assert found[0]["alpha"] == 1
    assert all(row["a_max"] <= 0.85 for row in found)
    assert abs(found[1]["held_out"]) < 0.01


def test_the_interval_holds_the_truth_about_as_often_as_it_says(make_table):
    rng = stream(0, "coverage")
    exact = 20 * (math.log(1 - 0.74 / 0.8) / math.log(0.4)) ** (1 / 0.6)
    curves = {
        (f"a{k:02d}", s): list(curve(5, beta=0.6) + rng.normal(0, 0.004, size=5))
        for k in range(30)
        for s in range(5)
    }
    found = patches_to_reach(make_table(curves), 0.74, 0.85)
    answered = found[found["patches"].notna()]
    told = len(answered)
    held = int(((answered["low"] <= exact) & (exact <= answered["high"])).sum())
    assert told >= 15
    assert held / told >= 0.7


def test_numbers_out_of_range_are_refused(make_table):
    table = table_of(make_table, curve(4))
    with pytest.raises(RecordError, match="target"):
        patches_to_reach(table, 85)
    with pytest.raises(RecordError, match="worth"):
        predicted_gain(table, worth=0)
    with pytest.raises(RecordError, match="full_dice"):
        fit_curves(table, 91.2)


@settings(max_examples=5, deadline=None)
@given(order=st.integers(0, 1000))
def test_rows_and_rising_seed_names_do_not_matter(make_table, order):
    table = table_of(make_table, curve(5), seeds=3)
    other = table.assign(seed=table["seed"] * 7 + 12345)
    other = other.iloc[stream(order, "rows").permutation(len(other))]
    for made in (fit_curves, predicted_gain):
        pd.testing.assert_frame_equal(made(table, 0.85), made(other, 0.85))
