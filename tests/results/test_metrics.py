import logging
import math

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import curve_fit

from alsweep.errors import RecordError
from alsweep.results import aubc, fg_efficiency, final
from alsweep.results.metrics import fit_rates, seed_weights

DICE = st.floats(0, 1, width=32)


def test_area_of_three_loops_is_the_worked_example(make_table):
    table = make_table({("a", 0): [0.5, 0.7, 0.8]})
    assert aubc(table)["aubc"].tolist() == [pytest.approx(0.675)]


def test_area_of_a_constant_curve_is_the_constant(make_table):
    table = make_table({("a", 0): [0.1] * 4, ("b", 0): [0.3] * 2})
    assert aubc(table)["aubc"].tolist() == [pytest.approx(0.1), pytest.approx(0.3)]


def test_unequal_budgets_weigh_the_curve(make_table):
    table = make_table({("a", 0): [0.0, 1.0, 1.0]}).assign(annotated_patches=[10, 20, 50])
    # A quarter of the budget rises from 0 to 1, the rest stays at 1.
    assert aubc(table)["aubc"].item() == pytest.approx(0.25 * 0.5 + 0.75)


def test_one_loop_has_a_final_value_but_no_area(make_table):
    table = make_table({("a", 0): [0.4], ("b", 0): [0.2, 0.6]})
    assert math.isnan(aubc(table)["aubc"][0])
    assert aubc(table)["aubc"][1] == pytest.approx(0.4)
    assert final(table)["final"].tolist() == [0.4, 0.6]


def test_an_undefined_value_makes_only_its_own_area_undefined(make_table):
    table = make_table({("a", 0): [0.4, math.nan, 0.5], ("b", 0): [0.2, 0.4, 0.6]})
    assert math.isnan(aubc(table)["aubc"][0])
    assert aubc(table)["aubc"][1] == pytest.approx(0.4)


def test_only_done_trajectories_enter_unless_asked(make_table):
    table = pd.concat(
        [make_table({("a", 0): [0.2, 0.4]}), make_table({("b", 0): [0.6]}, status="running")]
    )
    assert final(table)["strategy"].tolist() == ["a"]
    assert final(table, statuses=("done", "running"))["final"].tolist() == [0.4, 0.6]


def test_a_table_without_done_rows_gives_an_empty_frame(make_table):
    table = make_table({("a", 0): [0.2]}, status="failed")
    assert aubc(table).columns.tolist() == ["setting", "strategy", "seed", "aubc"]
    assert aubc(table).empty
    assert fg_efficiency(table, 0.9).empty


def test_a_missing_column_is_named_with_the_nearest(make_table):
    with pytest.raises(RecordError, match=r"no column 'mean_dise'; did you mean 'mean_dice'"):
        aubc(make_table({("a", 0): [0.2]}), metric="mean_dise")


def test_a_repeated_loop_is_an_error_that_names_it(make_table):
    table = make_table({("a", 3): [0.2, 0.3]})
    with pytest.raises(RecordError, match="strategy a, loop 0, seed 3"):
        final(pd.concat([table, table]))


CURVES = st.lists(st.lists(DICE, min_size=3, max_size=3), min_size=2, max_size=5)


def and_shuffled(table, data):
    return table, table.iloc[data.draw(st.permutations(range(len(table))))]


@settings(max_examples=20, deadline=None)
@given(values=CURVES, data=st.data())
def test_shuffled_rows_change_nothing(make_table, values, data):
    table = make_table({("a", seed): curve for seed, curve in enumerate(values)})
    table, shuffled = and_shuffled(table, data)
    pd.testing.assert_frame_equal(aubc(table), aubc(shuffled), check_exact=True)
    pd.testing.assert_frame_equal(final(table), final(shuffled), check_exact=True)


@settings(max_examples=5, deadline=None)
@given(values=CURVES, data=st.data())
def test_shuffled_rows_change_no_fit(make_table, values, data):
    # A thousand fits an example, which the order of rows enters as sums alone.
    table = make_table({("a", seed): curve for seed, curve in enumerate(values)})
    rates = [fg_efficiency(one, 2.0) for one in and_shuffled(table, data)]
    pd.testing.assert_frame_equal(*rates, check_exact=True)


@given(st.lists(DICE, min_size=2, max_size=6))
def test_area_lies_between_the_lowest_and_the_highest_value(make_table, values):
    area = aubc(make_table({("a", 0): values}))["aubc"].item()
    assert min(values) - 1e-9 <= area <= max(values) + 1e-9


def saturating(x: np.ndarray, beta: float) -> np.ndarray:
    return 0.9 - 0.5 * np.exp(-beta * x)


def efficiency_table(make_table, beta: float, noise: float = 0.0) -> pd.DataFrame:
    table = make_table({("a", seed): [0.0] * 6 for seed in range(4)})
    wobble = noise * np.cos(np.arange(len(table)) * 2.0)
    wobble[table["loop"] == 0] = 0
    x = table["foreground_fraction"] - 0.01
    return table.assign(mean_dice=saturating(x, beta) + wobble)


@pytest.mark.parametrize("beta", [0.3, 12.0, 400.0])
def test_efficiency_finds_the_rate_that_made_the_curve(make_table, beta):
    found = fg_efficiency(efficiency_table(make_table, beta), full_dice=0.9)
    assert found["fg_eff"].item() == pytest.approx(beta, rel=1e-5)
    assert found["standard_error"].item() == pytest.approx(0, abs=beta * 1e-3)


def test_efficiency_and_its_standard_error_agree_with_curve_fit(make_table):
    table = efficiency_table(make_table, beta=12.0, noise=0.02)
    found = fg_efficiency(table, full_dice=0.9)
    x = (table["foreground_fraction"] - 0.01).to_numpy()
    rate, covariance = curve_fit(saturating, x, table["mean_dice"], p0=1 / x.mean())
    assert found["fg_eff"].item() == pytest.approx(rate[0], rel=1e-5)
    # The standard error, not the variance.
    assert found["standard_error"].item() == pytest.approx(math.sqrt(covariance[0, 0]), rel=1e-3)
    assert found["low"].item() <= found["fg_eff"].item() <= found["high"].item()


def test_a_falling_curve_has_rate_zero_not_a_negative_one(make_table):
    found = fg_efficiency(make_table({("a", 0): [0.5, 0.4, 0.3]}), full_dice=0.9)
    assert found["fg_eff"].item() == pytest.approx(0, abs=1e-6)
    assert math.isnan(found["low"].item())


def test_a_ceiling_below_the_start_gives_nan_and_says_so(make_table, caplog):
    with caplog.at_level(logging.WARNING):
        found = fg_efficiency(make_table({("a", 0): [0.5, 0.6]}), full_dice=0.4)
    assert math.isnan(found["fg_eff"].item())
    assert "does not exceed the start" in caplog.text


def test_the_start_is_shared_by_all_strategies_of_a_setting(make_table):
    table = make_table({("a", 0): [0.4, 0.6], ("b", 0): [0.4, 0.8]})
    found = fg_efficiency(table, full_dice={"s": 0.9}).set_index("strategy")["fg_eff"]
    assert found["a"] == pytest.approx(math.log(0.5 / 0.3) / 0.01, rel=1e-5)
    assert found["b"] == pytest.approx(math.log(0.5 / 0.1) / 0.01, rel=1e-5)


def test_a_setting_without_full_dice_is_named(make_table):
    with pytest.raises(RecordError, match="setting s"):
        fg_efficiency(make_table({("a", 0): [0.4, 0.6]}), full_dice={"other": 0.9})


def test_a_curve_at_its_ceiling_at_once_has_an_infinite_rate():
    x, y, one = np.array([0.0, 0.1]), np.array([0.5, 0.9]), np.ones((1, 2))
    assert fit_rates(x, y, 0.9, np.array([0.4]), one).tolist() == [math.inf]


def test_points_at_the_start_alone_have_no_rate():
    one = np.ones((1, 2))
    assert np.isnan(fit_rates(np.zeros(2), np.array([0.1, 0.2]), 0.9, np.array([0.8]), one)).all()


def test_seeds_are_drawn_a_thousand_times_as_the_report_says():
    weights = seed_weights(3, "s")
    assert weights.shape == (1000, 3)
    assert (weights.sum(axis=1) == 3).all()
    assert len(np.unique(weights, axis=0)) == 10
    assert (weights != seed_weights(3, "t")).any()
    assert seed_weights(1, "s").shape == (0, 1)
