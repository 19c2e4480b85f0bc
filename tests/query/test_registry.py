import json
import logging
import pkgutil
from dataclasses import MISSING, dataclass, fields, is_dataclass, make_dataclass
from importlib import import_module
from importlib.metadata import EntryPoint
from typing import Any, ClassVar

import pytest

import alsweep.query as room
from alsweep.config.strategy import StrategySpec
from alsweep.errors import RegistryError, StrategyError
from alsweep.query import (
    FILTERS,
    NOISES,
    Filter,
    Noise,
    Stages,
    Strategy,
    make_strategy,
    presets,
    required,
    searchable,
    strategies,
    strategy,
)
from alsweep.query import base as registered
from alsweep.query.base import label_of
from alsweep.query.parameters import checked, described
from alsweep.query.presets.random import RandomFg33
from alsweep.query.reference import markdown
from alsweep.query.stage import stage
from alsweep.query.stages import KINDS
from alsweep.registry import Registry
from alsweep.testing.pools import make_pool, make_request, make_streams


def test_reference_names_are_aliases():
    assert isinstance(make_strategy("random-label2"), RandomFg33)
    assert make_strategy("pred_entropy") == make_strategy("predictive_entropy")


def test_a_misspelt_name_gets_a_suggestion():
    with pytest.raises(StrategyError, match="did you mean 'predictive_entropy'"):
        make_strategy("predictiv_entropy")


def test_a_name_that_begins_so_is_suggested_before_a_shorter_one():
    with pytest.raises(StrategyError, match="did you mean 'clasp_pe'"):
        make_strategy("clasp")


def test_an_unknown_strategy_may_be_one_of_a_file_that_was_not_named():
    with pytest.raises(StrategyError, match=r"unknown strategy 'mine'; .*--plugin FILE"):
        make_strategy("mine")


def test_an_unknown_parameter_is_refused():
    with pytest.raises(StrategyError, match="unknown parameter 'beta'; it takes none"):
        make_strategy({"name": "random", "beta": 1})


def test_a_name_can_be_taken_only_once():
    with pytest.raises(RegistryError, match="'random' is registered twice"):
        strategy("random")(RandomFg33)


def test_parameters_are_checked_against_type_range_and_choices():
    @dataclass(frozen=True)
    class Tuned(Strategy):
        """Has parameters."""

        beta: float = searchable(1.0, low=0.1, high=10.0, log=True, help="sharpness")
        kind: str = searchable("a", choices=("a", "b"), help="kind")

        def stages(self) -> Stages:
            return Stages(map="predictive_entropy")

    assert checked(Tuned, {"beta": 2}, "tuned") == {"beta": 2.0}
    with pytest.raises(StrategyError, match=r"'beta' must lie in \[0.1, 10.0\], got 11"):
        checked(Tuned, {"beta": 11}, "tuned")
    with pytest.raises(StrategyError, match="must be of type float, got 'x'"):
        checked(Tuned, {"beta": "x"}, "tuned")
    with pytest.raises(StrategyError, match="must be one of a, b, got 'c'"):
        checked(Tuned, {"kind": "c"}, "tuned")


def test_labels_name_the_strategy_or_are_the_users():
    assert label_of(StrategySpec(name="random-label")) == "random_fg66"
    assert label_of(StrategySpec(name="random", label="mine")) == "mine"


def test_the_list_is_json_with_the_fixed_keys():
    listed = {entry["name"]: entry for entry in json.loads(json.dumps(strategies()))}
    assert set(listed["random"]) == {
        "name",
        "aliases",
        "summary",
        "source",
        "uses_oracle",
        "needs",
        "parameters",
    }
    assert listed["random_fg66"]["uses_oracle"] is True
    assert listed["predictive_entropy"]["uses_oracle"] is False
    assert listed["predictive_entropy"]["needs"] == ["probs"]
    assert all(entry["source"] and entry["summary"] for entry in listed.values())


@pytest.fixture
def own_registry(monkeypatch):
    """What a test registers is gone after it."""
    monkeypatch.setattr(registered, "_STRATEGIES", Registry("strategy"))
    monkeypatch.setattr(registered, "_load_presets", lambda: None)


class OfAMap(Strategy):
    """A composition whose map is a parameter."""

    def stages(self) -> Stages:
        """As the parameter says."""
        return Stages(map=self.score)


def test_a_composition_with_a_required_parameter_is_listed_and_works(own_registry):
    fields = [("score", str, required(str, help="map"))]
    strategy("of_a_map")(make_dataclass("Of", fields, bases=(OfAMap,), frozen=True))
    (entry,) = strategies()
    assert entry["needs"] is None
    assert entry["parameters"][0]["default"] is None
    with pytest.raises(StrategyError, match="parameter 'score' is missing: map"):
        make_strategy("of_a_map")
    made = make_strategy({"name": "of_a_map", "score": "mutual_information"})
    assert made.needs == ("probs", "mean_entropy")
    assert len(made.query(make_pool(1), make_request(2), make_streams())) == 2


def test_one_broken_composition_hides_no_other(own_registry, caplog):
    for name, score in (("broken", "marjin"), ("whole", "margin")):
        fields = [("score", str, searchable(score, help="map"))]
        strategy(name)(make_dataclass("Of", fields, bases=(OfAMap,), frozen=True))
    with caplog.at_level(logging.WARNING):
        assert [entry["name"] for entry in strategies()] == ["whole"]
    assert "warning: strategy 'broken' is not listed" in caplog.text
    assert "did you mean 'margin'" in caplog.text


@pytest.mark.parametrize(
    "name", ["label", "name", "parameters", "stages", "query", "needs", "uses_oracle", "check"]
)
def test_a_parameter_cannot_take_a_name_that_means_something_else(own_registry, name):
    cls = dataclass(frozen=True)(type("Own", (Strategy,), _body(name, "x")))
    with pytest.raises(StrategyError, match=f"strategy 'own': '{name}' cannot be the name"):
        strategy("own")(cls)


def _body(name: str, default: Any) -> dict[str, Any]:
    return {"__annotations__": {name: type(default)}, name: searchable(default, help="?")}


@pytest.mark.parametrize("name", ["name", "draws", "needs", "plain"])
def test_neither_can_a_parameter_of_a_stage(name):
    cls = dataclass(frozen=True)(type("Own", (Noise,), _body(name, "x")))
    with pytest.raises(StrategyError, match=f"stage 'own': '{name}' cannot be the name"):
        stage(NOISES, "own")(cls)
    assert "own" not in list(NOISES)


def test_a_parameter_without_default_must_say_its_type(own_registry):
    cls = dataclass(frozen=True)(type("Own", (Strategy,), {"__annotations__": {"beta": float}}))
    with pytest.raises(StrategyError, match=r"strategy 'own': parameter 'beta' has no default; "):
        strategy("own")(cls)


def test_what_is_no_dataclass_has_no_parameters_to_read(own_registry):
    with pytest.raises(StrategyError, match=r"strategy 'own': put @dataclass\(frozen=True\)"):
        strategy("own")(type("Own", (Strategy,), {}))


@pytest.mark.parametrize(
    ("needs", "words"),
    [
        (("probs", "mean_entrop"), "needs name 'mean_entrop'; did you mean 'mean_entropy'"),
        (("voxels",), "needs name 'voxels'; known: probs, mean_entropy, embedding, members"),
        ("probs", r"needs must be a tuple such as \('probs',\), got 'probs'"),
    ],
)
def test_a_need_that_nobody_could_meet_is_refused(own_registry, needs, words):
    for base, register in ((Strategy, strategy("own")), (Filter, stage(FILTERS, "own"))):
        cls = dataclass(frozen=True)(type("Own", (base,), {"needs": needs}))
        with pytest.raises(StrategyError, match=words):
            register(cls)
    assert list(registered._STRATEGIES) == []
    assert "own" not in list(FILTERS)


def test_what_defines_nothing_says_so():
    @dataclass(frozen=True)
    class Empty(Strategy):
        """Neither stages nor query."""

        needs: ClassVar[tuple[str, ...]] = ("probs",)

    assert Empty().composition is None
    with pytest.raises(StrategyError, match=r"Empty must define stages\(\) or override query"):
        Empty().query(make_pool(1), make_request(1), make_streams())


def test_stages_are_imported_from_the_room_itself():
    for registry in KINDS.values():
        for name in registry:
            cls = registry.get(name)
            assert getattr(room, cls.__name__) is cls
            assert cls.__name__ in room.__all__


def test_a_broken_entry_point_is_named_and_left_out(monkeypatch, caplog):
    point = EntryPoint("broken", "alsweep.nothing_here", "alsweep.strategies")
    whole = EntryPoint("whole", "alsweep.query.presets.random", "alsweep.strategies")
    monkeypatch.setattr(presets, "entry_points", lambda group: [point, whole])
    with caplog.at_level(logging.WARNING):
        presets.load_plugins.__wrapped__()
    assert "warning: strategy plug-in 'alsweep.nothing_here' skipped" in caplog.text
    assert "random" not in caplog.text


def test_the_tables_name_every_strategy_stage_and_parameter():
    text = markdown()
    assert all(f"| `{entry['name']}` |" in text for entry in strategies())
    for kind, registry in KINDS.items():
        _, _, table = text.partition(f"### Stages: `{kind}`")
        assert all(f"| `{name}` |" in table for name in registry)
    assert "`beta = 1.0` (float in [0.01, 1000.0], log): inverse noise at the first" in text
    assert "`label = 1` (int in [0, 254]): class id; 0 is background" in text
    assert "`source` (str): trajectory folder" in text


def test_every_default_lies_in_its_own_range():
    owners = [registered._STRATEGIES.get(name) for name in registered._STRATEGIES]
    owners += [registry.get(name) for registry in KINDS.values() for name in registry]
    for owner in owners:
        given = {f.name: f.default for f in fields(owner) if f.default is not MISSING}
        if len(given) == len(fields(owner)):
            assert checked(owner, given, owner.__name__) == given
            for entry in described(owner):
                if entry["low"] is not None:
                    assert entry["low"] < entry["high"]
                    edges = {entry["name"]: type(entry["default"])(entry["low"])}
                    assert checked(owner, edges, "edge") == edges


def test_stages_keep_as_many_candidates_as_the_documentation_says():
    many = {
        (kind, name): registry.get(name).candidates_factor
        for kind, registry in KINDS.items()
        if kind in ("noise", "filter", "select")
        for name in registry
    }
    more = {"softrank": 2, "kmeans++": 2, "k_center": 2, "kmeans": 2, "log_det": 2}
    more |= {"stochastic_batches": 4, "purity": 4, "badge": 4, "crb": 4}
    assert many == {(kind, name): more.get(name, 1) for kind, name in many}
    spelled = {"map": "margin", "noise": "softrank", "filter": "purity"}
    assert make_strategy({"stages": spelled}).composition.candidates_factor == 4


def test_no_value_of_the_room_changes_once_it_is_made():
    found = set()
    for module in pkgutil.walk_packages(room.__path__, "alsweep.query."):
        for cls in vars(import_module(module.name)).values():
            if isinstance(cls, type) and is_dataclass(cls) and cls.__module__ == module.name:
                found.add(cls.__name__)
                assert cls.__dataclass_params__.frozen, f"{cls} can be changed"
    assert {"Space", "Windows", "Request", "Candidate", "Prediction", "Strategy"} <= found
