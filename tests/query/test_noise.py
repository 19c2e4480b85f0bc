import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from alsweep.query.noise import Power, Softmax, SoftRank
from alsweep.rng import stream
from alsweep.testing.pools import make_request


def betas(loops=5, **parameters):
    noise = Power(**parameters)
    return [noise.beta_at(make_request(1, loop=k, loops=loops)) for k in range(loops - 1)]


def test_the_exponential_schedule_is_the_published_one():
    assert betas(schedule="exponential") == pytest.approx([1, 3.16228, 10, 31.6228], rel=1e-5)


def test_over_queries_the_last_query_reaches_the_end():
    found = betas(schedule="exponential", span="queries")
    assert found == pytest.approx([1, 100 ** (1 / 3), 100 ** (2 / 3), 100])


def test_the_sigmoid_schedules_are_the_published_ones():
    x = np.linspace(-6, 6, 5)
    for temperature in (2.0, 0.5):
        s = 1 / (1 + np.exp(-x / temperature))
        expected = 1 + 99 * (s - s.min()) / (s.max() - s.min())
        found = betas(schedule="sigmoid", temperature=temperature)
        assert found == pytest.approx(expected[:4].tolist())


def test_linear_and_constant_schedules():
    assert betas(schedule="linear", beta=1.0, beta_end=9.0) == [1, 3, 5, 7]
    assert betas(beta=7.0) == [7] * 4


@pytest.mark.parametrize("span", ["loops", "queries"])
@pytest.mark.parametrize("schedule", ["linear", "exponential", "sigmoid"])
def test_a_single_query_uses_the_first_beta(span, schedule):
    assert betas(loops=2, schedule=schedule, span=span) == [1.0]


@given(st.integers(0, 1000))
def test_scores_of_zero_become_minus_infinity_and_never_nan(seed):
    scores = np.array([[[0.0, 0.5, 1e-30, 0.0]]])
    found = Power().on_windows(scores, make_request(1), stream(seed))
    assert np.isneginf(found[0, 0]).tolist() == [True, False, False, True]
    assert not np.isnan(found).any()


def test_power_noise_samples_in_proportion_to_the_score_to_the_beta():
    scores, request, draws = np.array([1.0, 2.0, 3.0]), make_request(1), stream(0)
    for beta in (1.0, 2.0):
        wins = [Power(beta=beta).on_windows(scores, request, draws).argmax() for _ in range(20_000)]
        expected = scores**beta / (scores**beta).sum()
        assert np.bincount(wins) / 20_000 == pytest.approx(expected, abs=0.015)


def test_softmax_noise_samples_in_proportion_to_the_exponential():
    scores, request, draws = np.array([0.0, 1.0]), make_request(1), stream(0)
    wins = [Softmax(beta=2.0).on_windows(scores, request, draws).argmax() for _ in range(20_000)]
    assert np.mean(wins) == pytest.approx(1 / (1 + np.exp(-2)), abs=0.015)


def test_soft_rank_draws_once_for_each_candidate():
    found = SoftRank().on_candidates(np.full(6, 0.5), make_request(1), stream(0))
    noise = found + np.log(np.arange(1, 7))
    assert len(np.unique(noise.round(12))) == 6
    assert noise == pytest.approx(stream(0).gumbel(0, 1, 6))


def test_soft_rank_samples_in_proportion_to_one_over_the_rank():
    request, draws = make_request(1), stream(1)
    wins = [SoftRank().on_candidates(np.zeros(3), request, draws).argmax() for _ in range(20_000)]
    assert np.bincount(wins) / 20_000 == pytest.approx(np.array([6, 3, 2]) / 11, abs=0.015)


def test_much_beta_leaves_the_order_as_it_is():
    scores = np.linspace(0.1, 1, 50)
    found = Power(beta=1000.0).on_windows(scores, make_request(1), stream(3))
    assert found.argmax() == 49
