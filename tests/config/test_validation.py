"""One line from many complaints: where, what, and the nearest key."""

from typing import Annotated, Literal

import pytest
from pydantic import Field, field_validator

from alsweep.config.base import Frozen, fingerprint
from alsweep.config.validation import validated
from alsweep.errors import ConfigError


class Inner(Frozen):
    width: int = 1
    sizes: tuple[int, ...] = (1,)


class Outer(Frozen):
    inner: Inner = Inner()
    kind: Literal["plain", "fancy"] = "plain"
    steps: Annotated[tuple[int, ...], Field(min_length=1, max_length=3)] = (1,)
    where: tuple[int, int] | Literal["whole"] = "whole"
    maybe: Inner | None = None
    count: int = 0

    @field_validator("count")
    @classmethod
    def _even(cls, count: int) -> int:
        if count % 2:
            raise ValueError("Only even numbers are counted")
        return count


def complaint(raw: object, places: dict[str, str] | None = None, elsewhere: str = "") -> str:
    with pytest.raises(ConfigError) as caught:
        validated(Outer, raw, places or {}, elsewhere)
    return str(caught.value)


def test_what_is_valid_comes_back_as_the_model():
    assert validated(Outer, {"inner": {"width": 3}}, {}) == Outer(inner=Inner(width=3))


@pytest.mark.parametrize(
    ("raw", "said"),
    [
        ({"knid": "plain"}, "knid: unknown key; did you mean 'kind'?"),
        (
            {"zzz": 1},
            "zzz: unknown key; known here: inner, kind, steps, where, maybe, count",
        ),
        ({"inner": {"widht": 1}}, "inner.widht: unknown key; did you mean 'width'?"),
        ({"maybe": {"sises": 1}}, "maybe.sises: unknown key; did you mean 'sizes'?"),
        ({"count": 3}, "count: only even numbers are counted, got 3"),
        ({"kind": "odd"}, "kind: input should be 'plain' or 'fancy', got 'odd'"),
        ({"steps": []}, "steps: the list is empty; write at least one value, got []"),
        ({"steps": [1, 2, 3, 4]}, "steps: expected a list of 3 values, got [1, 2, 3, 4]"),
        ({"steps": 5}, "steps: write a list, e.g. [5], got 5"),
        ({"steps": {}}, "steps: write a list, e.g. [...]"),
        ({"inner": 5}, "inner: input should be a mapping, got 5"),
    ],
)
def test_each_fault_is_one_clear_line(raw, said):
    assert complaint(raw) == said


def test_a_value_of_several_forms_names_them():
    assert complaint({"where": 3}) == "where: expected a list, or 'whole', got 3"
    assert complaint({"where": [1, 2, 3]}).startswith("where: expected a list of 2 values")


def test_the_place_is_where_the_user_wrote_it():
    places = {"inner": "grid.inner"}
    assert complaint({"inner": {"widht": 1}}, places).startswith("grid.inner.widht: ")
    assert complaint({"count": 1}, places, "base.").startswith("base.count: ")
    # A longer key that only begins alike is another one.
    assert complaint({"count": 1}, {"coun": "x"}, "base.").startswith("base.count: ")


def test_several_faults_are_told_in_order_and_no_more_than_five():
    said = complaint({"count": 1, "kind": "odd"})
    assert said.split("; ")[0].startswith("kind: ")
    assert said.split("; ")[1].startswith("count: ")
    many = complaint({f"zzz{i}": 1 for i in range(8)})
    assert many.count("unknown key") == 5
    assert many.endswith("; and 3 more")


def test_only_the_deepest_fault_of_a_place_is_told():
    said = complaint({"inner": {"sizes": ["x"]}})
    assert said.startswith("inner.sizes.0: ")
    assert said.count("inner") == 1


def test_a_fingerprint_follows_the_content_and_not_the_order():
    assert fingerprint({"a": 1, "b": 2}) == fingerprint({"b": 2, "a": 1})
    assert fingerprint({"a": 1}) != fingerprint({"a": 2})
    assert fingerprint({"a": 1}) != fingerprint({"a": 1.5})
    assert len(fingerprint({})) == 64


def test_a_config_cannot_be_changed_and_knows_no_other_keys():
    config = Outer()
    with pytest.raises(ValueError, match="frozen"):
        config.count = 2
    assert config.plain()["steps"] == [1]


@pytest.mark.parametrize(
    ("raw", "place"),
    [
        ({"count": False}, "count"),
        ({"steps": [1, True]}, "steps.1"),
        ({"where": [True, 2]}, "where.0"),
        ({"inner": {"width": True}}, "inner.width"),
        ({"maybe": {"sizes": [True]}}, "maybe.sizes.0"),
    ],
)
def test_a_boolean_is_no_number(raw, place):
    assert complaint(raw).startswith(f"{place}: expected a number, got ")
    assert complaint(raw, {}, "base.").startswith(f"base.{place}: expected a number")


def test_where_a_boolean_may_stand_it_does():
    class Either(Frozen):
        how: bool | int = 3
        any_of: dict[str, float | bool] = Field(default_factory=dict)

    assert validated(Either, {"how": True, "any_of": {"a": False}}, {}).how is True
