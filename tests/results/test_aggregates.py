import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import bootstrap, trim_mean

from alsweep.errors import RecordError
from alsweep.results import aggregate, performance_profile
from alsweep.results.aggregates import trimmed_mean
from alsweep.rng import stream
from tests.results.studies import random_study, rewritten, study_table


def one_strategy(values: list[float], settings: int = 1) -> pd.DataFrame:
    return study_table(np.array(values).reshape(settings, 1, -1))


def test_the_interquartile_mean_of_one_to_eight_is_four_and_a_half():
    table = one_strategy([0.1 * k for k in range(1, 9)], settings=2)
    found = aggregate(table, "final", draws=200).set_index("statistic")
    assert found.loc["iqm", "value"] == pytest.approx(0.45)
    assert found.loc["mean", "value"] == pytest.approx(0.45)
    assert found.loc["optimality_gap", "value"] == pytest.approx(0.55)
    assert found[["scores", "settings"]].drop_duplicates().to_numpy().tolist() == [[8, 2]]


@settings(max_examples=50, deadline=None)
@given(
    values=st.lists(st.floats(0, 1, width=32), min_size=1, max_size=9),
    drawn=st.integers(0, 1000),
)
def test_the_interquartile_mean_of_a_draw_is_scipy_s_of_what_was_drawn(values, drawn):
    ordered = np.sort(values)
    places = stream(drawn, "draw").integers(len(values), size=len(values))
    counts = np.bincount(places, minlength=len(values))[:, None].astype(np.float32)
    found = trimmed_mean(ordered, counts, len(values) // 4)[0]
    assert found == pytest.approx(trim_mean(ordered[places], 0.25), abs=1e-6)


def test_intervals_are_those_of_a_stratified_bootstrap():
    # One stratum is what scipy knows.
    values = stream(0, "values").normal(0.5, 0.1, size=20)
    found = aggregate(one_strategy(list(values)), "final").set_index("statistic")
    oracle = bootstrap(
        (values,), lambda x, axis: trim_mean(x, 0.25, axis=axis), method="percentile",
        n_resamples=20_000, rng=np.random.default_rng(0),
    ).confidence_interval  # fmt: skip
    assert found.loc["iqm", ["low", "high"]].tolist() == pytest.approx(list(oracle), abs=2e-3)


def test_what_settings_differ_by_is_not_noise():
    # Two settings far apart, all seeds alike: resampled within each, nothing varies.
    found = aggregate(one_strategy([0.2, 0.2, 0.9, 0.9], settings=2), "final", draws=100)
    assert found["low"].tolist() == pytest.approx(found["value"].tolist())
    assert found["high"].tolist() == pytest.approx(found["value"].tolist())


def test_single_seeds_have_no_interval():
    found = aggregate(random_study(5, 2, 1))
    assert found["low"].isna().all()
    assert performance_profile(random_study(5, 2, 1))["low"].isna().all()


def test_normalised_scores_are_zero_at_the_control_and_one_at_full_data():
    scores = np.array([[[0.4, 0.6], [0.7, 0.7]], [[0.2, 0.2], [0.5, 0.8]]])
    full = {"s00": 0.9, "s01": 1.0}
    found = aggregate(study_table(scores), "final", control="a0", full_dice=full, draws=50)
    found = found[found["statistic"] == "mean"].set_index("strategy")["value"]
    assert found["a0"] == pytest.approx(0)
    assert found["a1"] == pytest.approx(np.mean([0.5, 0.5, 0.375, 0.75]))


def test_settings_that_cannot_be_normalised_are_left_out():
    table = random_study(3, 2, 2)
    full = {"s00": 0.95, "s01": 0.01}
    found = aggregate(table, control="a0", full_dice=full, draws=50)
    assert found["settings"].unique().tolist() == [1]
    with pytest.raises(RecordError, match="full_dice"):
        aggregate(table, control="a0")


def test_a_profile_counts_what_is_above():
    found = performance_profile(one_strategy([0.2, 0.4, 0.6, 0.8]), "final", [0.4, 0.1, 0.9])
    assert found["tau"].tolist() == [0.1, 0.4, 0.9]
    assert found["share"].tolist() == [1.0, 0.5, 0.0]
    assert (found["low"] <= found["share"]).all()
    # Drawn from four: none of the two above 0.4 in one draw of 16.
    assert found["low"][1] == pytest.approx(0.0, abs=0.26)
    with pytest.raises(RecordError, match="taus"):
        performance_profile(random_study(2, 2, 2), taus=[float("nan")])


def test_profiles_fall_from_one_and_keep_the_order_of_strategies():
    found = performance_profile(random_study(6, 3, 3), draws=100)
    wide = found.pivot(index="tau", columns="strategy", values="share")
    assert (wide.diff().iloc[1:] <= 1e-9).all(axis=None)
    # The area under it, from 0, is the mean.
    assert (wide["a2"].mean() > wide["a1"].mean()) & (wide["a1"].mean() > wide["a0"].mean())


@settings(max_examples=8, deadline=None)
@given(data=st.data())
def test_rows_and_seed_names_do_not_matter(data):
    table = random_study(3, 3, 3)
    other = data.draw(rewritten(table))
    for make in (aggregate, performance_profile):
        points = [make(t, draws=10).drop(columns=["low", "high"]) for t in (table, other)]
        pd.testing.assert_frame_equal(*points)
    shuffled = table.iloc[::-1]
    pd.testing.assert_frame_equal(
        aggregate(table, draws=50), aggregate(shuffled, draws=50), check_exact=True
    )
