from math import prod

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from alsweep.data.plan import make_plan


def test_a_small_dataset_is_seen_whole():
    plan = make_plan([(40, 50, 40), (36, 52, 40), (38, 48, 40)], (1.0, 1.0, 1.0))
    assert plan.median_shape == (38, 50, 40)
    assert plan.pooling == (3, 3, 3)
    assert plan.patch_size == (40, 56, 40)
    assert plan.batch_size == 2


def test_an_isotropic_body_scan_gets_a_cube():
    plan = make_plan([(512, 512, 512)] * 20, (1.0, 1.0, 1.0))
    assert plan.patch_size == (128, 128, 128)
    assert plan.pooling == (5, 5, 5)


def test_a_coarse_axis_is_pooled_less_and_covered_by_fewer_voxels():
    plan = make_plan([(60, 512, 512)] * 20, (5.0, 0.8, 0.8))
    assert plan.pooling[0] < plan.pooling[1] == plan.pooling[2]
    assert plan.patch_size[0] < plan.patch_size[1]


shapes = st.lists(st.tuples(*[st.integers(2, 600)] * 3), min_size=1, max_size=5)
spacings = st.tuples(*[st.floats(0.3, 8)] * 3)


@settings(deadline=None, derandomize=True, max_examples=60)
@given(shapes, spacings)
def test_a_plan_can_be_built_and_fits_the_budget(shapes, spacing):
    plan = make_plan(shapes, spacing)
    assert plan.batch_size >= 2
    for size, pooling in zip(plan.patch_size, plan.pooling, strict=True):
        assert size % 2**pooling == 0
        assert size // 2**pooling >= 4 or pooling == 0
    # Padding to a multiple of the pooling may exceed the budget, by under one step an axis.
    steps = [2**pooling for pooling in plan.pooling]
    cut = [max(1, size - step) for size, step in zip(plan.patch_size, steps, strict=True)]
    assert prod(cut) <= 128**3


def test_few_voxels_are_not_seen_twice_in_one_batch():
    assert make_plan([(32, 32, 32)] * 4, (1.0, 1.0, 1.0)).batch_size == 2
    assert make_plan([(32, 32, 32)] * 400, (1.0, 1.0, 1.0)).batch_size == 20


@pytest.mark.parametrize("spacing", [(1.0, 1.0, 1.0), (3.0, 1.0, 1.0)])
def test_thin_volumes_are_not_pooled_away(spacing):
    assert make_plan([(3, 64, 64)], spacing).pooling[0] == 0
