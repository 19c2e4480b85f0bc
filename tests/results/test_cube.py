"""The array behind all statistics: values find their place by name, whatever the order of rows."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from alsweep import results
from alsweep.errors import RecordError
from alsweep.results.cube import cube, select


@given(data=st.data())
def test_a_value_lies_at_its_names_and_gaps_are_not_numbers(make_table, data):
    keys = st.tuples(st.sampled_from("cab"), st.integers(0, 3))
    lengths = data.draw(st.dictionaries(keys, st.integers(1, 4), min_size=1, max_size=6))
    curves = {
        (strategy, seed): [10 * ord(strategy) + seed + loop / 8 for loop in range(length)]
        for (strategy, seed), length in lengths.items()
    }
    table = make_table(curves).sample(frac=1, random_state=data.draw(st.integers(0, 99)))
    found = cube(select(table, ["mean_dice"]), "mean_dice")
    assert found.strategies == sorted({strategy for strategy, _ in curves})
    assert found.seeds == sorted({seed for _, seed in curves})
    assert found.values.shape == (1, len(found.strategies), len(found.loops), len(found.seeds))
    assert np.isfinite(found.values).sum() == sum(lengths.values())
    for (strategy, seed), values in curves.items():
        place = found.strategies.index(strategy), found.seeds.index(seed)
        assert found.values[0, place[0], : len(values), place[1]].tolist() == values


def test_settings_have_an_axis_of_their_own(make_table):
    both = [make_table({("a", 0): [value]}, setting=name) for name, value in (("t", 2), ("s", 1))]
    found = cube(select(pd.concat(both), []), "mean_dice")
    assert found.settings == ["s", "t"]
    assert found.values[:, 0, 0, 0].tolist() == [1, 2]


def test_rows_are_selected_by_status_and_sorted(make_table):
    table = pd.concat(
        [
            make_table({("b", 1): [1, 2], ("a", 0): [3]}),
            make_table({("c", 0): [4]}, status="failed"),
        ]
    )
    assert select(table, [])["mean_dice"].tolist() == [3, 1, 2]
    assert select(table, [], ("failed",))["mean_dice"].tolist() == [4]
    assert select(table, [], ()).empty


@pytest.mark.parametrize(
    ("column", "hint"),
    [("mean_dise", "did you mean 'mean_dice'"), ("zzz", "load the table with load_results")],
)
def test_a_column_that_is_not_there_is_told_with_a_mend(make_table, column, hint):
    with pytest.raises(RecordError, match=f"no column '{column}'; {hint}"):
        select(make_table({("a", 0): [1]}), [column])
    with pytest.raises(RecordError, match="no column 'status'"):
        select(make_table({("a", 0): [1]}).drop(columns="status"), [])


def test_the_room_offers_what_it_lists_and_nothing_else():
    assert dir(results) == sorted(results.__all__)
    assert all(callable(getattr(results, name)) for name in results.__all__)
    with pytest.raises(AttributeError, match="no attribute 'aucb'"):
        _ = results.aucb
