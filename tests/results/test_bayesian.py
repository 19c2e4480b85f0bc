import baycomp
import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from alsweep.errors import RecordError
from alsweep.results import bayesian_compare, bayesian_over_settings
from tests.results.studies import random_study, rewritten, study_table

P = ["p_better", "p_equal", "p_worse"]


def finals(table: pd.DataFrame, strategy: str, setting: str) -> np.ndarray:
    rows = table[(table["strategy"] == strategy) & (table["setting"] == setting)]
    return rows[rows["loop"] == 2].sort_values("seed")["mean_dice"].to_numpy()


@pytest.mark.parametrize("rope", [0.0, 0.01])
def test_one_setting_is_the_correlated_t_test(rope):
    table = random_study(1, 3, 6)
    found = bayesian_compare(table, ["a0"], "final", rope, correlation=1 / 6)
    for _, row in found.iterrows():
        control, other = (finals(table, name, "s00") for name in ("a0", row["strategy"]))
        oracle = baycomp.CorrelatedTTest.probs(control, other, rope)
        worse, equal, better = oracle if rope else (oracle[0], 0.0, oracle[1])
        assert row[P].tolist() == pytest.approx([better, equal, worse])


def test_independent_seeds_are_surer_than_correlated_ones():
    table = study_table(np.array([[[0.5, 0.5, 0.5], [0.51, 0.53, 0.55]]]))
    free = bayesian_compare(table, ["a0"])["p_better"].item()
    tied = bayesian_compare(table, ["a0"], correlation=0.5)["p_better"].item()
    assert 0.5 < tied < free < 1


@pytest.mark.parametrize("rope", [0.0, 0.02])
def test_settings_together_are_the_signed_rank_test(rope):
    table = random_study(9, 3, 2)
    found = bayesian_over_settings(table, ["a0"], "final", rope)
    last = table[table["loop"] == 2].groupby(["setting", "strategy"])["mean_dice"].mean().unstack()
    for _, row in found.iterrows():
        oracle = baycomp.SignedRankTest.probs(
            last["a0"].to_numpy(), last[row["strategy"]].to_numpy(), rope,
            nsamples=4000, random_state=0,
        )  # fmt: skip
        worse, equal, better = oracle if rope else (oracle[0], 0.0, oracle[1])
        # rope 0 of the oracle counts a draw of exactly one half otherwise.
        assert row[P].tolist() == pytest.approx([better, equal, worse], abs=0.03)
        assert row["settings"] == 9


def test_a_difference_within_the_region_is_none():
    scores = np.full((8, 2, 3), 0.5)
    scores[:, 1] += 0.001
    table = study_table(scores)
    assert bayesian_over_settings(table, ["a0"], "final")["p_equal"].item() > 0.99
    assert bayesian_compare(table, ["a0"], "final")[P].to_numpy()[0].tolist() == [0, 1, 0]
    assert bayesian_compare(table, ["a0"], "final", rope=0)["p_better"][0] == 1


def test_single_seeds_and_single_settings_say_nothing():
    assert bayesian_compare(random_study(2, 2, 1), ["a0"])[P].isna().all(axis=None)
    assert bayesian_over_settings(random_study(1, 2, 4), ["a0"])[P].isna().all(axis=None)
    with pytest.raises(RecordError, match="rope"):
        bayesian_compare(random_study(1, 2, 2), ["a0"], rope=-1)
    with pytest.raises(RecordError, match="correlation"):
        bayesian_compare(random_study(1, 2, 2), ["a0"], correlation=1)


@settings(max_examples=8, deadline=None)
@given(data=st.data())
def test_rows_and_seed_names_do_not_matter_and_probabilities_add_up(data):
    table = random_study(4, 3, 3)
    other = data.draw(rewritten(table))
    for test in (bayesian_compare, bayesian_over_settings):
        one, two = (test(t, ["a1"]) for t in (table, other))
        pd.testing.assert_frame_equal(one, two)
        assert one[P].sum(axis=1).tolist() == pytest.approx([1] * len(one))
