import math

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from alsweep.errors import RecordError
from alsweep.results import front, hypervolume, money, phase_hours, savings
from alsweep.results.compute import _front
from alsweep.rng import stream

HOUR = 3600


def timed(make_table, cached: dict[str, int] | None = None) -> pd.DataFrame:
    """Two strategies of three loops: 4 h of training, 1 h of predicting, half an hour a query."""
    table = make_table({("a", 0): [0.3, 0.5, 0.6], ("b", 0): [0.3, 0.6, 0.7]})
    stored = np.zeros(len(table), dtype=int)
    for name, members in (cached or {}).items():
        stored[(table["strategy"] == name) & (table["loop"] == 0)] = members
    return table.assign(
        members=4,
        cached_members=stored,
        train_seconds=(4 - stored) * HOUR,
        evaluate_seconds=HOUR,
        query_seconds=np.where(table["loop"] == 2, 0, HOUR / 2),
    )


def test_hours_by_phase_and_what_a_strategy_would_take_alone(make_table):
    found = phase_hours(timed(make_table, {"b": 4})).set_index("strategy")
    assert found.loc["a", ["train", "evaluate", "query", "shared"]].tolist() == [12, 3, 1, 0]
    assert found.loc["b", ["train", "evaluate", "query", "shared"]].tolist() == [8, 3, 1, 4]
    assert found["alone"].tolist() == [16, 16]


def test_a_member_that_nobody_trained_at_its_loop_is_priced_by_the_others(make_table):
    found = phase_hours(timed(make_table, {"a": 4, "b": 4})).set_index("strategy")
    assert found["shared"].tolist() == [4, 4]
    table = timed(make_table).assign(cached_members=4, train_seconds=0.0)
    assert phase_hours(table)["alone"].isna().all()


def test_savings_are_what_sharing_and_stopping_spared(make_table):
    table = timed(make_table, {"b": 2})
    stopped = table[(table["strategy"] == "b") & (table["loop"] == 0)]
    stopped = stopped.assign(strategy="c", status="truncated")
    found = savings(pd.concat([table, stopped])).iloc[0]
    assert found["spent"] == pytest.approx(16 + 14 + 3.5)
    assert found["sharing"] == pytest.approx(4)
    # Loops 1 and 2 took 5.5 and 5 hours.
    assert found["stopping"] == pytest.approx(10.5)
    assert found["saved"] == pytest.approx(14.5 / (33.5 + 14.5))
    only = savings(stopped).iloc[0]
    assert math.isnan(only["stopping"])


def test_the_front_is_what_nothing_dominates(make_table):
    found = front(timed(make_table, {"b": 4})).set_index(["strategy", "loop"])
    assert found["hours"].tolist() == pytest.approx([5.5, 11, 16] * 2)
    assert found["on_front"].tolist() == [True, False, False, True, True, True]


@settings(max_examples=40, deadline=None)
@given(number=st.integers(1, 12), key=st.integers(0, 999))
def test_fronts_and_volumes_agree_with_counting(number, key):
    rng = stream(key, "front")
    hours, values = rng.integers(1, 6, number) * 1.0, rng.integers(0, 5, number) / 4
    expected = [
        not any(
            h <= hours[k] and v >= values[k] and (h < hours[k] or v > values[k])
            for h, v in zip(hours, values, strict=True)
        )
        for k in range(number)
    ]
    assert _front(hours, values).tolist() == expected
    points = pd.DataFrame({"setting": "s", "strategy": "a", "hours": hours, "value": values})
    most = hours.max()
    cells = [
        any(h <= x and v >= y for h, v in zip(hours, values, strict=True))
        for x in np.arange(0, most)
        for y in np.arange(1, 5) / 4
    ]
    found = hypervolume(points)["hypervolume"]
    assert found.tolist() == pytest.approx([np.mean(cells)] * 2)


def test_hypervolume_of_all_is_no_less_than_of_any(make_table):
    found = hypervolume(front(timed(make_table)))
    joint = found[found["strategy"].isna()]["hypervolume"].item()
    assert joint >= found["hypervolume"].max() - 1e-12
    assert found["strategy"].tolist()[:2] == ["a", "b"]


def test_money_is_hours_and_units_at_their_prices(make_table):
    table = timed(make_table, {"b": 4}).assign(cost_slices=lambda t: 10.0 * (1 + t["loop"]))
    found = money(table, 2.0, {"cost_slices": 0.5, "annotated_patches": 1})
    assert found["compute"].tolist() == [32, 32]
    assert found["annotation"].tolist() == [15 + 60, 15 + 60]
    assert found["total"].tolist() == [107, 107]
    assert money(table, 2.0, {})["annotation"].tolist() == [0, 0]
    with pytest.raises(RecordError, match="per_hour"):
        money(table, -1, {})
