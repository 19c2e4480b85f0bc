"""CRB: the additive kernel density is the plain one, and what the three steps choose."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import entropy, gaussian_kde

from alsweep.geometry import Patch
from alsweep.query.balance import GRID, Balance, bandwidth, nearness
from alsweep.query.candidates import Annotated, Candidate, CaseLimit, Known
from alsweep.query.clusters import seeds
from alsweep.query.select.crb import Crb
from alsweep.rng import stream

NAN = np.nan


def plain_score(values, every):
    """One class, as it is written down: a fit by scipy, and the divergence on the grid."""
    width = bandwidth(every)
    grid = np.linspace(every.min() - 3 * width, every.max() + 3 * width, GRID)
    low, high = np.quantile(every, (0.05, 0.95))
    uniform = ((grid >= low) & (grid <= high)).astype(float)
    if len(values) > 1:
        density = gaussian_kde(values, bw_method=width / values.std(ddof=1))(grid)
    else:
        density = np.exp(-(((grid - values[0]) / width) ** 2) / 2)
    density = np.maximum(density / density.sum(), 1e-300)
    return nearness(np.array([entropy(uniform / uniform.sum(), density)]))[0]


@settings(max_examples=15)
@given(st.integers(0, 60))
def test_the_additive_density_is_the_plain_one(seed):
    rng = stream(seed)
    every = rng.normal(size=(30, 2)) * [1, 3]
    every[rng.random((30, 2)) < 0.3] = NAN
    sizes = every[:8]
    balance = Balance(sizes, every, np.zeros((0, 2)))
    chosen: list[int] = []
    for step in (3, 0, 6):
        expected = np.zeros((8, 2))
        left = [j for j in range(8) if j not in chosen]
        for j in left:
            for c in range(2):
                if not np.isnan(sizes[j, c]):
                    values = np.array([*sizes[chosen, c], sizes[j, c]])
                    pool = every[:, c][~np.isnan(every[:, c])]
                    expected[j, c] = plain_score(values[~np.isnan(values)], pool)
        np.testing.assert_allclose(balance.scores[left], expected.mean(axis=1)[left], atol=1e-6)
        balance.add(step)
        chosen.append(step)


def test_a_density_by_scott_has_the_width_of_scipy():
    values = stream(1).normal(size=40)
    fit = gaussian_kde(values)
    assert bandwidth(values) == pytest.approx(float(np.sqrt(fit.covariance[0, 0])))
    assert bandwidth(np.ones(4)) == bandwidth(np.ones(1)) == 1.0


def test_a_class_that_nobody_holds_is_left_out_and_an_absent_one_scores_nothing():
    sizes = np.array([[1.0, NAN, NAN], [2.0, 5.0, NAN], [NAN, NAN, NAN]])
    found = Balance(sizes, sizes, np.zeros((0, 3))).scores
    alone = Balance(sizes[:, :1], sizes[:, :1], np.zeros((0, 1))).scores
    assert found[0] == pytest.approx(alone[0] / 2)
    assert found[2] == 0
    assert (Balance(sizes[:, 2:], sizes[:, 2:], np.zeros((0, 1))).scores == 0).all()


def test_what_is_annotated_counts_like_what_is_chosen():
    every = np.linspace(0, 6, 13)[:, None]
    first = Balance(every, every, every[[4, 9]]).scores
    second = Balance(every, every, np.zeros((0, 1)))
    second.add(4)
    second.add(9)
    np.testing.assert_allclose(first, second.scores)


def made(gradients, volumes):
    return [
        Candidate(Patch("a", (i, 0, 0), (1, 1, 1)), -float(i), soft_gradient=g, volumes=v)
        for i, (g, v) in enumerate(zip(gradients, volumes, strict=True))
    ]


def ask(found, n, seed=0, annotated=(), **parameters):
    volumes = np.array(annotated).reshape(-1, 1)
    known = Known(Annotated(np.zeros((0, 0)), np.zeros((0, 0)), volumes), found)
    picked = Crb(**parameters)(found, n, known, CaseLimit(99), stream(seed))
    return [candidate.patch.start[0] for candidate in picked]


@pytest.mark.parametrize("seed", range(4))
def test_the_first_pick_is_the_first_centre_and_each_next_one_balances_best(seed):
    rng = stream(seed, "made")
    gradients, volumes = rng.normal(size=(9, 3)), rng.integers(1, 4000, size=(9, 2))
    found = made(gradients, volumes)
    picked = ask(found, 4, seed, prototypes=2.0)
    order, sizes = seeds(gradients, 8, stream(seed)), np.log(volumes)
    expected = order[:1]
    for _ in range(3):
        worth = {
            j: sum(plain_score(sizes[[*expected, j], c], sizes[:, c]) for c in range(2))
            for j in order
            if j not in expected
        }
        expected.append(max(worth, key=worth.get))
    assert picked == expected


def test_prototypes_that_balance_nothing_come_in_their_own_order():
    gradients = stream(2).normal(size=(9, 2))
    found = made(gradients, np.zeros((9, 1)))
    assert ask(found, 4) == seeds(gradients, 12, stream(0))[:4]


def test_equal_gradients_give_one_prototype_and_the_rest_is_filled_up():
    found = made(np.ones((5, 2)), np.ones((5, 1)))
    picked = ask(found, 3)
    assert len(picked) == len(set(picked)) == 3
    assert picked[1:] == [i for i in range(5) if i != picked[0]][:2]


def test_annotated_sizes_count_where_that_is_asked_for():
    volumes = np.array([2, 8, 32, 128, 512])[:, None]
    found = made(np.eye(5) * 9, volumes)
    annotated = [2, 8, 8, 32, 32, 0]
    before = np.log([[2], [8], [8], [32], [32]])
    for seed in range(6):
        for counted in (True, False):
            first, second = ask(found, 2, seed, annotated, include_annotated=counted)
            balance = Balance(np.log(volumes), np.log(volumes), before[: 5 * counted])
            balance.add(first)
            worth = balance.scores - 9 * (np.arange(5) == first)
            assert worth[second] == worth.max()
