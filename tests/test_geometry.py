import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from alsweep.geometry import (
    Patch,
    axis_starts,
    box_slices,
    boxes_intersect,
    by_case,
    centred_start,
    clip_size,
    intersection,
    union_voxels,
)

SHAPE = (9, 7, 8)


@st.composite
def boxes(draw: st.DrawFn) -> tuple[tuple[int, int, int], tuple[int, int, int]]:
    size = tuple(draw(st.integers(1, n)) for n in SHAPE)
    start = tuple(draw(st.integers(0, n - s)) for n, s in zip(SHAPE, size, strict=True))
    return start, size


def mask(*given_boxes) -> np.ndarray:
    filled = np.zeros(SHAPE, dtype=bool)
    for start, size in given_boxes:
        filled[box_slices(start, size)] = True
    return filled


@given(boxes(), boxes())
def test_boxes_intersect_exactly_where_their_masks_do(a, b):
    assert boxes_intersect(*a, *b) == bool((mask(a) & mask(b)).any())


@given(boxes(), boxes())
def test_the_common_box_is_the_common_mask(a, b):
    common = intersection(*a, *b)
    expected = mask(a) & mask(b)
    assert np.array_equal(mask(common) if common else mask(), expected)


@given(st.lists(boxes(), max_size=6))
def test_union_counts_every_voxel_once(many):
    assert union_voxels(many) == mask(*many).sum()


@given(st.integers(1, 30), st.integers(1, 40), st.integers(1, 9))
def test_starts_are_valid_and_reach_the_far_border(length, size, stride):
    starts = axis_starts(length, size, stride)
    assert starts == sorted(set(starts))
    assert starts[0] == 0
    assert starts[-1] == max(0, length - size)
    assert set(range(0, starts[-1] + 1, stride)) <= set(starts)


@given(st.integers(0, 8), st.integers(1, 9))
def test_centred_box_stays_inside_also_with_odd_sizes_at_the_far_border(centre, size):
    (start, _, _) = centred_start((centre, 0, 0), (size, 1, 1), (9, 1, 1))
    assert 0 <= start <= 9 - size
    assert start <= centre < start + size


def test_patches_of_different_cases_never_intersect():
    a, b = Patch("a", (0, 0, 0), (2, 2, 2)), Patch("b", (0, 0, 0), (2, 2, 2))
    assert not a.intersects(b)
    assert a.intersects(Patch("a", (1, 1, 1), (2, 2, 2)))
    assert not a.intersects(Patch("a", (2, 0, 0), (2, 2, 2)))


def test_patch_knows_its_extent():
    patch = Patch("a", (1, 2, 3), (2, 3, 4))
    assert patch.stop == (3, 5, 7)
    assert patch.voxels == 24
    assert patch.inside((3, 5, 7))
    assert not patch.inside((3, 5, 6))
    assert clip_size((4, 4, 40), (9, 3, 8)) == (4, 3, 8)


def test_a_patch_needs_three_axes():
    from alsweep.geometry import triple

    with pytest.raises(ValueError, match="unpack"):
        triple((1, 2))


def test_patches_of_a_case_keep_their_order():
    b1, a, b2 = (Patch(case, (z, 0, 0), (1, 1, 1)) for case, z in (("b", 5), ("a", 3), ("b", 1)))
    assert by_case([b1, a, b2]) == {"b": [b1, b2], "a": [a]}
    assert list(by_case([b1, a, b2])) == ["b", "a"]
