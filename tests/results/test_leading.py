"""Who leads a column of numbers, and who is not told apart from the leader."""

import pandas as pd
import pytest

from alsweep.results.leading import leading


def rows(setting="s", **scores):
    each = [(setting, name, seed, v) for name, vs in scores.items() for seed, v in enumerate(vs)]
    return pd.DataFrame(each, columns=["setting", "strategy", "seed", "value"])


def test_the_best_mean_leads_and_who_is_not_told_apart_is_level():
    found = leading(rows(a=[0.80, 0.82, 0.84], b=[0.79, 0.83, 0.82], c=[0.50, 0.52, 0.54]), "value")
    assert found == {("s", "a"): "best", ("s", "b"): "level"}


def test_where_less_is_better_the_lowest_leads():
    found = leading(rows(a=[3.0, 3.1, 3.2], b=[9.0, 9.1, 9.2]), "value", lowest=True)
    assert found == {("s", "a"): "best"}


def test_holm_is_over_the_others_of_a_setting():
    # p of b is 0.033 against a; beside another test it counts twice.
    a, b = [0.80, 0.80, 0.80, 0.80], [0.79, 0.78, 0.76, 0.775]
    alone = leading(rows(a=a, b=b), "value")
    beside = leading(rows(a=a, b=b, c=[0.81, 0.78, 0.79, 0.80]), "value")
    assert alone == {("s", "a"): "best"}
    assert beside == {("s", "a"): "best", ("s", "b"): "level", ("s", "c"): "level"}


def test_without_two_common_seeds_the_best_alone_is_told():
    assert leading(rows(a=[0.8], b=[0.7]), "value") == {("s", "a"): "best"}
    without_seeds = rows(a=[0.8], b=[0.7]).drop(columns="seed")
    assert leading(without_seeds, "value") == {("s", "a"): "best"}


def test_equals_lead_together_and_nobody_leads_alone():
    found = leading(rows(a=[0.8, 0.7], b=[0.8, 0.7]), "value")
    assert found == {("s", "a"): "best", ("s", "b"): "best"}
    assert leading(rows(a=[0.8, 0.7]), "value") == {}


@pytest.mark.parametrize("order", [slice(None), slice(None, None, -1)])
def test_neither_the_order_of_rows_nor_missing_values_matter(order):
    table = pd.concat(
        [rows(a=[0.5, 0.6, None], b=[0.1, 0.2, 0.9]), rows("t", a=[0.1, 0.2], b=[0.3, 0.5])]
    )
    found = leading(table.iloc[order], "value")
    assert found["s", "a"] == "best"
    assert found["t", "b"] == "best"
