"""What a strategy refuses before anything runs."""

from contextlib import nullcontext
from dataclasses import dataclass, field, replace
from typing import ClassVar

import pytest

from alsweep import TrajectoryConfig
from alsweep.errors import ConfigError, StrategyError
from alsweep.query import MAPS, Strategy, make_strategy

CONFIG = {
    "dataset": "d",
    "query": {"patches": 6, "patch_size": [8, 8, 8], "loops": 3},
    "training": {"members": 2},
}


@dataclass
class KnownFacts:
    """A dataset of which only facts are known."""

    classes: tuple[str, ...] = ("background", "organ", "lesion")
    foreground: int = 2
    holders: dict[int, list[str]] = field(default_factory=dict)
    others: dict[str, TrajectoryConfig] = field(default_factory=dict)

    def cases_with(self, label):
        return self.holders.get(label, ["a", "b"])

    def trajectory(self, folder):
        return self.others[folder]


def config(**changes):
    return TrajectoryConfig.model_validate({**CONFIG, "strategy": "random", **changes})


def check(strategy, facts=None, **changes):
    given = config(strategy=strategy, **changes)
    make_strategy(given.strategy).check(given, facts or KnownFacts())


def check_start(strategy, facts=None, **changes):
    given = config(starting_budget={"strategy": strategy}, **changes)
    make_strategy(given.starting_budget.strategy).check_start(given, facts or KnownFacts())


def test_a_map_says_how_many_members_and_classes_it_needs():
    check("mutual_information")
    with pytest.raises(ConfigError, match=r"training.members: 1 is too few.*write at least 2"):
        check("mutual_information", training={"members": 1})
    weighted = {"stages": {"map": {"name": "class_weighted_entropy", "label": 2}}}
    check(weighted)
    with pytest.raises(ConfigError, match="asks for class 2, but the dataset has the classes 0 to"):
        check(weighted, KnownFacts(foreground=1))
    check("margin", KnownFacts(foreground=0))


@pytest.mark.parametrize("name", list(MAPS))
def test_two_members_do_for_every_map_and_one_for_those_that_compare_none(name):
    check({"stages": {"map": name}})
    compares = name in ("mutual_information", "expected_dice")
    with pytest.raises(ConfigError) if compares else nullcontext():
        check({"stages": {"map": name}}, training={"members": 1})


def test_a_start_needs_no_network():
    check_start("random")
    with pytest.raises(StrategyError, match="margin needs a trained network; choose a random"):
        check_start("margin")


def test_all_classes_need_room_and_two_cases_each():
    check_start("random_all_classes")
    with pytest.raises(ConfigError, match="5 are too few: 2 patches for each of 3 classes"):
        check_start("random_all_classes", query={**CONFIG["query"], "patches": 5})
    for cases, words in (([], "in no case"), (["a"], "only in case a")):
        with pytest.raises(StrategyError, match=f"class 'lesion' is {words} of the pool"):
            check_start("random_all_classes", KnownFacts(holders={2: cases}))


def test_any_strategy_may_declare_all_classes_whatever_its_name():
    @dataclass(frozen=True)
    class Thorough(Strategy):
        """Declares it."""

        needs: ClassVar[tuple[str, ...]] = ()
        all_classes: ClassVar[bool] = True

    with pytest.raises(StrategyError, match="class 'organ' is only in case a of the pool"):
        Thorough().check_start(config(), KnownFacts(holders={1: ["a"]}))


@pytest.mark.parametrize(
    ("theirs", "words"),
    [
        ({"loops": 2}, "has 2 loops, but here they are 3; lower query.loops"),
        ({"patches": 7}, "made with patches 7, but here it is 6"),
        ({"patch_size": [8, 8, 9]}, "made with patch_size 8x8x9, but here it is 8x8x8"),
        ({"overlap": 0.5}, r"made with overlap 0.5, but here it is 0.0"),
    ],
)
def test_a_replay_asks_for_the_same_setting(theirs, words):
    replayed = {"name": "replay", "source": "other"}
    check(replayed, KnownFacts(others={"other": config(query={**CONFIG["query"], "loops": 9})}))
    other = config(query={**CONFIG["query"], **theirs}, starting_budget={"patches": 6})
    with pytest.raises(StrategyError, match=f"source: other.*{words}"):
        check(replayed, KnownFacts(others={"other": other}))


def test_a_replayed_start_asks_for_the_same_start_alone():
    replayed = {"name": "replay", "source": "other"}
    other = config(query={**CONFIG["query"], "loops": 1, "overlap": 0.5})
    check_start(replayed, KnownFacts(others={"other": other}))
    other = config(starting_budget={"patches": 9})
    with pytest.raises(StrategyError, match="starting patches 9, but here it is 6"):
        check_start(replayed, KnownFacts(others={"other": other}))


def test_a_source_is_the_same_from_every_working_directory(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    made = make_strategy({"name": "replay", "source": "run/x"})
    assert made.resolved() == replace(made, source=str(tmp_path / "run" / "x"))
    assert make_strategy("margin").resolved() == make_strategy("margin")


def test_needs_that_follow_from_parameters_are_checked_too():
    @dataclass(frozen=True)
    class Odd(Strategy):
        """Needs what there is not."""

        @property
        def needs(self):
            return ("probs", "member")

    with pytest.raises(StrategyError, match="needs name 'member'; did you mean 'members'"):
        Odd().check(config(), KnownFacts())
