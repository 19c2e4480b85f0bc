from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from alsweep.geometry import Patch
from alsweep.label_codes import IGNORE
from alsweep.query import make_strategy
from alsweep.query.pool import PoolCase
from alsweep.query.room import has_room, too_free
from alsweep.testing.pools import ArrayPool, make_references, make_request, make_streams
from tests.query.conftest import random_probs

SHAPE = (6, 7, 5)
FREE_SHAPE = (24, 24, 24)
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
    free = np.full(SHAPE, IGNORE, dtype=np.uint8)
    assert has_room(PoolCase("a", SHAPE, (), free), make_request(1, (3, 3, 3)))
    assert not has_room(PoolCase("a", SHAPE, (), free * 0), make_request(1, (3, 3, 3)))


def half_free():
    """Everything below z = 12 has a free label."""
    free = np.full(FREE_SHAPE, IGNORE, dtype=np.uint8)
    free[:12] = 0
    return free


def free_pool():
    references = make_references(shape=FREE_SHAPE)
    free = {case: half_free() for case in references}
    return ArrayPool(references, random_probs(references, FREE_SHAPE), free=free)


def free_share(patch):
    return (half_free()[patch.slices] != IGNORE).mean()


@pytest.mark.parametrize("name", ["random", "random_fg66", "predictive_entropy", "clasp_pe"])
@pytest.mark.parametrize("allowed", [0.0, 0.4])
def test_no_patch_holds_more_free_labels_than_allowed(name, allowed):
    request = replace(make_request(12), free_label_share=allowed)
    chosen = make_strategy(name).query(free_pool(), request, make_streams())
    assert len(chosen) == 12
    shares = [free_share(choice.patch) for choice in chosen]
    assert max(shares) <= allowed
    anywhere = replace(make_request(12), free_label_share=1.0)
    shares = [
        free_share(c.patch)
        for c in make_strategy(name).query(free_pool(), anywhere, make_streams())
    ]
    assert max(shares) > allowed


def test_too_free_is_the_share_of_each_box():
    case = PoolCase("a", FREE_SHAPE, (), half_free())
    request = replace(make_request(1, (4, 4, 4), strides=(2, 2, 2)), free_label_share=0.5)
    found = too_free(case, request)
    assert found is not None
    assert [bool(z) for z in found[:, 0, 0]] == [start < 10 for start in range(0, 21, 2)]
    assert too_free(PoolCase("a", FREE_SHAPE, ()), request) is None
