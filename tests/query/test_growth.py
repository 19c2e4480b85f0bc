"""Strategies and stages grow: a parameter that came later is neutral wherever it was not stored."""

from dataclasses import dataclass

import pytest

from alsweep.config.strategy import StrategySpec
from alsweep.query.base import (
    _STRATEGIES,
    Stages,
    Strategy,
    make_strategy,
    parameters,
    searchable,
)
from alsweep.query.noise import NOISES, Noise


@dataclass(frozen=True)
class Grown(Strategy):
    """Has a parameter that came later.

    Source: none.
    """

    beta: float = searchable(1.0, help="was there in the first version")
    rest: float = searchable(0.5, neutral=0.0, help="came later")

    def stages(self) -> Stages:
        return Stages(map="predictive_entropy")


@dataclass(frozen=True)
class GrownNoise(Noise):
    """Has a parameter that came later."""

    name = "grown"
    rest: float = searchable(0.5, neutral=0.0, help="came later")


@pytest.fixture(autouse=True)
def grown(monkeypatch):
    monkeypatch.setitem(_STRATEGIES._items, "grown", Grown)
    monkeypatch.setitem(NOISES._items, "grown", GrownNoise)


def spec(stored, **parameters_):
    return StrategySpec(name="grown", parameters=parameters_, stored=stored)


def test_a_user_who_leaves_it_out_means_its_default():
    assert make_strategy(spec(False)) == Grown(rest=0.5)
    assert parameters(Grown(rest=0.5)) == {"beta": 1.0, "rest": 0.5}


def test_what_is_stored_without_it_means_its_neutral_value():
    assert make_strategy(spec(True)) == Grown(rest=0.0)
    assert make_strategy(spec(True, rest=0.25)) == Grown(rest=0.25)


def test_what_is_stored_at_its_neutral_value_has_the_identity_of_before():
    stored = spec(True, **parameters(Grown(beta=2.0, rest=0.0)))
    assert stored.identity() == {"name": "grown", "beta": 2.0}
    assert make_strategy(stored) == Grown(beta=2.0, rest=0.0)


def stages(noise):
    return {"stages": {"map": "margin", "noise": noise}}


@pytest.mark.parametrize("noise", ["grown", {"name": "grown"}])
def test_stages_that_are_spelled_out_follow_the_same_rule(noise):
    by_user = make_strategy(stages(noise))
    assert by_user.composition.noise == GrownNoise(rest=0.5)
    stored = StrategySpec(name="stages", parameters=stages(noise), stored=True)
    assert make_strategy(stored).composition.noise == GrownNoise(rest=0.0)
    assert parameters(make_strategy(stored))["stages"]["noise"] == {"name": "grown"}
