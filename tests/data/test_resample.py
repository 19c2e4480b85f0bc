import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from alsweep.data.ingest.resample import (
    coarse_axis,
    resample_image,
    resample_labels,
    resampled_shape,
    target_spacing,
)


def test_the_target_is_the_median_where_no_axis_is_very_coarse():
    spacings = [(2.0, 1.0, 1.0), (2.5, 0.5, 1.0), (9.0, 0.8, 1.0)]
    assert target_spacing(spacings, [(50, 100, 100)] * 3) == (2.5, 0.8, 1.0)


def test_a_very_coarse_axis_gets_its_tenth_percentile():
    spacings = [(float(z), 1.0, 1.0) for z in range(1, 12)]
    assert target_spacing(spacings, [(20, 200, 200)] * 11) == (2.0, 1.0, 1.0)


def test_a_coarse_axis_does_not_become_finer_than_the_others():
    spacings = [(0.5, 1.0, 1.0), (0.5, 1.0, 1.0), *[(5.0, 1.0, 1.0)] * 5]
    assert target_spacing(spacings, [(20, 200, 200)] * 7) == (1.00001, 1.0, 1.0)


def test_a_coarse_axis_with_many_slices_keeps_the_median():
    assert target_spacing([(5.0, 1.0, 1.0)] * 3, [(100, 200, 200)] * 3) == (5.0, 1.0, 1.0)


@pytest.mark.parametrize(
    ("spacing", "target", "axis"),
    [
        ((1.0, 1.0, 1.0), (1.0, 1.0, 1.0), None),
        ((3.0, 1.0, 1.0), (1.0, 1.0, 1.0), None),
        ((3.1, 1.0, 1.0), (1.0, 1.0, 1.0), 0),
        ((1.0, 1.0, 1.0), (1.0, 5.0, 1.0), 1),
    ],
)
def test_slices_are_kept_apart_from_a_ratio_above_three(spacing, target, axis):
    assert coarse_axis(spacing, target) == axis


def test_the_extent_in_mm_is_kept():
    assert resampled_shape((10, 20, 30), (3.0, 1.0, 0.5), (1.5, 1.0, 1.0)) == (20, 20, 15)
    assert resampled_shape((2, 20, 30), (0.1, 1.0, 1.0), (5.0, 1.0, 1.0)) == (1, 20, 30)


def test_a_linear_ramp_stays_the_same_ramp_in_mm():
    ramp = np.broadcast_to(np.arange(20, dtype=np.float32)[:, None, None], (20, 6, 6)).copy()
    finer = resample_image(ramp, (40, 6, 6), None)
    expected = (np.arange(40) + 0.5) / 2 - 0.5
    assert finer[10:-10, 3, 3] == pytest.approx(expected[10:-10], abs=1e-3)


def test_along_the_coarse_axis_every_slice_is_one_of_the_source():
    image = np.random.default_rng(0).normal(size=(4, 6, 6)).astype(np.float32)
    finer = resample_image(image, (8, 6, 6), 0)
    assert np.array_equal(finer, np.repeat(image, 2, axis=0))
    for axis in (1, 2):
        turned = np.moveaxis(image, 0, axis)
        shape = tuple(8 if a == axis else 6 for a in range(3))
        assert np.array_equal(resample_image(turned, shape, axis), np.repeat(turned, 2, axis=axis))


@settings(deadline=None, derandomize=True, max_examples=30)
@given(
    st.tuples(*[st.integers(2, 9)] * 3),
    st.tuples(*[st.integers(1, 14)] * 3),
    st.sampled_from([None, 0, 1, 2]),
    st.integers(0, 99),
)
def test_resampled_labels_are_labels_of_the_source(old, new, coarse, seed):
    labels = np.random.default_rng(seed).choice([0, 2, 5], size=old).astype(np.uint8)
    result = resample_labels(labels, new, coarse)
    assert (result.shape, result.dtype) == (new, np.uint8)
    assert set(np.unique(result)) <= set(np.unique(labels))


def test_between_the_classes_zero_and_two_no_class_one_appears():
    labels = np.zeros((12, 12, 12), dtype=np.uint8)
    labels[:, :, 6:] = 2
    result = resample_labels(labels, (12, 12, 30), None)
    assert np.array_equal(result[5, 5], np.repeat([0, 2], 15))


def test_the_volume_of_a_ball_hardly_changes():
    grid = np.indices((32, 32, 32)) - 15.5
    labels = (np.sqrt((grid**2).sum(axis=0)) < 10).astype(np.uint8)
    finer = resample_labels(labels, (48, 40, 32), None)
    assert finer.mean() == pytest.approx(labels.mean(), rel=0.02)


@pytest.mark.parametrize("pair", [(0, 2), (2, 0)])
def test_halfway_between_two_labels_the_nearest_voxel_wins_whichever_is_higher(pair):
    labels = np.empty((4, 4, 2), dtype=np.uint8)
    labels[:] = pair
    first, second = pair
    assert resample_labels(labels, (4, 4, 3), None)[0, 0].tolist() == [first, second, second]


def test_where_the_nearest_voxel_lost_the_lowest_of_equals_wins():
    # Sampled at the centre of the block, labels 1 and 2 have three corners each and 3 has two.
    labels = np.array([3, 1, 1, 1, 2, 2, 2, 3], dtype=np.uint8).reshape(2, 2, 2)
    assert resample_labels(labels, (1, 1, 1), None).item() == 1


def test_splines_do_not_overshoot_what_the_source_holds():
    step = np.zeros((8, 8, 8), dtype=np.float32)
    step[:, :, 4:] = 100
    finer = resample_image(step, (8, 8, 20), None)
    assert (finer.min(), finer.max()) == (0, 100)


def test_two_equally_coarse_axes_are_interpolated():
    assert coarse_axis((0.24, 1.25, 1.25), (1.0, 1.0, 1.0)) is None
