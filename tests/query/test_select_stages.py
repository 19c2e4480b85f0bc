"""Selection over the candidates of all cases."""

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


@pytest.mark.parametrize("name", ["greedy", "kmeans++", "k_center", "stochastic_batches"])
def test_few_candidates_are_all_taken_and_none_give_none(name):
    found = candidates([[1.0], [2.0], [4.0]])
    assert sorted(chosen(name, found, 9)) == [0, 1, 2]
    assert chosen(name, [], 3) == []
    assert chosen(name, found, 0) == []
    assert len(chosen(name, found, 3, most=2)) == 2


@given(st.integers(0, 200))
def test_the_best_random_group_is_chosen(seed):
    scores = np.round(np.sort(stream(seed, "scores").random(11))[::-1], 3)
    found = candidates([[0]] * 11, scores)
    order = stream(seed).permutation(11)[:9].reshape(3, 3)
    best = max(order.tolist(), key=lambda group: float(np.mean(scores[group])))
    assert chosen("stochastic_batches", found, 3, seed=seed) == sorted(best)


def test_many_resampled_groups_come_near_the_best_one():
    found = candidates([[0]] * 8)
    picked = chosen("stochastic_batches", found, 2, n_groups=2000)
    assert picked == [0, 1]
    by_max = chosen("stochastic_batches", found, 2, group_score="max")
    assert 0 in by_max


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
