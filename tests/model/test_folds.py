from hypothesis import given
from hypothesis import strategies as st

from alsweep.model.folds import make_folds

cases = st.dictionaries(
    st.sampled_from([f"case_{i}" for i in range(12)]),
    st.frozensets(st.integers(0, 4), min_size=1),
    min_size=1,
)


@given(cases, st.integers(2, 5))
def test_folds_part_the_cases_and_every_class_is_in_two(classes_of, folds):
    parts = make_folds(classes_of, folds)
    counts = {
        c: sum(c in held for held in classes_of.values())
        for held in classes_of.values()
        for c in held
    }
    possible = len(classes_of) >= folds and min(counts.values()) >= 2
    assert (parts is not None) == possible
    if parts is None:
        return
    assert len(parts) == folds
    assert sorted(case for part in parts for case in part) == sorted(classes_of)
    for label in counts:
        assert sum(any(label in classes_of[case] for case in part) for part in parts) >= 2


def test_folds_are_even_and_the_same_every_time():
    classes_of = {f"case_{i}": frozenset({0, 1}) for i in range(10)}
    parts = make_folds(classes_of, 5)
    assert parts is not None
    assert [len(part) for part in parts] == [2, 2, 2, 2, 2]
    assert parts == make_folds(dict(reversed(classes_of.items())), 5)
