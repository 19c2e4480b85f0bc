import json
from dataclasses import dataclass

import pytest

from alsweep.config.trajectory import StrategySpec
from alsweep.errors import RegistryError, StrategyError
from alsweep.query import Stages, Strategy, make_strategy, searchable, strategies, strategy
from alsweep.query.base import label_of
from alsweep.query.parameters import checked
from alsweep.query.presets.random import RandomFg33


def test_reference_names_are_aliases():
    assert isinstance(make_strategy("random-label2"), RandomFg33)
    assert make_strategy("pred_entropy") == make_strategy("predictive_entropy")


def test_a_misspelt_name_gets_a_suggestion():
    with pytest.raises(StrategyError, match="did you mean 'predictive_entropy'"):
        make_strategy("predictiv_entropy")


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
