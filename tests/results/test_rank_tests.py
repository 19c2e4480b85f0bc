import math

import autorank
import numpy as np
import pandas as pd
import pytest
import scikit_posthocs
from hypothesis import given, settings
from hypothesis import strategies as st

from alsweep.results import critical_difference, friedman, nemenyi, rank_groups
from alsweep.results.rank_tests import bars
from tests.results.studies import random_study, rescaled, rewritten, study_table


def finals(table: pd.DataFrame) -> pd.DataFrame:
    last = table[table["loop"] == table["loop"].max()]
    return last.groupby(["setting", "strategy"])["mean_dice"].mean().unstack()


def test_the_statistic_is_friedman_s_formula_where_nothing_ties():
    table = random_study(9, 4, 2)
    ranks = finals(table).rank(axis=1).mean()
    n, k = 9, 4
    expected = 12 * n / (k * (k + 1)) * ((ranks**2).sum() - k * (k + 1) ** 2 / 4)
    found = friedman(table, "final").iloc[0]
    assert found["chi2"] == pytest.approx(expected)
    assert found["f"] == pytest.approx((n - 1) * expected / (n * (k - 1) - expected))
    assert found[["settings", "strategies"]].tolist() == [9, 4]


def test_the_critical_difference_is_the_tabled_one():
    assert critical_difference(4, 12) == pytest.approx(1.354, abs=5e-4)
    quantiles = [1.960, 2.343, 2.569, 2.728, 2.850, 2.949, 3.031, 3.102, 3.164]
    for k, quantile in zip(range(2, 11), quantiles, strict=True):
        found = critical_difference(k, 7) / math.sqrt(k * (k + 1) / 42)
        assert found == pytest.approx(quantile, abs=1e-3)


def test_ranks_and_critical_difference_agree_with_autorank():
    means = finals(random_study(14, 5, 2))
    oracle = autorank.autorank(
        means, alpha=0.05, verbose=False, force_mode="nonparametric", order="descending"
    )
    found = rank_groups(random_study(14, 5, 2), "final")
    expected = oracle.rankdf["meanrank"].to_dict()
    assert found["mean_rank"].to_dict() == pytest.approx(expected)
    assert found.attrs["critical_difference"] == pytest.approx(oracle.cd, rel=1e-4)
    assert friedman(random_study(14, 5, 2), "final")["p"].item() == pytest.approx(oracle.pvalue)


def test_pairs_agree_with_scikit_posthocs():
    table = random_study(10, 5, 2)
    oracle = scikit_posthocs.posthoc_nemenyi_friedman(finals(table))
    found = nemenyi(table, "final")
    np.testing.assert_allclose(found.to_numpy(), oracle.to_numpy(), atol=1e-3)
    assert (found.to_numpy() < 0.05).any()


def test_letters_tie_those_whom_no_pair_tells_apart():
    table = random_study(10, 5, 2)
    p, found = nemenyi(table, "final"), rank_groups(table, "final")
    for one in found.index:
        for other in found.index.drop(one):
            shared = set(found.loc[one, "letters"]) & set(found.loc[other, "letters"])
            assert bool(shared) == (p.loc[one, other] > 0.05)


def test_bars_are_the_longest_runs():
    assert bars([1, 1.5, 2, 4, 4.2], 1.2) == [(0, 2), (3, 4)]
    assert bars([1, 1.8, 2.6], 1.0) == [(0, 1), (1, 2)]
    assert bars([1, 2, 3], math.nan) == []
    assert bars([1, 2, 3], 5.0) == [(0, 2)]


def test_full_agreement_has_no_finite_f():
    scores = np.broadcast_to(np.array([0.5, 0.6, 0.7])[None, :, None], (4, 3, 2))
    found = friedman(study_table(scores)).iloc[0]
    assert found["chi2"] == pytest.approx(8)
    assert found["f"] == math.inf
    assert found["f_p"] == pytest.approx(6**-3)


@pytest.mark.parametrize(
    ("scores", "orders"), [((0.5, 0.6, 0.7), 6), ((0.5, 0.5, 0.7), 3), ((0.1, 0.2, 0.3, 0.4), 24)]
)
def test_two_settings_that_agree_may_do_so_by_chance(scores, orders):
    study = np.broadcast_to(np.array(scores)[None, :, None], (2, len(scores), 2))
    assert friedman(study_table(study)).iloc[0]["f_p"] == pytest.approx(1 / orders)


def test_too_few_settings_or_strategies_say_nothing():
    assert friedman(random_study(1, 4, 3)).iloc[0][["chi2", "p", "f", "f_p"]].isna().all()
    assert math.isnan(friedman(random_study(1, 4, 3))["critical_difference"].item())
    two = friedman(random_study(6, 2, 3)).iloc[0]
    assert math.isnan(two["p"])
    assert two["critical_difference"] == pytest.approx(1.960 * math.sqrt(1 / 6), abs=1e-3)
    assert nemenyi(random_study(1, 3, 3)).isna().all(axis=None)
    assert rank_groups(random_study(1, 3, 3))["letters"].tolist() == [""] * 3
    assert rank_groups(random_study(2, 3, 3).query("status == 'failed'")).empty


@settings(max_examples=15, deadline=None)
@given(data=st.data())
def test_rows_seed_names_and_a_setting_s_scale_do_not_matter(data):
    table = random_study(6, 4, 1)
    other = rescaled(data.draw(rewritten(table)))
    for test in (friedman, nemenyi, rank_groups):
        pd.testing.assert_frame_equal(test(table, "final"), test(other, "final"))
