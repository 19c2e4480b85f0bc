"""What may be searched, and what each mistake is told."""

from typing import Any

import pytest

from alsweep.config.distributions import Choices, Range
from alsweep.config.search import SearchConfig
from alsweep.config.sweep import SweepConfig
from alsweep.config.validation import validated
from alsweep.errors import ConfigError
from alsweep.sweep.search_space import configuration, examples, spelled_out

BASE = {"query": {"patches": 4, "patch_size": [8, 8, 8]}}
STRATEGY = {"strategy": ["random", {"name": "power_bald", "beta": "auto"}]}


def sweep(search: dict[str, Any], **changes: Any) -> SweepConfig:
    raw = {"name": "s", "dataset": "d", "base": BASE, "search": search} | changes
    return validated(SweepConfig, raw, {})


def over(**values: Any) -> SearchConfig:
    found = sweep({"over": values}).search
    assert found is not None
    return found


def test_the_defaults_of_a_search() -> None:
    search = over(strategy=["random"])
    assert search.objectives == {"aubc": "max"}
    assert (search.configurations, search.seed, search.storage) == (30, 0, None)


def test_a_search_alone_means_no_trajectory_and_a_grid_beside_it_its_own() -> None:
    assert sweep({"over": STRATEGY}).trajectories() == []
    beside = sweep({"over": STRATEGY}, grid={"strategy": ["margin"]}, seeds=[3, 4])
    assert [c.strategy.name for c in beside.trajectories()] == ["margin", "margin"]


@pytest.mark.parametrize(
    ("search", "message"),
    [
        ({"over": {}}, "search.over: is empty; write at least one key"),
        ({"over": {"query.loops": "auto"}}, "query.loops: only a parameter of a strategy"),
        ({"over": {"query.loops": {"low": 1, "hihg": 3}}}, "query.loops: hihg: unknown key; did"),
        ({"over": {"query.loops": {"choices": [1, 1]}}}, "1 is written twice"),
        ({"over": {"training.preset": {"choices": ["small"]}}}, "training.preset: cannot be"),
        ({"over": {"training": {"choices": [{"epochs": 1}]}}}, "training: cannot be searched"),
        ({"over": {"strategy": []}}, "strategy: write a list of strategies, such as"),
        ({"over": {"strategy": "random"}}, "strategy: write a list of strategies, such as"),
        (
            {"over": {"strategy": {"name": "power_bald", "beta": "auto"}}},
            "strategy: write a list of strategies, such as",
        ),
        ({"over": {"strategy": {"choices": "random"}}}, "strategy: write a list of strategies"),
        ({"over": {"strategy": {"low": 1, "high": 2}}}, "strategy: write a list of strategies"),
        ({"over": {"strategy": ["random", "random"]}}, "'random' is there twice; give one of them"),
        ({"over": {"seed": {"low": 1, "high": 2}}}, "'seed' belongs to the top level"),
        ({"over": STRATEGY, "objectives": {"aubc": "min"}}, "objectives.aubc: write aubc: max"),
        ({"over": STRATEGY, "objectives": {"aubcc": "max"}}, "search.objectives.aubcc"),
        ({"over": STRATEGY, "objectives": {}}, "search.objectives"),
        ({"over": STRATEGY, "constraints": {"gpu_hours": 0}}, "search.constraints.gpu_hours"),
        ({"over": STRATEGY, "constraints": {"aubc": 1}}, "search.constraints.aubc"),
        ({"over": STRATEGY, "prune": True, "objectives": {"fg_eff": "max"}}, "prune: compares one"),
        ({"over": STRATEGY, "prune": {"p_threshold": 1}}, "search.prune"),
        ({"over": STRATEGY, "fidelity": {"training.epochs": [8, 2]}}, "write a low and a higher"),
        ({"over": STRATEGY, "fidelity": {"strategy": [1, 2]}}, "fidelity.strategy both set"),
        ({"over": STRATEGY, "stop": True}, "search.stop: needs two seeds or more"),
        ({"over": STRATEGY, "stop": {"patience": 1}}, "search.stop"),
        ({"over": STRATEGY, "confirm_seeds": [0]}, "search.confirm_seeds: 0 is one of seeds"),
        ({"over": STRATEGY, "configurations": 0}, "search.configurations"),
    ],
)
def test_a_mistake_is_told_with_its_place(search: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError) as raised:
        sweep(search)
    assert message in str(raised.value)
    assert str(raised.value).startswith("search")


def test_a_setting_that_sets_what_is_searched_is_refused() -> None:
    settings = [{"name": "a", "query.loops": 3}]
    search = {"over": {"query.loops": {"low": 1, "high": 3}}}
    with pytest.raises(ConfigError, match=r"settings\.a\.query\.loops and search\.over\.query"):
        sweep(search, settings=settings)


@pytest.mark.parametrize("kind", ["race", "asha"])
def test_a_schedule_beside_a_search_is_refused(kind: str) -> None:
    with pytest.raises(ConfigError, match=rf"^schedule\.kind: {kind} would .* schedule or search$"):
        sweep({"over": STRATEGY}, schedule={"kind": kind})
    assert sweep({"over": STRATEGY}, schedule={"kind": "none"}).search is not None


def test_auto_is_the_declared_range_and_defaults_are_written_out() -> None:
    both = {"name": "clasp_pe", "r": "auto", "beta_end": {"low": 10, "high": 99, "log": True}}
    (entry,) = spelled_out(over(strategy=[both])).over["strategy"]
    assert entry["r"] == {"low": 0.0, "high": 1.0}
    assert entry["beta_end"] == {"low": 10, "high": 99, "log": True}
    assert (entry["beta"], entry["schedule"]) == (1.0, "exponential")
    stages = {
        "stages": {"map": "margin", "noise": {"name": "power", "beta": {"low": 1, "high": 9}}}
    }
    (entry,) = spelled_out(over(strategy=[stages])).over["strategy"]
    assert entry["stages"]["noise"]["beta"] == {"low": 1, "high": 9}
    assert entry["stages"]["noise"]["schedule"] == "constant"


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        ({"name": "power_bald", "betta": "auto"}, "search.over.strategy: power_bald.betta: auto"),
        (
            {"name": "power_bal", "beta": "auto"},
            "search.over.strategy: unknown strategy 'power_bal'; did",
        ),
        ({"name": "power_bald", "betta": 3}, "search.over.strategy: strategy 'power_bald'"),
    ],
)
def test_what_no_strategy_declares_is_refused(entry: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError) as raised:
        spelled_out(over(strategy=[entry]))
    assert str(raised.value).startswith(message)


def test_only_what_was_chosen_is_asked_for() -> None:
    search = spelled_out(
        over(
            strategy=[
                "random",
                {"name": "power_bald", "beta": {"low": 1, "high": 9}, "label": "mine"},
                {"name": "power_bald", "beta": {"low": 0.5, "high": 0.75}},
            ],
            **{"query.loops": {"choices": [2, 3]}},
        )
    )
    asked: list[str] = []

    def choose(name: str, of: Range | Choices) -> Any:
        asked.append(name)
        return of.choices[1] if isinstance(of, Choices) else of.high

    found = configuration(search.over, choose)
    assert asked == ["strategy", "mine.beta", "query.loops"]
    assert found["query.loops"] == 3
    assert (found["strategy"]["beta"], found["strategy"]["label"]) == (9, "mine[beta=9]")


def test_each_end_and_each_choice_is_in_an_example() -> None:
    search = over(
        strategy=["random", {"name": "power_bald", "beta": {"low": 1, "high": 9}}],
        **{"query.loops": {"choices": [2, 3, 4]}},
    )
    found = [(e["strategy"], e["query.loops"]) for e in examples(search.over)]
    power = {"name": "power_bald", "beta": 1}
    expected = [("random", 2), (power, 2), ("random", 3), ("random", 4), ({**power, "beta": 9}, 2)]
    assert sorted(map(repr, found)) == sorted(map(repr, expected))


@pytest.mark.parametrize("value", [123.456789, 0.000123456, 99999.9])
def test_a_number_is_what_tables_show_of_it(value: float) -> None:
    assert Range(0.0, 1e6).rounded(value) == float(f"{value:.4g}")
