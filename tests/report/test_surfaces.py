"""Surfaces close, enclose what they are of, and face outwards."""

from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from alsweep.report.surfaces import surface


def volume(points: np.ndarray, triangles: np.ndarray) -> float:
    """Signed volume that triangles enclose, by the theorem of Gauss."""
    a, b, c = (points[triangles[:, corner]] for corner in range(3))
    return float((a * np.cross(b, c)).sum() / 6)


@settings(max_examples=40, deadline=None)
@given(arrays(bool, st.tuples(*[st.integers(1, 6)] * 3)))
def test_every_edge_of_a_surface_is_run_along_both_ways_as_often(mask):
    found = surface(mask, (1.0, 1.0, 1.0))
    assert (found is None) == (not mask.any())
    if found is not None:
        edges = Counter((int(t[k]), int(t[k - 1])) for t in found.triangles for k in range(3))
        assert all(edges[b, a] == count for (a, b), count in edges.items())
        assert (found.points >= -0.5).all()
        assert (found.points <= np.array(mask.shape) - 0.5).all()


def test_a_box_has_its_place_size_and_outside():
    mask = np.zeros((12, 10, 9), dtype=bool)
    mask[2:10, 1:9, 1:8] = True
    found = surface(mask, (2.0, 1.0, 0.5))
    low, high = found.points.min(axis=0), found.points.max(axis=0)
    assert low.tolist() == pytest.approx([2 * 1.5, 0.5, 0.25])
    assert high.tolist() == pytest.approx([2 * 9.5, 8.5, 3.75])
    # Corners are cut, so a little less than the box.
    enclosed = abs(volume(found.points, found.triangles))
    assert 0.9 * 8 * 8 * 7 < enclosed < 8 * 8 * 7


def test_a_large_ball_is_drawn_coarser_and_stays_where_it_is():
    z, y, x = np.ogrid[:90, :90, :90]
    mask = (z - 40) ** 2 + (y - 50) ** 2 + (x - 45) ** 2 < 35**2
    found = surface(mask, (1.0, 1.0, 1.0))
    assert len(found.triangles) <= 9000
    assert found.points.mean(axis=0).tolist() == pytest.approx([40, 50, 45], abs=0.5)
    assert abs(volume(found.points, found.triangles)) == pytest.approx(mask.sum(), rel=0.04)
