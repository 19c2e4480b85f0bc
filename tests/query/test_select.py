import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from alsweep.errors import StrategyError
from alsweep.geometry import Patch, box_slices, boxes_intersect
from alsweep.query import box_mean, select_patches
from alsweep.query.select import Space, greedy
from alsweep.query.windows import Windows, start_grid

SHAPE = (8, 7, 9)
scores = hnp.arrays(np.float32, SHAPE, elements=st.sampled_from([0.0, 0.1, 0.25, 0.5, 1.0]))
sizes = st.tuples(*[st.integers(1, 4)] * 3)


def plain_greedy(score, size, stride, taken, n, overlap=0.0):
    """The rule as methods states it: sort all candidates, accept each that covers little enough."""
    means = box_mean(score, size, stride).astype(np.float32)
    grid = start_grid(score.shape, size, stride)
    candidates = [
        (-means[i, j, k], (z, y, x))
        for i, z in enumerate(grid[0])
        for j, y in enumerate(grid[1])
        for k, x in enumerate(grid[2])
    ]
    covered = np.zeros(score.shape, dtype=bool)
    for start, extent in taken:
        covered[box_slices(start, extent)] = True
    chosen = []
    for negative, start in sorted(candidates):
        window = covered[box_slices(start, size)]
        if len(chosen) < n and window.sum() <= overlap * window.size:
            chosen.append((start, size, float(-negative)))
            window[:] = True
    return chosen


@given(scores, sizes, st.integers(1, 3), st.integers(1, 12))
def test_greedy_selection_is_the_sorted_rule(score, size, stride, n):
    taken = [((1, 1, 1), (2, 3, 2))]
    found = select_patches(score, size, stride, taken, n=n)
    assert [tuple(box) for box in found] == plain_greedy(score, size, stride, taken, n)


@given(scores, sizes, st.floats(0.05, 0.9), st.integers(1, 8))
def test_allowed_overlap_counts_the_union_of_all_others(score, size, overlap, n):
    taken = [((0, 0, 0), (4, 4, 4)), ((2, 2, 2), (4, 4, 4)), ((7, 6, 8), (1, 1, 1))]
    found = select_patches(score, size, 1, taken, n=n, overlap=overlap)
    assert [tuple(box) for box in found] == plain_greedy(score, size, 1, taken, n, overlap)


@given(scores, sizes, st.integers(1, 30))
def test_selected_patches_are_inside_and_never_overlap(score, size, n):
    found = select_patches(score, size, 1, n=n)
    for index, box in enumerate(found):
        assert Patch("case", box.start, box.size).inside(SHAPE)
        assert not any(boxes_intersect(*box[:2], *other[:2]) for other in found[:index])
    assert [box.score for box in found] == sorted((box.score for box in found), reverse=True)


def test_ties_go_to_the_lowest_start_in_c_order():
    found = select_patches(np.full((4, 4, 4), 0.1, dtype=np.float32), (2, 2, 2), n=3)
    assert [box.start for box in found] == [(0, 0, 0), (0, 0, 2), (0, 2, 0)]


def test_scores_that_differ_below_float32_are_ties():
    score = np.full((1, 1, 3), 0.5)
    score[0, 0, 2] += 1e-12
    assert select_patches(score, (1, 1, 1), n=1)[0].start == (0, 0, 0)


def test_an_exhausted_volume_gives_fewer_and_never_raises():
    assert len(select_patches(np.ones((4, 4, 4)), (3, 3, 3), n=5)) == 1
    assert select_patches(np.ones((4, 4, 4)), (2, 2, 2), taken=[((0, 0, 0), (4, 4, 4))], n=5) == []


def test_minus_infinity_is_chosen_when_nothing_else_is_left():
    patch_scores = np.full((1, 1, 4), -np.inf)
    patch_scores[0, 0, 2] = 1.0
    found = greedy(patch_scores, Space(Windows((1, 1, 4), (1, 1, 1), (1, 1, 1))), 3)
    assert [box.start[2] for box in found] == [2, 0, 1]


def test_taken_may_be_patches_and_scores_tensors():
    taken = [Patch("any", (0, 0, 0), (2, 4, 4))]
    found = select_patches(torch.ones(4, 4, 4), (2, 4, 4), taken=taken, n=2)
    assert found == [((2, 0, 0), (2, 4, 4), 1.0)]
    assert all(type(value) is int for value in found[0].start + found[0].size)


def test_a_patch_longer_than_the_volume_is_clipped():
    assert select_patches(np.ones((2, 3, 4)), (9, 2, 9), n=9) == [((0, 0, 0), (2, 2, 4), 1.0)]


def test_nan_scores_are_an_error_of_the_strategy():
    with pytest.raises(StrategyError, match="8 patch scores are NaN"):
        select_patches(np.full((2, 2, 2), np.nan), (1, 1, 1), n=1)
