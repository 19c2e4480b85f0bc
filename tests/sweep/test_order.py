"""In which order trajectories begin, and that nothing else depends on it."""

from pathlib import Path
from types import SimpleNamespace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from alsweep.sweep.job import Job
from alsweep.sweep.order import Order, in_order
from alsweep.sweep.starts import prepare_starts
from alsweep.sweep.tuner import Follower, build_tuner
from tests.sweep.conftest import MakePlan
from tests.sweep.fakes import TableWork

SPACE = {
    "settings": [{"name": "few", "query.patches": 6}, {"name": "more", "query.patches": 8}],
    "seeds": [5, 3],
}


def test_every_strategy_and_setting_of_a_seed_comes_before_the_next_seed(plan_of: MakePlan) -> None:
    plan = plan_of(**SPACE)
    ordered = in_order(plan.trajectories, plan.sweep, Order.seeds)
    assert [(one.config.seed, one.setting, one.label) for one in ordered] == [
        (seed, setting, strategy)
        for seed in (5, 3)
        for setting in ("few", "more")
        for strategy in ("random", "predictive_entropy")
    ]
    assert tuple(in_order(plan.trajectories, plan.sweep, Order.grid)) == plan.trajectories


@settings(max_examples=20, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(done=st.sets(st.integers(0, 7)))
def test_a_half_done_sweep_lacks_whole_seeds_but_for_one(plan_of: MakePlan, done: set[int]) -> None:
    plan = plan_of(**SPACE)
    rest = [one for index, one in enumerate(plan.trajectories) if index not in done]
    begun = in_order(rest, plan.sweep, Order.seeds)
    assert sorted(one.id for one in begun) == sorted(one.id for one in rest)
    seeds = [one.config.seed for one in begun]
    assert seeds == sorted(seeds, reverse=True), "5 comes before 3"


@pytest.mark.parametrize(("order", "seeds"), [(Order.seeds, [5, 5, 3, 3]), ("grid", [5, 3, 5, 3])])
def test_starts_and_trials_begin_in_that_order(
    plan_of: MakePlan,
    run: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    order: str,
    seeds: list[int],
) -> None:
    plan = plan_of(**SPACE, grid={"strategy": ["random"]})
    heard = SimpleNamespace(preparing=lambda starts: heard.starts.extend(starts), starts=[])
    job = Job(plan, run, TableWork(run), heard, heard, Order(order))
    monkeypatch.setattr("alsweep.sweep.starts.run_tasks", lambda tasks, *_: iter(()))
    prepare_starts(job)
    assert [start.example.config.seed for start in heard.starts] == seeds
    monkeypatch.setattr("alsweep.sweep.tuner.workers_at_once", lambda resources: 2)
    todo = job.unfinished()
    tuner = build_tuner(job, todo, tmp_path, Follower(job, todo))
    space = tuner._local_tuner._param_space
    by_id = {one.id: one.config.seed for one in plan.trajectories}
    assert [by_id[id_] for id_ in space["trajectory"]["grid_search"]] == seeds
