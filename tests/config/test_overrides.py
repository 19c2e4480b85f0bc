"""``--set PATH=VALUE`` on raw mappings, without a file or a schema."""

import pytest

from alsweep.config.overrides import Override, apply_overrides
from alsweep.errors import ConfigError


def changed(raw, *written):
    apply_overrides(raw, written)
    return raw


def refusal(raw, *written):
    with pytest.raises(ConfigError) as caught:
        apply_overrides(raw, written)
    return str(caught.value)


@pytest.mark.parametrize(
    ("written", "keys", "value"),
    [
        ("name=x", ["name"], "x"),
        ("base.training.epochs=2", ["base", "training", "epochs"], 2),
        ("grid=[]", ["grid"], []),
        ("grid.query.patches=[1, 2]", ["grid", "query.patches"], [1, 2]),
        ("name='a=b'", ["name"], "a=b"),
        ("base.evaluation.surface=null", ["base", "evaluation", "surface"], None),
        ("name=", ["name"], None),
        ("seeds=", ["seeds"], None),
    ],
)
def test_a_path_is_keys_and_a_value_is_yaml(written, keys, value):
    override = Override.parse(written)
    assert (override.keys, override.value) == (keys, value)
    assert override.written == written


@pytest.mark.parametrize("written", ["", "=1", "name", "base.training.epochs 2"])
def test_what_is_no_path_and_value_is_refused(written):
    with pytest.raises(ConfigError, match=r"write PATH=VALUE, e\.g\. base"):
        Override.parse(written)


def test_a_change_keeps_all_that_it_does_not_name():
    raw = {"name": "s", "base": {"query": {"patches": 1, "loops": 2}}, "grid": {"a": [1]}}
    assert changed(raw, "base.query.loops=3", "grid.b.c=[4]") == {
        "name": "s",
        "base": {"query": {"patches": 1, "loops": 3}},
        "grid": {"a": [1], "b.c": [4]},
    }


def test_what_is_empty_becomes_a_mapping():
    assert changed({"base": None}, "base.query.patches=1") == {"base": {"query": {"patches": 1}}}


@pytest.mark.parametrize(
    ("base", "written", "mend"),
    [
        ({"a": [1]}, "base.a.b=2", "'base.a=[...]'"),
        ({"a": 1}, "base.a.b=2", "'base.a={...}'"),
        ({"a": {"b": "x"}}, "base.a.b.c=2", "'base.a.b={...}'"),
        ({"strategy": "x"}, "base.strategy.beta=2", "'base.strategy={name: x, beta: 2}'"),
        ({"strategy": ["x"]}, "base.strategy.beta=2", "'base.strategy=[...]'"),
        ({"strategy": 7}, "base.strategy.beta=2", "'base.strategy={...}'"),
    ],
)
def test_a_path_through_a_value_is_told_with_what_to_write(base, written, mend):
    assert refusal({"base": base}, written).endswith(f"is not a mapping; write --set {mend}")


def test_only_what_a_later_one_replaces_whole_is_idle():
    told = refusal({}, "base.a.b=1", "base.ab=2", "base.a={}")
    assert told.startswith("--set base.a.b=1: does nothing, since --set base.a={} after it")
    assert changed({}, "base.a.b=1", "base.ab={}") == {"base": {"a": {"b": 1}, "ab": {}}}
    assert changed({}, "base.a=1", "base.a=2") == {"base": {"a": 2}}


@pytest.mark.parametrize(
    ("written", "mend"),
    [
        ("base.a.b=1", "'grid.a.b=[1]'"),
        ("base.a.b.c=1", "'grid.a.b=[...]'"),
        ("base.a={b: 1}", "'grid.a.b=[1]'"),
        ("base.a={b: {c: 1}}", "'grid.a.b=[...]'"),
    ],
)
def test_what_the_grid_sets_cannot_be_set_in_base(written, mend):
    told = refusal({"grid": {"a.b": [5]}}, written)
    assert told.endswith(f"since the grid sets a.b for every trajectory; write --set {mend}")


@pytest.mark.parametrize("written", ["base.a.bc=1", "base.b=1", "base.a={c: 1}", "base.a=1"])
def test_what_lies_beside_an_axis_can_be_set(written):
    assert changed({"grid": {"a.b": [5]}}, written)["grid"] == {"a.b": [5]}
