"""Loops of a trajectory with another number of them: where they are the same, nothing else is."""

import ast
import shutil
from pathlib import Path
from typing import Any

import pytest

import alsweep.query
from alsweep.data.case import Dataset
from alsweep.files import read_json, write_json
from alsweep.layout import (
    config_path,
    log_path,
    query_path,
    record_path,
    trajectory_folder,
)
from alsweep.query.base import Strategy, make_strategy
from alsweep.results.records import read_records
from alsweep.results.table import collect
from alsweep.sweep import taking_over
from alsweep.sweep.amounts import Measure, left_to_do
from alsweep.sweep.capped import Expected, over_caps
from alsweep.sweep.forecast import forecast
from alsweep.sweep.missing import missing_starts, to_do, unfinished
from alsweep.sweep.mixing import Stored
from alsweep.sweep.outlook import outlook
from alsweep.sweep.plan import Plan
from alsweep.sweep.run_folder import write_space
from alsweep.sweep.search_outlook import search_outlook
from alsweep.sweep.status import read_status
from alsweep.sweep.taking_over import TakenOver, looked_ahead, of, summary, to_take_over
from alsweep.trajectory.numerics import NUMERICS
from alsweep.trajectory.runner import Trajectory
from tests.sweep.conftest import MakePlan
from tests.sweep.test_missing import do_loops

ONE = {"seeds": [0], "grid": {"strategy": ["predictive_entropy"]}}


def with_loops(plan_of: MakePlan, loops: int, **changes: Any) -> Plan:
    query = {"patches": 6, "loops": loops, "patch_size": [8, 8, 8], **changes.pop("query", {})}
    base = {"query": query, "training": {"members": 2}}
    return plan_of(**{**ONE, "base": base, **changes})


def take_over(run: Path, plan: Plan) -> list[TakenOver]:
    found = list(to_take_over(run, plan))
    taking_over.take_over(run, found)
    return found


def made(run: Path, plan: Plan, loops: int, index: int = 0) -> Path:
    """A trajectory with so many loops, whose records say what real ones say."""
    do_loops(run, plan, index, loops)
    one = plan.trajectories[index]
    folder = trajectory_folder(run, one.id)
    for loop in range(loops):
        record = read_json(record_path(folder, loop))
        setting = one.config.setting_hash(one.dataset_fingerprint)[:6]
        write_json(record_path(folder, loop), {**record, "setting": f"phantom-{setting}"})
    return folder


@pytest.mark.parametrize(
    ("have", "done", "want", "taken"), [(3, 3, 5, 2), (3, 2, 5, 2), (5, 5, 3, 3)]
)
def test_what_is_the_same_is_copied_but_the_setting_and_what_it_took(
    run: Path, plan_of: MakePlan, have: int, done: int, want: int, taken: int
) -> None:
    source = made(run, with_loops(plan_of, have), done)
    plan = with_loops(plan_of, want)
    (one,) = plan.trajectories
    (found,) = take_over(run, plan)
    folder = trajectory_folder(run, one.id)
    assert (found.loops, len(read_records(folder))) == (taken, taken)
    for loop in range(min(taken + 1, want)):
        assert query_path(folder, loop).read_bytes() == query_path(source, loop).read_bytes()
    for loop in range(taken):
        ours, theirs = (read_json(record_path(place, loop)) for place in (folder, source))
        setting = one.config.setting_hash(one.dataset_fingerprint)[:6]
        took = dict.fromkeys(("train_seconds", "evaluate_seconds", "query_seconds"), 0)
        took["cached_members"] = len(theirs["members"])
        assert ours == {**theirs, **took, "setting": f"phantom-{setting}"}
        assert theirs["train_seconds"] > 0
        assert [r.taken_over for r in read_records(folder) + read_records(source)[:1]] == [
            *[True] * taken,
            False,
        ]
        assert ours["setting"] != theirs["setting"]
    assert not record_path(folder, taken).exists()
    assert f"taken over from {source.name}" in log_path(folder).read_text()
    assert list(summary([found])) == [f"{one.id}: {found.told}"]
    # And it is not new any more.
    assert take_over(run, plan) == []


@pytest.mark.parametrize(
    "other",
    [
        {"seeds": [1]},
        {"grid": {"strategy": ["random"]}},
        {"query": {"patches": 7}},
        {"query": {"stride": 2}},
    ],
)
def test_what_is_another_science_is_left_alone(
    run: Path, plan_of: MakePlan, other: dict[str, Any]
) -> None:
    made(run, with_loops(plan_of, 3), 3)
    assert list(to_take_over(run, with_loops(plan_of, 5, **other))) == []


def test_the_one_with_most_loops_is_the_source_and_others_numerics_are_not(
    run: Path, plan_of: MakePlan
) -> None:
    made(run, with_loops(plan_of, 3), 3)
    best = made(run, with_loops(plan_of, 4), 4)
    plan = with_loops(plan_of, 6)
    assert [(one.source, one.loops) for one in to_take_over(run, plan)] == [(best, 3)]
    for loop in (1, 2):
        record = read_json(record_path(best, loop))
        write_json(record_path(best, loop), {**record, "numerics": NUMERICS - 1})
    assert [one.loops for one in to_take_over(run, plan)] == [2]


def test_another_dataset_is_another_science(run: Path, plan_of: MakePlan) -> None:
    source = made(run, with_loops(plan_of, 3), 3)
    shutil.move(source, source.with_name("random-p8x8x8-s0-00000000"))
    assert list(to_take_over(run, with_loops(plan_of, 5))) == []


def test_a_run_that_is_extended_has_used_what_it_had_used(run: Path, plan_of: MakePlan) -> None:
    caps = {"caps": {"gpu_hours": 1}}
    short, long = (with_loops(plan_of, loops, **caps) for loops in (3, 5))
    made(run, short, 3)
    write_space(run, short)
    (before,) = read_status(run).caps
    assert before.used * 3600 == pytest.approx(3 * 1.75)
    # Caps count the shorter one whether or not it is in the plan, and what is taken over never.
    for plan in (
        long,
        with_loops(
            plan_of, 3, grid={"strategy": ["predictive_entropy"], "query.loops": [3, 5]}, **caps
        ),
    ):
        write_space(run, plan)
        take_over(run, plan)
        assert read_records(trajectory_folder(run, long.ids[0]))[0].taken_over
        (after,) = read_status(run).caps
        assert after.used == before.used
    table = collect(run)
    seconds = table[["train_seconds", "evaluate_seconds", "query_seconds"]].to_numpy().sum()
    assert seconds / 3600 == pytest.approx(before.used)


def test_a_half_made_copy_is_made_again(run: Path, plan_of: MakePlan) -> None:
    made(run, with_loops(plan_of, 3), 3)
    plan = with_loops(plan_of, 5)
    folder = trajectory_folder(run, plan.ids[0])
    take_over(run, plan)
    config_path(folder).unlink()
    record_path(folder, 1).unlink()
    assert [one.loops for one in take_over(run, plan)] == [2]
    assert record_path(folder, 1).exists()


SCHEDULED = {"name": "clasp_pe"}


@pytest.mark.parametrize(
    ("spec", "reads"),
    [
        ("random", False),
        ("random_fg66", False),
        ("power_bald", False),
        ("bald", False),
        (SCHEDULED, True),
        (
            {
                "stages": {
                    "map": "predictive_entropy",
                    "noise": {"name": "power", "schedule": "linear"},
                }
            },
            True,
        ),
        ({"stages": {"map": "predictive_entropy", "noise": "power"}}, False),
    ],
)
def test_strategies_say_whether_the_number_of_loops_matters(spec: Any, reads: bool) -> None:
    from alsweep.config.strategy import StrategySpec

    assert make_strategy(StrategySpec.model_validate(spec)).reads_loops is reads


def test_a_strategy_with_a_query_of_its_own_may_read_anything() -> None:
    class Own(Strategy):
        def query(self, pool: Any, request: Any, rng: Any) -> list[Any]:
            return []

    class Modest(Own):
        reads_loops = False

    assert Own().reads_loops
    assert not Modest().reads_loops


def test_nothing_of_alsweeps_own_reads_it_without_saying_so() -> None:
    """Whoever reads ``request.loops`` in a new place has to declare ``reads_loops`` there."""
    room = Path(alsweep.query.__file__).parent
    readers = {
        file.name
        for file in room.rglob("*.py")
        for node in ast.walk(ast.parse(file.read_text()))
        if isinstance(node, ast.Attribute)
        and node.attr == "loops"
        and isinstance(node.value, ast.Name)
        and node.value.id == "request"
    }
    assert readers == {"noise.py"}


def test_a_longer_trajectory_that_takes_over_is_as_one_made_at_once(
    run: Path, plan_of: MakePlan, dataset: Dataset
) -> None:
    training = {"members": 1, "epochs": 1, "iterations_per_epoch": 1, "batch_size": 2}
    query = {"patches": 6, "patch_size": [8, 8, 8]}

    def plan(loops: int) -> Plan:
        return plan_of(**ONE, base={"query": {**query, "loops": loops}, "training": training})

    def make(where: Path, plan: Plan) -> Path:
        (one,) = plan.trajectories
        folder = trajectory_folder(where, one.id)
        trajectory = Trajectory(one.config, folder, dataset=dataset, models=where / "models")
        trajectory.run()
        trajectory.close()
        return folder

    make(run, plan(2))
    assert [one.loops for one in take_over(run, plan(3))] == [1]
    continued, at_once = make(run, plan(3)), make(run.parent / "other", plan(3))
    for loop in range(3):
        assert query_path(continued, loop).read_bytes() == query_path(at_once, loop).read_bytes()
        ours, theirs = (read_records(folder)[loop].plain() for folder in (continued, at_once))
        varies = {"train_seconds", "evaluate_seconds", "query_seconds", "cached_members"}
        assert {k: v for k, v in ours.items() if k not in varies} == {
            k: v for k, v in theirs.items() if k not in varies
        }


@pytest.mark.parametrize(("have", "done", "want"), [(3, 3, 5), (5, 2, 3), (5, 5, 3)])
def test_forecasts_count_what_will_be_taken_over_as_what_was(
    run: Path, plan_of: MakePlan, have: int, done: int, want: int
) -> None:
    made(run, with_loops(plan_of, have), done)
    both = {"grid": {"strategy": ["predictive_entropy", "random"]}}
    plan = with_loops(plan_of, want, **both)
    ahead = looked_ahead(run, plan)
    (taken,) = of(ahead, plan)
    expected = outlook(run, plan, private=True), forecast(run, plan)
    left = left_to_do(ahead, plan, Measure.of(plan), {})
    assert to_do(ahead, plan).loops == to_do(run, plan).loops - taken.loops
    assert not config_path(trajectory_folder(run, taken.planned.id)).exists()
    assert [taken] == take_over(run, plan)
    after = outlook(run, plan, private=True), forecast(run, plan)
    assert after[0].lines == expected[0].lines
    assert after[0].counted == expected[0].counted == to_do(run, plan)
    assert unfinished(ahead, plan) == unfinished(run, plan)
    assert missing_starts(ahead, plan) == missing_starts(run, plan)
    # What it took over was written meanwhile; what is left to work on is the same all along.
    assert left_to_do(run, plan, Measure.of(plan), {}) == left
    # Only the other one's records say what its loops took.
    assert (expected[0].cost.source, after[0].cost.source) == ("records", "stated")
    assert after[1].members == expected[1].members
    assert after[1].rest < expected[1].rest


@pytest.mark.parametrize("loops", [[5], [3, 5]])
def test_a_dry_run_counts_for_caps_what_was_used_once(
    run: Path, plan_of: MakePlan, loops: list[int]
) -> None:
    caps = {"caps": {"gpu_hours": 0.002}}
    made(run, with_loops(plan_of, 3, **caps), 3)
    grid = {"strategy": ["predictive_entropy"], "query.loops": loops}
    plan = with_loops(plan_of, 3, grid=grid, **caps)
    for _ in range(2):
        ahead = looked_ahead(run, plan)
        found = outlook(ahead, plan, private=True)
        assert found.cost is not None
        disk = forecast(ahead, plan)
        assert disk is not None
        stored = Stored.read(run, plan, taken=of(ahead, plan))
        expected = Expected(found.cost, disk, found.counted, 1)
        (told,) = over_caps(plan.sweep, ahead, stored.records, expected)
        assert f" after the {3 * 1.75 / 3600:.3g} h used so far, " in told
        take_over(run, plan)


def test_what_a_search_may_suggest_takes_nothing_over_beforehand(
    run: Path, plan_of: MakePlan
) -> None:
    search = {"configurations": 2, "over": {"strategy": ["random", "predictive_entropy"]}}
    plan = with_loops(plan_of, 5, grid={}, search=search)
    before = search_outlook(run, plan)
    assert before is not None
    assert before.cost is not None
    made(run, with_loops(plan_of, 3), 3)
    assert search_outlook(run, plan) == search_outlook(looked_ahead(run, plan), plan) == before
