import numpy as np
import pytest

from alsweep.data.case import Region
from alsweep.model.surfaces import SurfaceDistance, case_surfaces

ORGAN, LESION = Region(name="organ", labels=(1,)), Region(name="lesion", labels=(2,))


def box(start, size, label=1, shape=(12, 12, 12)):
    labels = np.zeros(shape, dtype=np.uint8)
    labels[tuple(slice(a, a + n) for a, n in zip(start, size, strict=True))] = label
    return labels


def test_a_plate_moved_by_two_slices_is_two_slices_away():
    # A plate of one slice: all voxels are surface. It moves by 2 slices of 1.5 mm along z.
    plate, moved = box((4, 0, 0), (1, 12, 12)), box((6, 0, 0), (1, 12, 12))
    (near,) = case_surfaces(moved, plate, [ORGAN], (1.5, 1.0, 1.0), tolerance_mm=2.9)
    assert near == SurfaceDistance(0.0, pytest.approx(3.0))
    (far,) = case_surfaces(moved, plate, [ORGAN], (1.5, 1.0, 1.0), tolerance_mm=3.1)
    assert far.surface_dice == 1


def test_a_perfect_prediction_is_at_no_distance():
    labels = box((2, 2, 2), (5, 6, 7))
    assert case_surfaces(labels, labels, [ORGAN], (3, 1, 1), 0.5) == [SurfaceDistance(1.0, 0.0)]


def test_a_class_that_one_map_lacks_has_no_overlap_and_no_distance():
    labels, nothing = box((2, 2, 2), (4, 4, 4)), np.zeros((12, 12, 12), dtype=np.uint8)
    for pair in ((labels, nothing), (nothing, labels)):
        found = case_surfaces(*pair, [ORGAN, LESION], (1, 1, 1), 1.0)
        assert found == [SurfaceDistance(0.0, None), SurfaceDistance(None, None)]


def test_ignored_voxels_count_for_nothing():
    labels = box((2, 2, 2), (4, 4, 4))
    partly = labels.copy()
    partly[5] = 255
    expected = box((2, 2, 2), (3, 4, 4))
    assert case_surfaces(labels, partly, [ORGAN], (1, 1, 1), 0.1) == case_surfaces(
        expected, expected, [ORGAN], (1, 1, 1), 0.1
    )


def test_a_region_is_judged_as_the_union_of_its_labels():
    whole = Region(name="whole", labels=(1, 2))
    labels = box((2, 2, 2), (6, 6, 6))
    split = np.where(box((4, 4, 4), (2, 2, 2)) == 1, 2, labels).astype(np.uint8)
    assert case_surfaces(labels, split, [whole], (1, 1, 1), 0.1) == [SurfaceDistance(1.0, 0.0)]
    (_, lesion) = case_surfaces(labels, split, [whole, LESION], (1, 1, 1), 0.1)
    assert lesion.surface_dice == 0
