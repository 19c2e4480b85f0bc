import math

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from alsweep.errors import RecordError
from alsweep.results import aubc, effort_aubc, effort_curves
from alsweep.rng import stream
from tests.results.studies import random_study


def test_area_over_patches_is_the_area_over_budgets():
    table = random_study(2, 3, 2)
    both = [aubc(table), effort_aubc(table, "annotated_patches")]
    pd.testing.assert_frame_equal(*both, check_dtype=False)


def test_unlike_costs_are_compared_on_the_range_of_all(make_table):
    table = make_table({("a", 0): [0.2, 0.4, 0.6], ("b", 0): [0.2, 0.6, 0.6]})
    table["cost"] = [0, 10, 20, 5, 15, 40]
    found = effort_aubc(table, "cost")
    assert found.attrs["ranges"] == {"s": (5.0, 20.0)}
    # a: 0.3 at 5, 0.4 at 10, 0.6 at 20; b: 0.2 at 5, 0.6 from 15 on.
    expected = [(5 * 0.35 + 10 * 0.5) / 15, (10 * 0.4 + 5 * 0.6) / 15]
    assert found["aubc"].tolist() == pytest.approx(expected)


def test_settings_that_share_no_range_have_no_area(make_table):
    table = make_table({("a", 0): [0.2, 0.4], ("b", 0): [0.2, 0.6]})
    table["cost"] = [0, 10, 10, 20]
    assert effort_aubc(table, "cost")["aubc"].isna().all()
    assert effort_curves(table, "cost").empty
    with pytest.raises(RecordError, match="no column 'cots'"):
        effort_aubc(table, "cots")


def test_curves_are_interpolated_before_they_are_averaged(make_table):
    table = make_table({("a", 0): [0.0, 0.5, 1.0], ("a", 1): [0.2, 0.4, 0.4]})
    table["cost"] = [0, 10, 20, 0, 20, 40]
    found = effort_curves(table, "cost", points=3).set_index("cost")
    assert found["mean"].to_dict() == pytest.approx({0: 0.1, 10: 0.4, 20: 0.7})
    assert found["std"][10] == pytest.approx(np.std([0.5, 0.3], ddof=1))
    assert found["seeds"].unique().tolist() == [2]


@settings(max_examples=20, deadline=None)
@given(factor=st.floats(0.01, 100), shift=st.floats(-50, 50), order=st.integers(0, 99))
def test_the_unit_of_a_cost_and_the_order_of_rows_do_not_matter(factor, shift, order):
    table = random_study(2, 2, 2)
    cost = table["annotated_patches"] * (1 + table["seed"] / 3)
    table = table.assign(cost=cost)
    other = table.assign(cost=cost * factor + shift)
    other = other.iloc[stream(order, "rows").permutation(len(other))]
    found = [effort_aubc(t, "cost")["aubc"].tolist() for t in (table, other)]
    assert found[0] == pytest.approx(found[1], rel=1e-6)
    assert not any(map(math.isnan, found[0]))
