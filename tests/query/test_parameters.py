"""Hyper-parameters: what is declared once, and what is read from it."""

from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alsweep.errors import StrategyError
from alsweep.query import required, same_as, searchable
from alsweep.query.parameters import adaptation, checked, described, doc_parts, off_default
from alsweep.query.reference import legal_values


@dataclass(frozen=True)
class Knobs:
    """All kinds of parameters.

    More of it.

    Source: nobody 2026, section 1;
    and nobody else.
    """

    folder: str = required(str, help="where")
    beta: float = searchable(1.0, low=0.5, high=8.0, log=True, help="sharpness")
    count: int = searchable(3, low=1, help="how many")
    least: float = searchable(0.0, high=2.0, help="at least")
    kind: str = searchable("a", choices=("a", "b"), help="which")
    loud: bool = searchable(False, help="whether")


@dataclass(frozen=True)
class Heir:
    """Hands on."""

    beta: float = same_as(Knobs, "beta")
    other: float = same_as(Knobs, "beta", 2.0)


def fault(**given):
    with pytest.raises(StrategyError) as caught:
        checked(Knobs, {"folder": "f", **given}, "place")
    return str(caught.value)


@given(st.floats(0.5, 8.0), st.integers(1, 99), st.sampled_from("ab"), st.booleans())
def test_legal_values_come_back_as_they_are(beta, count, kind, loud):
    values = {"folder": "f", "beta": beta, "count": count, "kind": kind, "loud": loud}
    assert checked(Knobs, values, "place") == values


@given(st.integers(1, 8))
def test_whole_numbers_become_floats_where_that_is_the_type(beta):
    found = checked(Knobs, {"folder": "f", "beta": beta}, "place")["beta"]
    assert (type(found), found) == (float, beta)


@pytest.mark.parametrize("beta", [0.5 - 1e-9, 8.0 + 1e-9, float("nan"), float("inf")])
def test_edges_belong_to_the_range_and_nothing_beyond_does(beta):
    for edge in (0.5, 8.0):
        assert checked(Knobs, {"folder": "f", "beta": edge}, "place")["beta"] == edge
    assert fault(beta=beta) == (f"place: parameter 'beta' must lie in [0.5, 8.0], got {beta!r}")


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"count": 0}, "parameter 'count' must lie in [1, None], got 0"),
        ({"least": 2.5}, "parameter 'least' must lie in [None, 2.0], got 2.5"),
        ({"count": True}, "parameter 'count' must be of type int, got True"),
        ({"count": 1.0}, "parameter 'count' must be of type int, got 1.0"),
        ({"beta": True}, "parameter 'beta' must be of type float, got True"),
        ({"loud": 1}, "parameter 'loud' must be of type bool, got 1"),
        ({"folder": 3}, "parameter 'folder' must be of type str, got 3"),
        ({"kind": "c"}, "parameter 'kind' must be one of a, b, got 'c'"),
        ({"bta": 1.0}, "unknown parameter 'bta'; did you mean 'beta'?"),
        ({"xyz": 1}, "unknown parameter 'xyz'; known: folder, beta, count, least, kind, loud"),
    ],
)
def test_each_fault_has_its_sentence(given, words):
    assert fault(**given) == f"place: {words}"


def test_what_has_no_default_is_asked_for():
    with pytest.raises(StrategyError, match=r"^place: parameter 'folder' is missing: where$"):
        checked(Knobs, {}, "place")


def test_a_description_holds_all_that_was_declared():
    found = {entry["name"]: entry for entry in described(Knobs)}
    assert list(found) == ["folder", "beta", "count", "least", "kind", "loud"]
    assert found["beta"] == {
        "name": "beta",
        "type": "float",
        "default": 1.0,
        "low": 0.5,
        "high": 8.0,
        "log": True,
        "choices": None,
        "help": "sharpness",
    }
    assert (found["folder"]["default"], found["folder"]["type"]) == (None, "str")
    assert (found["folder"]["log"], found["count"]["log"]) == (False, False)
    assert found["kind"]["choices"] == ["a", "b"]
    legal = {name: legal_values(entry) for name, entry in found.items()}
    assert legal == {
        "folder": "str",
        "beta": "float in [0.5, 8.0], log",
        "count": "int in [1, None]",
        "least": "float in [None, 2.0]",
        "kind": "a or b",
        "loud": "bool",
    }


def test_what_is_handed_on_keeps_range_and_help():
    own, other = described(Heir)
    assert own == next(entry for entry in described(Knobs) if entry["name"] == "beta")
    assert other == own | {"name": "other", "default": 2.0}


def test_what_is_off_its_default_makes_a_label():
    assert off_default(Heir()) == ""
    assert off_default(Heir(beta=5.0)) == "beta=5"
    assert off_default(Heir(beta=0.75, other=1.0)) == "beta=0.75,other=1"
    assert off_default(Knobs("f", kind="b", loud=True)) == "folder=f,kind=b,loud=True"


def test_summary_and_source_are_read_from_the_docstring():
    assert doc_parts(Knobs) == (
        "All kinds of parameters.",
        "nobody 2026, section 1; and nobody else.",
    )
    assert doc_parts(Heir) == ("Hands on.", "")
    assert doc_parts(type("Bare", (), {"__doc__": None})) == ("", "")


def test_what_was_adapted_stands_before_the_source():
    doc = "Does it.\n\n    Adapted: tiles, not\n    slices.\n\n    Source: nobody.\n"
    owner = type("Own", (), {"__doc__": doc})
    assert adaptation(owner) == "tiles, not slices."
    assert doc_parts(owner) == ("Does it.", "nobody.")
    assert adaptation(Heir) == ""
