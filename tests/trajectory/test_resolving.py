import pytest

from alsweep import TrajectoryConfig
from alsweep.config.base import STORED
from alsweep.errors import ConfigError, PoolExhaustedError
from alsweep.trajectory.budget import draw_start
from alsweep.trajectory.resolving import resolve
from tests.trajectory.conftest import make_config


def test_resolving_writes_defaults_out_and_changes_nothing_twice(phantom):
    resolved = resolve(make_config(phantom, strategy="pred_entropy"), phantom)
    assert resolved.strategy.name == "predictive_entropy"
    assert resolved.strategy.label == "predictive_entropy"
    assert resolved.starting_budget.patches == 6
    assert resolve(resolved, phantom) == resolved
    assert TrajectoryConfig.model_validate(resolved.plain(), context=STORED) == resolved


def test_an_alias_is_the_same_trajectory(phantom):
    ids = {
        resolve(make_config(phantom, strategy=name), phantom).trajectory_id("f")
        for name in ("pred_entropy", "predictive_entropy")
    }
    assert len(ids) == 1


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"strategy": "predictiv_entropy"}, ["base.strategy", "did you mean 'predictive_entropy'"]),
        ({"strategy": {"name": "random", "beta": 1}}, ["unknown parameter 'beta'"]),
        ({"query": {"patches": 4}}, ["starting_budget.patches: 4", "write at least 6"]),
        ({"query": {"patches": 60}}, ["180 patches", "162", "lower query.patches"]),
        (
            {"starting_budget": {"strategy": "predictive_entropy"}},
            ["base.starting_budget.strategy", "random start"],
        ),
    ],
)
def test_what_cannot_work_is_refused_before_it_starts(phantom, changes, words):
    with pytest.raises(ConfigError) as caught:
        resolve(make_config(phantom, **changes), phantom)
    for word in words:
        assert word in str(caught.value)


def test_a_start_without_the_guarantee_may_be_small(phantom):
    config = make_config(
        phantom, query={"patches": 2}, starting_budget={"strategy": "random", "patches": 1}
    )
    resolved = resolve(config, phantom)
    assert len(draw_start(resolved, phantom)) == 1


def test_whole_cases_can_be_annotated(phantom):
    config = make_config(
        phantom,
        query={"patches": 2, "patch_size": "whole"},
        starting_budget={"strategy": "random"},
    )
    for queried in draw_start(resolve(config, phantom), phantom):
        assert queried.patch.start == (0, 0, 0)
        assert queried.patch.size == (24, 24, 24)


def test_a_patch_longer_than_every_case_is_clipped(phantom):
    config = resolve(
        make_config(
            phantom,
            query={"patches": 5, "patch_size": [8, 99, 8], "loops": 1},
            starting_budget={"strategy": "random_fg66"},
        ),
        phantom,
    )
    start = draw_start(config, phantom)
    assert len(start) == 5
    assert {queried.patch.size for queried in start} == {(8, 24, 8)}
    assert {queried.patch.start[1] for queried in start} == {0}


@pytest.mark.parametrize(("on_shortfall", "count"), [("take_all", 6), ("fill_random", 6)])
def test_a_shortfall_is_settled_as_the_config_says(phantom, on_shortfall, count):
    config = make_config(
        phantom,
        query={"patches": 7, "patch_size": "whole", "on_shortfall": on_shortfall, "loops": 1},
        starting_budget={"strategy": "random"},
    )
    if on_shortfall == "take_all":
        assert len(draw_start(resolve(config, phantom), phantom)) == count
    else:
        with pytest.raises(ConfigError, match="more than the 6"):
            resolve(config, phantom)


def test_a_shortfall_is_an_error_by_default(phantom):
    config = make_config(phantom, query={"patches": 60, "patch_size": [13, 13, 13], "loops": 1})
    with pytest.raises((ConfigError, PoolExhaustedError), match="lower query"):
        draw_start(resolve(config, phantom), phantom)
