"""Where windows and slabs lie, against MONAI and by counting."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from monai.data.utils import dense_patch_slices
from monai.inferers.utils import _get_scan_interval

from alsweep.geometry import box_slices
from alsweep.model.lattice import Lattice, mirrored, whole

lengths = st.tuples(st.integers(1, 30), st.integers(1, 9), st.integers(1, 9))
windows = st.tuples(st.integers(1, 12), st.integers(1, 12), st.integers(1, 12))
steps = st.sampled_from([0.1, 0.3, 0.5, 0.7, 0.75, 0.9, 1.0])


@given(lengths, windows, steps)
def test_windows_lie_where_monai_puts_them(shape, window, step):
    padded = [max(n, w) for n, w in zip(shape, window, strict=True)]
    before = [max(w - n, 0) // 2 for n, w in zip(shape, window, strict=True)]
    interval = _get_scan_interval(padded, window, 3, (1 - step,) * 3)
    expected = [
        tuple(int(axis.start) - pad for axis, pad in zip(place, before, strict=True))
        for place in dense_patch_slices(padded, window, interval)
    ]
    lattice = Lattice(shape, window, step)
    assert lattice.corners(whole(shape)) == expected
    assert lattice.windows == len(expected)


@given(lengths, windows, steps, st.data())
def test_a_part_is_given_all_windows_that_hold_any_of_it_in_their_order(shape, window, step, data):
    lattice = Lattice(shape, window, step)
    box = tuple(
        slice(first, data.draw(st.integers(first + 1, n)))
        for n in shape
        for first in [data.draw(st.integers(0, n - 1))]
    )
    wanted = np.zeros(shape, dtype=bool)
    wanted[box] = True

    def holds_some(corner):
        first = [max(c, 0) for c in corner]
        size = [c + w - f for c, w, f in zip(corner, window, first, strict=True)]
        return wanted[box_slices(first, size)].any()

    assert lattice.corners(box) == [c for c in lattice.corners(whole(shape)) if holds_some(c)]


@given(lengths, windows, steps, st.integers(1, 40))
def test_slabs_hold_each_plane_once_and_none_too_many(shape, window, step, most):
    lattice = Lattice(shape, window, step)
    slabs = lattice.slabs(most)
    assert [plane for slab in slabs for plane in range(shape[0])[slab]] == list(range(shape[0]))
    sizes = [slab.stop - slab.start for slab in slabs]
    assert max(sizes) <= most
    # Few of them: each but the last takes at least half of what it may.
    assert all(2 * size >= most for size in sizes[:-1])
    assert lattice.passes(shape[0]) == 1
    assert 1 <= lattice.passes(most) <= len(slabs)


def test_slabs_end_where_windows_do():
    lattice = Lattice((100, 8, 8), (20, 8, 8), 0.5)
    assert [slab.stop for slab in lattice.slabs(27)] == [20, 40, 60, 80, 100]
    # One window straddles the end of each slab of two, and one of every two that of larger ones.
    assert lattice.passes(20) == (2 + 3 * 3 + 2) / 9
    assert lattice.passes(60) == (6 + 4) / 9


@given(lengths, st.sets(st.integers(0, 2)), st.data())
def test_mirroring_twice_is_nothing(shape, flips, data):
    box = tuple(slice(a, data.draw(st.integers(a, n))) for n in shape for a in [n // 3])
    assert mirrored(mirrored(box, shape, tuple(flips)), shape, tuple(flips)) == box
    marked = np.zeros(shape, dtype=bool)
    marked[box] = True
    flipped = np.flip(marked, tuple(flips)) if flips else marked
    assert flipped[mirrored(box, shape, tuple(flips))].all()
    assert flipped.sum() == marked.sum()
