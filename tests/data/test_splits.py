import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from alsweep.data.ingest.splits import draw_validation, group_cases
from alsweep.errors import IngestError


@pytest.mark.parametrize(("cases", "wanted"), [(2, 1), (3, 1), (7, 1), (8, 2), (10, 2), (260, 65)])
def test_a_quarter_rounded_down_but_at_least_one_validates(cases, wanted):
    names = [f"case_{i}" for i in range(cases)]
    assert len(draw_validation(group_cases(names, None))) == wanted


def test_the_draw_follows_from_the_names_alone():
    names = [f"case_{i}" for i in range(20)]
    first = draw_validation(group_cases(names, None))
    assert draw_validation(group_cases(names[::-1], None)) == first


@settings(deadline=None, derandomize=True)
@given(st.lists(st.integers(0, 9), min_size=2, max_size=40))
def test_groups_are_never_torn_and_something_is_left_to_annotate(groups):
    names = {f"p{group}_{i}": f"p{group}" for i, group in enumerate(groups)}
    if len(set(names.values())) < 2:
        return
    validation = draw_validation(names)
    assert 0 < len(validation) < len(names)
    inside = {names[case] for case in validation}
    assert all((names[case] in inside) == (case in validation) for case in names)


def test_the_first_group_of_the_pattern_names_the_group():
    assert group_cases(["p1_a", "p1_b"], r"^(p\d+)_") == {"p1_a": "p1", "p1_b": "p1"}
    assert group_cases(["p1_a"], r"p\d+") == {"p1_a": "p1"}


@pytest.mark.parametrize(
    ("pattern", "message"), [("(", "not a regular expression"), ("^x", "does not fit case 'p1'")]
)
def test_a_pattern_that_does_not_serve_is_refused(pattern, message):
    with pytest.raises(IngestError, match=message):
        group_cases(["p1"], pattern)


def test_a_single_group_cannot_be_split():
    with pytest.raises(IngestError, match="at least 2 cases of different groups, got 1"):
        draw_validation({"a": "x", "b": "x"})
