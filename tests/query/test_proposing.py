"""Which windows become candidates."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from alsweep.errors import StrategyError
from alsweep.geometry import Patch
from alsweep.query import RandomTiling, Windows
from alsweep.query.select import Space
from alsweep.rng import stream


def tiles(shape, size, strides=(1, 1, 1), taken=(), n=999, seed=0, scores=None):
    windows = Windows(shape, size, strides)
    grid = [len(starts) for starts in windows.grid]
    given_scores = stream(0, "scores").random(grid) if scores is None else scores(grid)
    return RandomTiling()(given_scores, Space(windows, taken), n, stream(seed)), given_scores


@given(st.integers(0, 100), st.tuples(*[st.integers(4, 13)] * 3), st.integers(1, 3))
def test_tiles_lie_in_the_case_do_not_overlap_and_leave_no_room(seed, shape, stride):
    taken = [Patch("a", (0, 0, 0), (2, 3, 4))]
    found, _ = tiles(shape, (4, 3, 2), (stride,) * 3, taken, seed=seed)
    covered = np.zeros(shape, dtype=int)
    for start, size in [((0, 0, 0), (2, 3, 4)), *((b.start, b.size) for b in found)]:
        box = tuple(slice(a, a + s) for a, s in zip(start, size, strict=True))
        assert all(a + s <= n for a, s, n in zip(start, size, shape, strict=True))
        covered[box] += 1
    assert covered.max() == 1
    # No window of the grid would fit beside them.
    windows = Windows(shape, (4, 3, 2), (stride,) * 3)
    for z in windows.grid[0]:
        for y in windows.grid[1]:
            for x in windows.grid[2]:
                assert covered[z : z + 4, y : y + 3, x : x + 2].any()


def test_tiles_are_a_lattice_at_every_place_and_in_any_order():
    places, orders = set(), set()
    for seed in range(60):
        found, _ = tiles((11, 4, 4), (4, 4, 4), n=2, seed=seed)
        starts = [box.start[0] for box in found]
        assert abs(starts[0] - starts[1]) == 4
        places.add(min(starts))
        orders.add(starts[0] < starts[1])
    # Two tiles begin at 0 to 3; from 4 on there would be one, which another window then fills up.
    assert places == {0, 1, 2, 3}
    assert orders == {True, False}


def test_no_score_has_a_say_and_each_tile_keeps_its_own():
    found, scores = tiles((8, 8, 8), (4, 4, 4), seed=3)
    other, _ = tiles((8, 8, 8), (4, 4, 4), seed=3, scores=lambda grid: np.full(grid, -np.inf))
    assert [box.start for box in found] == [box.start for box in other]
    assert [box.score for box in found] == [pytest.approx(scores[box.start]) for box in found]
    assert {box.score for box in other} == {-np.inf}
    with pytest.raises(StrategyError, match="patch scores are NaN"):
        tiles((8, 8, 8), (4, 4, 4), scores=lambda grid: np.full(grid, np.nan))
