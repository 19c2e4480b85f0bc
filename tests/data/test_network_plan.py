from math import prod

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from alsweep.data.ingest.network_plan import make_plan

ISOTROPIC = (1.0, 1.0, 1.0)


def test_a_small_dataset_is_seen_whole():
    plan = make_plan([(40, 50, 40), (36, 52, 40), (38, 48, 40)], ISOTROPIC, 3)
    assert plan.median_shape == (38, 50, 40)
    assert plan.pooling == (3, 3, 3)
    assert plan.patch_size == (40, 56, 40)
    assert plan.batch_size == 2


def test_an_isotropic_body_scan_gets_a_cube():
    plan = make_plan([(512, 512, 512)] * 20, ISOTROPIC, 2)
    assert plan.patch_size == (128, 128, 128)
    assert plan.pooling == (5, 5, 5)


def test_a_coarse_axis_is_pooled_less_and_its_first_kernels_are_flat():
    plan = make_plan([(60, 512, 512)] * 20, (5.0, 0.8, 0.8), 3)
    assert plan.pooling[0] < plan.pooling[1] == plan.pooling[2]
    assert plan.patch_size[0] < plan.patch_size[1]
    assert plan.kernels[0] == (1, 3, 3)
    assert plan.kernels[-1] == (3, 3, 3)


@pytest.mark.parametrize("turn", [(0, 1, 2), (1, 0, 2), (1, 2, 0)])
def test_turning_the_axes_turns_the_plan(turn):
    def turned(values):
        return tuple(values[axis] for axis in turn)

    plan = make_plan([(60, 300, 512)] * 20, (5.0, 0.8, 0.9), 3)
    other = make_plan([turned((60, 300, 512))] * 20, turned((5.0, 0.8, 0.9)), 3)
    assert other.patch_size == turned(plan.patch_size)
    assert other.strides == tuple(map(turned, plan.strides))
    assert other.kernels == tuple(map(turned, plan.kernels))


shapes = st.lists(st.tuples(*[st.integers(1, 600)] * 3), min_size=1, max_size=5)
spacings = st.tuples(*[st.floats(0.01, 80)] * 3)


@settings(deadline=None, derandomize=True, max_examples=100)
@given(shapes, spacings, st.integers(2, 255))
def test_a_plan_can_be_built_and_fits_the_budget(shapes, spacing, outputs):
    plan = make_plan(shapes, spacing, outputs)
    assert plan.batch_size >= 2
    assert len(plan.strides) == len(plan.kernels) > max(plan.pooling)
    for size, pooling in zip(plan.patch_size, plan.pooling, strict=True):
        assert size % 2**pooling == 0
        assert size // 2**pooling >= 4 or pooling == 0
    # Two feature maps of 32 at full resolution are the least that a network holds.
    assert 64 * prod(plan.patch_size) <= 560_000_000


def test_few_voxels_are_not_seen_twice_in_one_batch():
    assert make_plan([(32, 32, 32)] * 4, ISOTROPIC, 2).batch_size == 2
    assert make_plan([(32, 32, 32)] * 400, ISOTROPIC, 2).batch_size == 20


def test_more_outputs_leave_less_room_for_the_patch():
    few, many = (make_plan([(300, 300, 300)] * 9, ISOTROPIC, n).patch_size for n in (2, 200))
    assert prod(many) < prod(few)


@pytest.mark.parametrize("spacing", [ISOTROPIC, (3.0, 1.0, 1.0)])
def test_thin_volumes_are_not_pooled_away(spacing):
    assert make_plan([(3, 64, 64)], spacing, 2).pooling[0] == 0
