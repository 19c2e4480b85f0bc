"""Random placement: who comes first, what is full, and what is guaranteed."""

import numpy as np
import pytest

from alsweep.errors import PoolExhaustedError
from alsweep.geometry import Patch
from alsweep.query.placement import Placer, guarantee_classes
from alsweep.rng import stream
from alsweep.testing.pools import ArrayPool, make_request

SIZE = (4, 4, 4)


def placer_of(pool, request):
    return Placer(pool.cases, pool.classes, pool.reference, request)


def spots(*labelled, shape=(12, 12, 12)):
    """A reference that is one voxel of each class at a place."""
    volume = np.zeros(shape, dtype=np.uint8)
    for label, place in labelled:
        volume[place] = label
    return volume


def test_a_patch_on_a_class_is_centred_on_one_of_its_voxels():
    pool = ArrayPool({"a": spots((1, (6, 5, 7)))})
    placer = placer_of(pool, make_request(1, SIZE))
    assert placer.place_on("a", 1, stream(0))
    assert placer.placed == [Patch("a", (4, 3, 5), SIZE)]
    assert not placer.place_on("a", 2, stream(0)), "the case has no such class"
    assert not placer.place_on("a", 1, stream(0)), "its only voxel is taken"


def test_at_the_rim_a_patch_is_moved_inside():
    pool = ArrayPool({"a": spots((1, (0, 11, 6)))})
    placer = placer_of(pool, make_request(1, SIZE))
    assert placer.place_on("a", 1, stream(0))
    assert placer.placed[0].start == (0, 8, 4)


def test_a_border_is_the_class_without_its_inside():
    volume = np.zeros((9, 9, 9), dtype=np.uint8)
    volume[2:7, 2:7, 2:7] = 1
    pool = ArrayPool({"a": volume})
    centres = {"seg": set(), "border": set()}
    for mode, found in centres.items():
        for seed in range(300):
            placer = placer_of(pool, make_request(1, (1, 1, 1)))
            assert placer.place("a", mode, stream(seed))
            found.add(placer.placed[0].start)
    inside = {(z, y, x) for z in (3, 4, 5) for y in (3, 4, 5) for x in (3, 4, 5)}
    assert centres["border"].isdisjoint(inside)
    assert centres["seg"] & inside
    assert all(volume[place] == 1 for found in centres.values() for place in found)


def test_the_last_place_is_found_however_unlikely():
    # One start of 17 ** 3 is free: no luck would find it.
    shape = (20, 20, 20)
    taken = [
        Patch("a", (0, 0, 0), (16, 20, 20)),
        Patch("a", (16, 0, 0), (4, 16, 20)),
        Patch("a", (16, 16, 0), (4, 4, 16)),
    ]
    pool = ArrayPool({"a": np.zeros(shape, np.uint8)}, taken=taken)
    placer = placer_of(pool, make_request(2, SIZE))
    placer.fill(2, ("all",), stream(0))
    assert placer.placed == [Patch("a", (16, 16, 16), SIZE)]


def test_cases_are_visited_in_turn_until_each_is_full():
    # One case has room for two patches, the others for one.
    shapes = {"a": (4, 4, 8), "b": (4, 4, 4), "c": (4, 4, 4)}
    pool = ArrayPool({case: np.zeros(shape, np.uint8) for case, shape in shapes.items()})
    for seed in range(20):
        placer = placer_of(pool, make_request(9, SIZE))
        placer.fill(9, ("all",), stream(seed))
        cases = [patch.case for patch in placer.placed]
        assert sorted(cases[:3]) == ["a", "b", "c"]
        assert set(cases[3:]) <= {"a"}


def test_a_full_case_is_passed_over_and_no_other_comes_twice_for_it():
    references = {case: np.zeros((20, 20, 20), np.uint8) for case in "abcdef"}
    taken = [Patch(case, (0, 0, 0), (20, 20, 20)) for case in "bd"]
    for seed in range(20):
        placer = placer_of(ArrayPool(references, taken=taken), make_request(8, SIZE))
        placer.fill(8, ("all",), stream(seed))
        cases = [patch.case for patch in placer.placed]
        assert sorted(cases[:4]) == ["a", "c", "e", "f"]
        assert cases[4:] == cases[:4], "the second round is in the order of the first"


def test_the_rarest_class_is_placed_first_and_patches_spread_over_cases():
    # Class 2 is in two cases, class 1 in four: it takes those that class 2 leaves.
    references = {case: spots((1, (3, 3, 3))) for case in "abcd"}
    for case in "ab":
        references[case] = spots((1, (3, 3, 3)), (2, (9, 9, 9)))
    pool = ArrayPool(references)
    for seed in range(20):
        placer = placer_of(pool, make_request(4, SIZE))
        guarantee_classes(placer, pool, (1, 2), stream(seed))
        assert [patch.case in "ab" for patch in placer.placed] == [True, True, False, False]
        assert len({patch.case for patch in placer.placed}) == 4


def test_cases_are_used_again_once_none_is_left():
    references = {case: spots((1, (3, 3, 3)), (2, (9, 9, 9))) for case in "ab"}
    pool = ArrayPool(references)
    placer = placer_of(pool, make_request(4, SIZE))
    guarantee_classes(placer, pool, (1, 2), stream(0))
    assert sorted(patch.case for patch in placer.placed) == ["a", "a", "b", "b"]


def test_a_guarantee_that_does_not_fit_names_the_class_and_the_count():
    # Both classes at one place: the patch of the first leaves no room for the second.
    references = {case: spots((1, (6, 6, 6)), (2, (6, 6, 7))) for case in "ab"}
    pool = ArrayPool(references)
    placer = placer_of(pool, make_request(4, SIZE))
    with pytest.raises(PoolExhaustedError, match=r"class 'lesion': only 0 of 2 guaranteed patches"):
        guarantee_classes(placer, pool, (1, 2), stream(0))
