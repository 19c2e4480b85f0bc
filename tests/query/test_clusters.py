"""Clusters: k-means, typicality and uncertain kernels, on hand-made points."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from alsweep.query.clusters import (
    kernel_kmeans,
    kmeans,
    nearest_to_centres,
    representative_uncertain,
    seeds,
    typical,
    uncertain_kernel,
)
from alsweep.rng import stream

BLOBS = np.array([[0.0, 0], [0.1, 0], [0.3, 0], [9, 9], [9.4, 9], [9.1, 9], [0, 30]])


@given(st.integers(0, 60))
def test_kmeans_ends_where_every_point_is_nearest_to_the_mean_of_its_cluster(seed):
    points = stream(seed).normal(size=(20, 3))
    own, distance = kmeans(points, 4, stream(seed, "k"))
    centres = np.array([points[own == c].mean(axis=0) for c in range(own.max() + 1)])
    gaps = ((points[:, None] - centres[None]) ** 2).sum(axis=2)
    assert (own == gaps.argmin(axis=1)).all()
    np.testing.assert_allclose(distance, gaps.min(axis=1), atol=1e-9)


def test_seeds_begin_anywhere_and_never_on_a_centre():
    firsts = [seeds(BLOBS, 3, stream(seed)) for seed in range(200)]
    assert {first for first, *_ in firsts} == set(range(7))
    assert all(len(set(chosen)) == 3 for chosen in firsts)
    assert len(seeds(np.ones((4, 2)), 3, stream(0))) == 1
    assert seeds(np.zeros((0, 2)), 3, stream(0)) == []


def test_the_largest_cluster_comes_first_and_the_nearest_to_its_centre_in_it():
    for seed in range(5):
        found = list(nearest_to_centres(BLOBS, 3, stream(seed)))
        assert sorted(map(tuple, found)) == [(1, 0, 2), (5, 3, 4), (6,)]
        assert found[-1] == [6]


def test_typical_is_who_has_near_neighbours():
    # In the cluster of four, 0.1 and 0.2 have the nearest ones.
    points = np.array([[0.0], [0.1], [0.25], [3.0], [100.0]])
    for seed in range(5):
        first, last = typical(points, 2, stream(seed))
        gaps = np.abs(points[:4] - points[:4].T).sum(axis=1) / 3
        assert first == np.argsort(gaps, kind="stable").tolist()
        assert last == [4]


def test_the_kernel_is_as_written_and_kernel_kmeans_is_kmeans_for_a_linear_one():
    points, uncertainty = np.array([[0.0], [1.0]]), np.array([0.25, 1.0])
    expected = sum(np.exp(-gamma / 2) for gamma in (0.1, 1, 10)) / (1.25 + 1e-10)
    found = uncertain_kernel(points, uncertainty)
    assert found[0, 1] == pytest.approx(expected) == found[1, 0]
    assert found[0, 0] == pytest.approx(3 / 0.5)
    own = kernel_kmeans(BLOBS @ BLOBS.T, [0, 3, 6])
    assert own.tolist() == [0, 0, 0, 1, 1, 1, 2]


def test_of_the_three_most_typical_of_a_cluster_the_most_uncertain_comes_first():
    angles = np.array([0.0, 0.05, 0.1, 0.5, 0.9])
    points = np.stack([np.cos(angles), np.sin(angles)], axis=1) * 3
    uncertainty = np.array([0.5, 0.6, 0.55, 1.0, 0.9])
    # One cluster: 2, 1 and 0 or 3 lie in its middle, 4 at its end.
    distance = 1 - np.cos(angles[:, None] - angles)
    order = np.argsort(distance.mean(axis=1), kind="stable").tolist()
    (found,) = representative_uncertain(points, uncertainty, 1, 3, stream(0))
    assert found == [*sorted(order[:3], key=lambda i: -uncertainty[i]), *order[3:]]
    (plain,) = representative_uncertain(points, uncertainty, 1, 1, stream(0))
    assert plain == order
