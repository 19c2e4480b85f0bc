import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy.ndimage import uniform_filter

from alsweep.geometry import axis_starts
from alsweep.query import box_mean

volumes = hnp.arrays(
    np.float32,
    hnp.array_shapes(min_dims=3, max_dims=3, max_side=7),
    elements=st.floats(0, 10, width=32),
)
sizes = st.tuples(*[st.integers(1, 9)] * 3)
strides = st.tuples(*[st.integers(1, 4)] * 3)


def plain_box_mean(score, size, stride):
    """The definition, box by box."""
    size = [min(s, n) for s, n in zip(size, score.shape, strict=True)]
    grid = [axis_starts(n, s, g) for n, s, g in zip(score.shape, size, stride, strict=True)]
    return np.array(
        [
            [
                [
                    score[z : z + size[0], y : y + size[1], x : x + size[2]].mean(dtype=np.float64)
                    for x in grid[2]
                ]
                for y in grid[1]
            ]
            for z in grid[0]
        ]
    )


@given(volumes, sizes, strides)
def test_box_mean_is_the_mean_of_each_box(score, size, stride):
    means = box_mean(score, size, stride)
    assert isinstance(means, np.ndarray)
    np.testing.assert_allclose(means, plain_box_mean(score, size, stride), rtol=1e-12, atol=1e-12)


def test_box_mean_agrees_with_scipy_at_stride_one():
    score = np.random.default_rng(0).random((12, 13, 14))
    expected = uniform_filter(score, 5)[2:-2, 2:-2, 2:-2]
    np.testing.assert_allclose(box_mean(score, (5, 5, 5)), expected, rtol=1e-12)


def test_box_mean_takes_tensors_and_leading_axes():
    score = torch.rand(2, 6, 5, 4, generator=torch.Generator().manual_seed(0))
    means = box_mean(score, (3, 2, 4), (2, 1, 1))
    assert isinstance(means, torch.Tensor)
    assert means.shape == (2, 3, 4, 1)
    for index in range(2):
        np.testing.assert_allclose(
            means[index], box_mean(score[index].numpy(), (3, 2, 4), (2, 1, 1))
        )


def test_the_last_valid_start_is_reached_when_the_stride_misses_it():
    score = np.zeros((10, 1, 1))
    score[9] = 1
    assert box_mean(score, (3, 1, 1), (4, 1, 1)).ravel() == pytest.approx([0, 0, 1 / 3])


def test_a_constant_map_has_one_value_after_rounding_to_float32():
    means = box_mean(np.full((19, 17, 23), 0.1, dtype=np.float32), (7, 5, 11))
    assert np.unique(means.astype(np.float32)).tolist() == [np.float32(0.1)]


def test_an_image_smaller_than_the_patch_has_one_box_over_all_of_it():
    score = np.arange(8.0).reshape(2, 2, 2)
    assert box_mean(score, (9, 9, 9)).tolist() == [[[3.5]]]
