import numpy as np
import pytest

from alsweep.errors import PoolExhaustedError
from alsweep.geometry import Patch
from alsweep.query import make_strategy, select_patches
from alsweep.query.maps import predictive_entropy
from tests.query.conftest import (
    ArrayPool,
    make_references,
    make_request,
    overlaps,
    random_probs,
    streams,
)

RANDOM = ["random", "random_fg33", "random_fg66"]
ALL_CLASSES = [f"{name}_all_classes" for name in RANDOM]


def patches_of(name, pool, request, seed=0):
    return [c.patch for c in make_strategy(name).query(pool, request, streams(seed))]


def hits_foreground(patch, references):
    return bool(references[patch.case][patch.slices].any())


@pytest.mark.parametrize("name", RANDOM + ALL_CLASSES)
def test_random_strategies_place_the_exact_count_without_overlap(name, pool):
    request = make_request(30)
    placed = patches_of(name, pool, request)
    assert len(placed) == 30
    assert not overlaps(placed)
    assert all(patch.inside((24, 24, 24)) for patch in placed)
    assert placed == patches_of(name, pool, request)
    assert placed != patches_of(name, pool, request, seed=1)


def test_random_visits_the_cases_in_turn(pool):
    placed = patches_of("random", pool, make_request(10))
    assert sorted(p.case for p in placed[:5]) == sorted(p.case for p in placed[5:])
    assert len({p.case for p in placed[:5]}) == 5


def test_random_asks_for_no_labels(pool):
    patches_of("random", pool, make_request(20))
    assert pool.reference_reads == 0


def test_random_reaches_every_start_and_the_far_corner():
    pool = ArrayPool({"a": np.zeros((5, 4, 4), dtype=np.uint8)})
    starts = {
        patches_of("random", pool, make_request(1, (4, 4, 4)), seed)[0].start for seed in range(40)
    }
    assert starts == {(0, 0, 0), (1, 0, 0)}


@pytest.mark.parametrize(("name", "share"), [("random_fg33", 1 / 3), ("random_fg66", 2 / 3)])
def test_foreground_shares_are_as_named(name, share):
    # Foreground of one voxel in a huge volume: only a centred patch hits it.
    volume = np.zeros((60, 60, 60), dtype=np.uint8)
    volume[30, 30, 30] = 1
    references = {f"case_{i:03d}": volume for i in range(300)}
    placed = patches_of(name, ArrayPool(references), make_request(300, (3, 3, 3)))
    hits = sum(hits_foreground(patch, references) for patch in placed)
    assert abs(hits / 300 - share) < 0.09


def test_a_full_pool_gives_fewer_patches():
    pool = ArrayPool({"a": np.zeros((8, 8, 8), dtype=np.uint8)})
    placed = patches_of("random", pool, make_request(20, (8, 8, 4)))
    assert 1 <= len(placed) <= 2
    tight = ArrayPool(
        {"a": np.zeros((8, 8, 8), np.uint8)}, taken=[Patch("a", (0, 0, 0), (8, 8, 4))]
    )
    assert patches_of("random", tight, make_request(20, (8, 8, 4)))[0].start == (0, 0, 4)


def test_foreground_strategies_fall_back_to_uniform_where_there_is_none():
    pool = ArrayPool({f"c{i}": np.zeros((12, 12, 12), np.uint8) for i in range(3)})
    assert len(patches_of("random_fg66", pool, make_request(9, (4, 4, 4)))) == 9


@pytest.mark.parametrize("name", ALL_CLASSES)
@pytest.mark.parametrize("seed", range(5))
def test_all_classes_starts_hold_every_class_in_two_cases(name, seed, references, pool):
    placed = patches_of(name, pool, make_request(6), seed)
    assert len(placed) == 6
    for label in range(3):
        cases = {p.case for p in placed if (references[p.case][p.slices] == label).any()}
        assert len(cases) >= 2


def test_all_classes_names_a_class_that_is_in_one_case_only():
    references = make_references()
    for case in list(references)[1:]:
        references[case][references[case] == 2] = 0
    with pytest.raises(PoolExhaustedError, match="class 'lesion' is only in case case_0"):
        patches_of("random_fg33_all_classes", ArrayPool(references), make_request(6))


def test_limit_per_case_is_kept(pool):
    placed = patches_of("random", pool, make_request(10, per_case=2))
    assert max(sum(p.case == case for p in placed) for case in {p.case for p in placed}) == 2


def test_predictive_entropy_takes_the_globally_best_patches(references):
    probs = random_probs(references, (24, 24, 24))
    taken = [Patch("case_0", (0, 0, 0), (12, 12, 12))]
    pool = ArrayPool(references, probs, taken)
    chosen = make_strategy("predictive_entropy").query(pool, make_request(7), streams())
    everything = [
        (-box.score, box.start, case)
        for case in sorted(references)
        for box in select_patches(
            predictive_entropy(probs[case]),
            (6, 6, 6),
            1,
            [p for p in taken if p.case == case],
            n=7,
        )
    ]
    expected = [(start, case) for _, start, case in sorted(everything)[:7]]
    assert [(c.patch.start, c.patch.case) for c in chosen] == expected
    assert pool.reference_reads == 0
    assert not overlaps([c.patch for c in chosen] + taken)


def test_random_patches_may_overlap_as_far_as_is_allowed():
    references = {"a": np.zeros((10, 8, 8), dtype=np.uint8)}
    taken = [Patch("a", (0, 0, 0), (6, 8, 8))]
    placed = {}
    for overlap in (0.0, 0.25, 0.5):
        request = make_request(1, (6, 8, 8), overlap=overlap)
        placed[overlap] = {
            patch.start[0]
            for seed in range(20)
            for patch in patches_of("random", ArrayPool(references, taken=taken), request, seed)
        }
    # At z = 4 a third is covered, at z = 3 half.
    assert placed == {0.0: set(), 0.25: set(), 0.5: {3, 4}}
