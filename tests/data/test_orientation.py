from itertools import permutations, product

import nibabel as nib
import numpy as np
import pytest

from alsweep.data.exchange.orientation import turned, turned_back
from alsweep.rng import stream

AXES = ("LR", "PA", "IS")
EVERY = [
    "".join(AXES[axis][way] for axis, way in zip(order, ways, strict=True))
    for order in permutations(range(3))
    for ways in product((0, 1), repeat=3)
]


@pytest.mark.parametrize("codes", EVERY)
def test_a_turned_volume_lies_where_it_did_and_is_turned_back_exactly(codes):
    rng = stream(0, "turn", codes)
    array = rng.integers(0, 100, (3, 4, 5))
    axes, _ = np.linalg.qr(np.eye(3) + rng.normal(0, 0.1, (3, 3)))
    affine = np.eye(4)
    affine[:3, :3] = axes[:, rng.permutation(3)] * rng.choice([-2.0, 1.5], 3)
    affine[:3, 3] = rng.normal(0, 50, 3)
    found = turned(array, affine, codes)
    assert "".join(nib.aff2axcodes(found.affine)) == codes
    # Each voxel keeps its place: the sum of place times value is that of a body's moment.
    for one, place in ((array, affine), (found.array, found.affine)):
        where = np.einsum("ij,jxyz->ixyz", place[:3, :3], np.indices(one.shape[::-1]))
        moment = (where * one.T).sum(axis=(1, 2, 3)) + place[:3, 3] * one.sum()
        if one is array:
            expected = moment
    assert np.allclose(moment, expected)
    assert np.array_equal(turned_back(found.array, found.back), array)
    channels = np.stack([found.array, 2 * found.array])
    assert np.array_equal(turned_back(channels, found.back), np.stack([array, 2 * array]))


def test_where_images_point_all_ways_none_is_turned():
    array = np.arange(24).reshape(2, 3, 4)
    found = turned(array, np.diag([-1.0, 1, 1, 1]), None)
    assert np.array_equal(found.array, array)
