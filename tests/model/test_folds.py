from itertools import product

from hypothesis import example, given, settings
from hypothesis import strategies as st

from alsweep.model.folds import make_folds

CROSSED = {
    case: frozenset(held) for case, held in zip("abcd", ({0, 2}, {0}, {1, 2}, {1}), strict=True)
}
"""Of two folds, a and c go to the first with classes 0 and 1, and class 2 with them."""

EACH_IN_TWO = [frozenset(pair) for pair in ({0, 1}, {1, 2}, {2, 0})]


def holders(classes_of):
    return [
        [case for case in classes_of if label in classes_of[case]]
        for label in frozenset().union(*classes_of.values())
    ]


def spread(part_of, classes_of):
    return all(len({part_of[case] for case in held}) > 1 for held in holders(classes_of))


def possible(classes_of, folds):
    """Whether any of all splits has every class in two parts."""
    splits = product(range(folds), repeat=len(classes_of))
    return any(spread(dict(zip(classes_of, split, strict=True)), classes_of) for split in splits)


@st.composite
def rare_classes(draw):
    """Up to six cases; each class is in two or three of them."""
    cases = [f"case_{i}" for i in range(draw(st.integers(1, 6)))]
    few = st.sets(st.sampled_from(cases), min_size=min(2, len(cases)), max_size=3)
    held_by = draw(st.lists(few, min_size=3, max_size=7))
    return {case: frozenset(i for i, own in enumerate(held_by) if case in own) for case in cases}


@settings(max_examples=300)
@given(rare_classes(), st.integers(2, 3))
@example(CROSSED, 2)
def test_every_class_is_in_two_folds_wherever_that_is_possible(classes_of, folds):
    found = make_folds(classes_of, folds)
    assert (found is not None) == (len(classes_of) >= folds and possible(classes_of, folds))
    if found is None:
        return
    assert len(found) == folds
    assert all(fold.cases == sorted(fold.cases) != [] for fold in found)
    part_of = {case: i for i, fold in enumerate(found) for case in fold.cases}
    assert sorted(part_of) == sorted(classes_of)
    assert sum(len(fold.cases) for fold in found) == len(classes_of)
    assert spread(part_of, classes_of)


def test_folds_are_even_and_the_same_every_time():
    classes_of = {f"case_{i}": frozenset({0, 1}) for i in range(10)}
    found = make_folds(classes_of, 5)
    assert found is not None
    assert [len(fold.cases) for fold in found] == [2, 2, 2, 2, 2]
    assert found == make_folds(dict(reversed(classes_of.items())), 5)


def test_folds_that_were_always_right_keep_cases_and_addresses():
    classes_of = {f"case_{i}": frozenset({0, 1 + i % 3}) for i in range(7)}
    found = make_folds(classes_of, 3)
    assert found is not None
    assert [fold.cases for fold in found] == [
        ["case_1", "case_2", "case_3"],
        ["case_0", "case_4"],
        ["case_5", "case_6"],
    ]
    assert [fold.address for fold in found] == [[0, 3], [1, 3], [2, 3]]


def test_folds_that_had_to_be_searched_for_are_addressed_by_their_cases():
    found = make_folds(CROSSED, 2)
    assert found is not None
    assert [fold.address for fold in found] == [[i, 2, fold.cases] for i, fold in enumerate(found)]


def test_what_cannot_be_is_found_out_quickly_among_much_that_can():
    pairs = {f"pair_{i}{side}": frozenset({i}) for i in range(60) for side in "ab"}
    ring = {f"ring_{i}": frozenset(100 + n for n in held) for i, held in enumerate(EACH_IN_TWO)}
    assert make_folds(pairs | ring, 2) is None
    assert make_folds(pairs | ring, 3) is not None
