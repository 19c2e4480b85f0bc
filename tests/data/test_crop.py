import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

from alsweep.data.ingest.crop import nonzero_box, nonzero_mask

shapes = st.tuples(*[st.integers(1, 6)] * 3)
volumes = npst.arrays(np.int16, shapes, elements=st.sampled_from([0, 0, 0, 0, 1, -2]))


@given(volumes)
def test_the_box_is_the_smallest_that_holds_all_that_is_not_zero(volume):
    box = nonzero_box([volume])
    inside = volume[tuple(slice(a, a + n) for a, n in zip(box.start, box.size, strict=True))]
    assert np.count_nonzero(inside) == np.count_nonzero(volume)
    if not volume.any():
        assert box.size == volume.shape
        return
    for axis in range(3):
        faces = np.moveaxis(inside, axis, 0)
        assert faces[0].any()
        assert faces[-1].any()


@given(volumes)
def test_every_channel_counts_and_none_is_changed(volume):
    other = np.zeros_like(volume)
    other[0, 0, 0] = 7
    before = volume.copy()
    assert nonzero_box([volume, other]).start == (0, 0, 0)
    assert np.array_equal(volume, before)


def test_holes_belong_to_the_mask_and_bays_do_not():
    volume = np.zeros((5, 5, 5), np.uint8)
    volume[1:4, 1:4, 1:4] = 1
    volume[2, 2, 2] = 0
    assert nonzero_mask([volume]).sum() == 27
    volume[1, 2, 2] = 0
    assert nonzero_mask([volume]).sum() == 25
