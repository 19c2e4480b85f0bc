import pytest

from alsweep.errors import ConfigError
from tests.sweep.conftest import MakePlan


def test_plan_holds_the_product_of_grid_and_seeds_in_order(plan_of: MakePlan) -> None:
    plan = plan_of()
    assert [(one.label, one.config.seed) for one in plan.trajectories] == [
        ("random", 0),
        ("random", 1),
        ("predictive_entropy", 0),
        ("predictive_entropy", 1),
    ]
    assert len(set(plan.ids)) == 4
    assert plan.loops == 12


def test_strategies_share_a_start_and_seeds_do_not(plan_of: MakePlan) -> None:
    random_0, random_1, entropy_0, entropy_1 = (one.start for one in plan_of().trajectories)
    assert random_0 == entropy_0
    assert random_1 == entropy_1
    assert random_0 != random_1


def test_settings_that_change_training_do_not_share_a_start(plan_of: MakePlan) -> None:
    plan = plan_of(grid={"training.epochs": [1, 2]}, seeds=[0])
    assert len({one.start for one in plan.trajectories}) == 2


def test_naming_a_trajectory_twice_is_an_error(plan_of: MakePlan) -> None:
    with pytest.raises(ConfigError, match=r"strategy=random and .* mean the same trajectory"):
        plan_of(grid={"strategy": ["random", {"name": "random", "label": "again"}]})


def test_one_label_for_two_strategies_is_an_error(plan_of: MakePlan) -> None:
    twice = [{"name": name, "label": "mine"} for name in ("random", "random_fg33")]
    with pytest.raises(ConfigError, match="two strategies bear the label 'mine'"):
        plan_of(grid={"strategy": twice})


def test_error_in_a_grid_cell_names_the_grid(plan_of: MakePlan) -> None:
    with pytest.raises(ConfigError, match=r"^grid\.query\.patches: 999\d* patches over all"):
        plan_of(grid={"query.patches": [6, 3333]})


def test_error_in_base_names_base(plan_of: MakePlan) -> None:
    base = {"query": {"patches": 3333, "patch_size": [8, 8, 8], "loops": 3}}
    with pytest.raises(ConfigError, match=r"^base\.query\.patches: 9999 patches over all"):
        plan_of(base=base)
