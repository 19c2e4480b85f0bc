import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from alsweep.geometry import Patch
from alsweep.query.pool import NO_LABEL, PoolCase
from alsweep.query.room import has_room
from alsweep.testing.pools import make_request

SHAPE = (6, 7, 5)
boxes = st.tuples(*(st.tuples(st.integers(0, n - 1), st.integers(1, n)) for n in SHAPE))


def patch(box):
    start = tuple(a for a, _ in box)
    size = tuple(min(z, n - a) for (a, z), n in zip(box, SHAPE, strict=True))
    return Patch("a", start, size)


@given(
    st.lists(boxes, max_size=4),
    st.tuples(*(st.integers(1, 8),) * 3),
    st.integers(1, 3),
    st.sampled_from([0.0, 0.3]),
)
def test_there_is_room_where_a_box_of_the_grid_may_lie(taken, size, stride, overlap):
    taken = tuple(map(patch, taken))
    request = make_request(1, size, strides=(stride,) * 3, overlap=overlap)
    mask = np.zeros(SHAPE, dtype=bool)
    for one in taken:
        mask[one.slices] = True
    clipped = [min(s, n) for s, n in zip(size, SHAPE, strict=True)]
    ends = [n - s for n, s in zip(SHAPE, clipped, strict=True)]
    starts = [sorted({*range(0, end + 1, stride), end}) for end in ends]
    allowed = any(
        mask[z : z + clipped[0], y : y + clipped[1], x : x + clipped[2]].mean() <= overlap + 1e-9
        for z in starts[0]
        for y in starts[1]
        for x in starts[2]
    )
    assert has_room(PoolCase("a", SHAPE, taken), request) == allowed


def test_labels_that_cost_nothing_leave_no_room():
    free = np.full(SHAPE, NO_LABEL, dtype=np.uint8)
    assert has_room(PoolCase("a", SHAPE, (), free), make_request(1, (3, 3, 3)))
    assert not has_room(PoolCase("a", SHAPE, (), free * 0), make_request(1, (3, 3, 3)))
