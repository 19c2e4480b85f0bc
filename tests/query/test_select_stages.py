"""Selection over the candidates of all cases."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from alsweep.geometry import Patch
from alsweep.query.base import Embedding
from alsweep.query.candidates import (
    Annotated,
    Candidate,
    CaseLimit,
    Known,
    ordered,
    patch_features,
)
from alsweep.query.select import SELECTORS
from alsweep.query.stage import make_stage
from alsweep.rng import stream


def candidates(features, scores=None, case="a"):
    scores = scores if scores is not None else np.linspace(1, 0.1, len(features))
    return [
        Candidate(Patch(case, (i, 0, 0), (1, 1, 1)), float(s), features=np.asarray(f, float))
        for i, (f, s) in enumerate(zip(features, scores, strict=True))
    ]


def chosen(name, found, n, annotated=(), most=99, seed=0, **parameters):
    stage = make_stage(SELECTORS, {"name": name, **parameters}, "select")
    known = Known(Annotated(np.array(annotated), np.zeros((0, 0))), found)
    picked = stage(found, n, known, CaseLimit(most), stream(seed))
    return [candidate.patch.start[0] for candidate in picked]


def test_candidates_are_ordered_by_score_then_start_then_case():
    patches = [("b", 0, 0.5), ("a", 1, 0.5), ("a", 0, 0.5), ("z", 9, 0.9)]
    found = [Candidate(Patch(c, (s, 0, 0), (1, 1, 1)), v) for c, s, v in patches]
    order = [(c.patch.case, c.patch.start[0]) for c in ordered(found)]
    assert order == [("z", 9), ("a", 0), ("b", 0), ("a", 1)]


def test_greedy_takes_the_best_and_heeds_the_limit_per_case():
    found = candidates([[0]] * 4)
    assert chosen("greedy", found, 2) == [0, 1]
    assert chosen("greedy", found, 4, most=3) == [0, 1, 2]


def test_kmeans_begins_at_the_largest_norm_and_goes_to_the_farthest():
    found = candidates([[1, 0], [9, 0], [8.9, 0], [-9, 0.1], [0, 3]])
    # Spreads are about 6.6 and 1.2: measured in those, [0, 3] has the largest norm.
    assert chosen("kmeans++", found, 3) == [4, 1, 3]
    assert sorted(chosen("kmeans++", found, 9)) == [0, 1, 2, 3, 4]


def plain_farthest(features, n, first=()):
    """The rule, distance by distance."""
    own = np.asarray(features, float) / (np.std(features, axis=0) + 1e-6)
    centres = [np.asarray(c) / (np.std(features, axis=0) + 1e-6) for c in first]
    picked = []
    while len(picked) < n:
        left = [i for i in range(len(own)) if i not in picked]
        if not centres:
            best = max(left, key=lambda i: (round((own[i] ** 2).sum(), 9), -i))
        else:
            gap = {i: min(((own[i] - c) ** 2).sum() for c in centres) for i in left}
            best = max(left, key=lambda i: (round(gap[i], 9), -i))
        picked.append(best)
        centres.append(own[best])
    return picked


@given(st.integers(0, 500), st.integers(1, 8))
def test_farthest_first_is_its_definition(seed, n):
    features = stream(seed).normal(size=(10, 3))
    annotated = stream(seed, "more").normal(size=(3, 3))
    found = candidates(features)
    assert chosen("kmeans++", found, n) == plain_farthest(features, n)
    assert chosen("k_center", found, n, annotated) == plain_farthest(features, n, annotated)


def test_annotated_patches_are_centres_for_k_center_alone():
    found = candidates([[10.0], [-8.0], [0.0]])
    assert chosen("k_center", found, 1, [np.array([10.0])]) == [1]
    assert chosen("kmeans++", found, 1, [np.array([10.0])]) == [0]


def test_stochastic_centres_are_drawn_in_proportion_to_the_squared_distance():
    # The first is fixed by its norm; the others lie at distance 1 and 2 from it.
    found = candidates([[3.0], [2.0], [1.0]])
    second = [chosen("kmeans++", found, 2, mode="stochastic", seed=s)[1] for s in range(3000)]
    assert np.mean(np.array(second) == 2) == pytest.approx(0.8, abs=0.03)


def test_equal_features_fall_back_to_the_order_of_scores():
    found = candidates([[1.0]] * 4)
    assert chosen("kmeans++", found, 3) == [0, 1, 2]
    assert chosen("kmeans++", found, 3, mode="stochastic") == [0, 1, 2]


@pytest.mark.parametrize("name", list(SELECTORS))
def test_few_candidates_are_all_taken_and_none_give_none(name):
    found = [
        replace(c, gradient=c.features, soft_gradient=c.features, volumes=v, probs=v / 5)
        for c, v in zip(candidates([[1.0], [2.0], [4.0]]), np.eye(3)[:, :2], strict=True)
    ]
    assert sorted(chosen(name, found, 9)) == [0, 1, 2]
    assert chosen(name, [], 3) == []
    assert chosen(name, found, 0) == []
    assert len(chosen(name, found, 3, most=2)) == 2


@given(st.integers(0, 200))
def test_groups_as_large_as_the_query_are_the_original(seed):
    scores = np.round(np.sort(stream(seed, "scores").random(11))[::-1], 3)
    found = candidates([[0]] * 11, scores)
    order = stream(seed).permutation(11)[:9].reshape(3, 3)
    best = max(order.tolist(), key=lambda group: float(np.mean(scores[group])))
    for size in (0, 3, 10):
        assert chosen("stochastic_batches", found, 3, seed=seed, group_size=size) == sorted(best)


@given(st.integers(0, 50))
def test_the_best_groups_make_up_the_query_and_a_smaller_one_fills_it(seed):
    scores = np.sort(stream(seed, "scores").random(13))[::-1]
    found = candidates([[0]] * 13, scores)
    rng = stream(seed)
    pairs = rng.permutation(13)[:12].reshape(6, 2).tolist()
    best = sorted(pairs, key=lambda pair: -np.mean(scores[pair]))[:2]
    # One is still wanted: groups of one, of which the best of all is the best of those left.
    both = [index for pair in best for index in pair]
    expected = sorted([*both, min(set(range(13)) - set(both))])
    assert chosen("stochastic_batches", found, 5, seed=seed, group_size=2) == expected


def test_small_groups_gain_more_than_one_as_large_as_the_query():
    scores = np.sort(stream(1, "scores").lognormal(size=400))[::-1]
    found = candidates([[0]] * 400, scores)
    gains = {
        size: np.mean(
            [
                scores[chosen("stochastic_batches", found, 40, seed=s, group_size=size)].mean()
                for s in range(40)
            ]
        )
        for size in (1, 10, 40)
    }
    share = {
        s: (gain - scores.mean()) / (scores[:40].mean() - scores.mean())
        for s, gain in gains.items()
    }
    assert share[1] == pytest.approx(1.0)
    assert 0.05 < share[40] < share[10] / 2
    assert share[10] < 0.5


def test_many_resampled_groups_come_near_the_best_one():
    found = candidates([[0]] * 8)
    picked = chosen("stochastic_batches", found, 2, n_groups=2000)
    assert picked == [0, 1]
    # Groups may share patches: none is counted twice, and the count is kept.
    picked = chosen("stochastic_batches", found, 6, n_groups=2000, group_size=2)
    assert picked == [0, 1, 2, 3, 4, 5]
    by_max = chosen("stochastic_batches", found, 2, group_score="max")
    assert 0 in by_max


def graded(gradients):
    """Candidates with gradients instead of features."""
    rows = [np.asarray(row, float) for row in gradients]
    blank = candidates([[0]] * len(rows))
    return [replace(c, gradient=row, soft_gradient=row) for c, row in zip(blank, rows, strict=True)]


def test_badge_begins_at_the_longest_gradient_and_draws_by_squared_distance():
    found = graded([[0.0, 1.0], [0.0, 3.0], [0.0, 2.0], [0.0, 3.0]])
    picked = [chosen("badge", found, 2, seed=s) for s in range(400)]
    assert {first for first, _ in picked} == {1}
    # At distance 2, 1 and 0 from the first: 4 to 1 to 0.
    second = np.array([second for _, second in picked])
    assert np.mean(second == 0) == pytest.approx(0.8, abs=0.06)
    assert not (second == 3).any()
    assert sorted(chosen("badge", found, 4)) == [0, 1, 2, 3]


def test_kmeans_takes_one_of_each_cluster_nearest_to_its_centre():
    found = candidates([[0.0, 0], [0.1, 0], [0.2, 0], [9, 9], [9.4, 9], [9.2, 9.1], [0, 30]])
    # Clusters of three, three and one.
    for seed in range(5):
        assert sorted(chosen("kmeans", found, 3, seed=seed)) == [1, 5, 6]
    assert sorted(chosen("kmeans", found, 7)) == list(range(7))
    # Only the three of the highest scores are clustered where so much is said.
    assert sorted(chosen("kmeans", found, 3, keep_factor=1.0)) == [0, 1, 2]
    assert len(chosen("kmeans", found, 3, keep_factor=1.0, most=2)) == 2


def test_patch_features_are_means_over_the_cells_that_a_patch_touches():
    features = torch.arange(16.0).reshape(1, 4, 2, 2)
    embedding = Embedding(features.half(), (4.0, 4.0, 4.0))
    patches = [
        Patch("a", (0, 0, 0), (4, 4, 4)),
        Patch("a", (2, 0, 0), (4, 8, 4)),
        Patch("a", (15, 7, 7), (1, 1, 1)),
        Patch("a", (16, 0, 0), (2, 2, 2)),
    ]
    found = patch_features(embedding, patches)
    # The last begins behind the grid: the nearest cell counts.
    assert found.ravel().tolist() == [0, np.mean([0, 2, 4, 6]), 15, 12]
    assert patch_features(embedding, []).shape == (0, 1)
