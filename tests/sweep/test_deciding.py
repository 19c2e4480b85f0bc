"""Runs in which something was decided: plan, status, results and resume follow from the log."""

import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from alsweep.data.case import Dataset
from alsweep.errors import RecordError
from alsweep.files import canonical_json
from alsweep.layout import decisions_path
from alsweep.results.decisions import Decision, append_decisions, read_decisions
from alsweep.results.load import load_results
from alsweep.results.records import read_run
from alsweep.sweep import run_sweep
from alsweep.sweep.deciding import extended
from alsweep.sweep.fulldata import references
from alsweep.sweep.missing import finished, missing_starts, to_do, unfinished
from alsweep.sweep.plan import Plan, make_plan
from alsweep.sweep.planning import stored_plan
from alsweep.sweep.run_folder import left_out, write_space
from alsweep.sweep.status import read_status
from tests.sweep.conftest import MakePlan, sweep_of
from tests.sweep.fakes import TableWork
from tests.sweep.test_driver import Driver, driver
from tests.sweep.test_missing import do_loops

__all__ = ["driver"]


def write(run: Path, *lines: dict[str, Any]) -> None:
    """Write the log by hand."""
    told = [{"schema_version": 1, "by": "race", "why": "it loses"} | line for line in lines]
    text = "".join(f"{canonical_json(line)}\n" for line in told)
    decisions_path(run).write_text(text, encoding="utf-8")


def added(plan: Plan) -> list[dict[str, Any]]:
    return [
        {"action": "added", "trajectory": one.id, "config": one.config.plain()}
        for one in plan.trajectories
    ]


@pytest.fixture
def more(plan_of: MakePlan) -> Plan:
    """Two trajectories that the sweep of two strategies and two seeds does not have."""
    return plan_of(grid={"strategy": ["margin"]}, seeds=[0, 7])


@pytest.fixture
def plan(run: Path, plan_of: MakePlan, more: Plan) -> Plan:
    """Of a run with one trajectory done, one stopped in mid-run, one stopped, and two added."""
    plan = plan_of()
    write_space(run, plan)
    do_loops(run, plan, index=0, loops=3)
    do_loops(run, plan, index=1, loops=2)
    stops = [
        {"action": "stopped", "trajectory": plan.ids[0], "loop": 3},
        {"action": "stopped", "trajectory": plan.ids[1], "loop": 2},
        {"action": "stopped", "trajectory": plan.ids[2], "loop": 0},
        {"action": "suggested", "trajectory": "thought-of"},
    ]
    write(run, *added(more), *stops)
    return extended(plan, run)


def test_what_was_added_belongs_to_the_plan_and_not_to_the_space(
    run: Path, plan: Plan, plan_of: MakePlan, more: Plan
) -> None:
    own = plan_of()
    assert plan.ids == (*own.ids, *more.ids)
    assert plan.own == own.trajectories
    assert [one.config for one in plan.trajectories[4:]] == [o.config for o in more.trajectories]
    assert [one.start for one in plan.trajectories[4:]] == [o.start for o in more.trajectories]
    text = (run / "sweep.yaml").read_text()
    write_space(run, plan)
    assert (run / "sweep.yaml").read_text() == text
    assert left_out(run, plan) == []
    assert extended(plan, run) == plan
    assert [ref.example.config.seed for ref in references(plan)] == [0, 1, 7]


def test_what_is_stopped_is_neither_missing_nor_done(run: Path, plan: Plan, more: Plan) -> None:
    ids = plan.ids
    assert [one.id for one in unfinished(run, plan)] == [ids[3], *more.ids]
    assert len(finished(run, plan)) == 1
    assert [start.example.id for start in missing_starts(run, plan)] == [ids[3], *more.ids]
    assert to_do(run, plan).loops == 9
    assert to_do(run, plan.overruled).loops == 9 + 1 + 3


def test_status_and_results_follow_from_the_log(run: Path, plan: Plan) -> None:
    status = read_status(run)
    assert [one.id for one in status.trajectories] == list(plan.ids)
    states = ["done", "truncated", "truncated", "waiting", "waiting", "waiting"]
    assert [one.state for one in status.trajectories] == states
    assert status.counts == {
        "done": 1,
        "running": 0,
        "failed": 0,
        "truncated": 2,
        "waiting": 3,
    }
    assert (status.trajectories[5].strategy, status.trajectories[5].seed) == ("margin", 7)
    table = load_results(run)
    assert dict(zip(table["trajectory"], table["status"], strict=True)) == {
        plan.ids[0]: "done",
        plan.ids[1]: "truncated",
    }


def test_a_torn_decision_was_never_made(run: Path, plan: Plan) -> None:
    whole, before = decisions_path(run).read_bytes(), read_status(run)
    with decisions_path(run).open("ab") as log:
        log.write(whole.splitlines()[0][:-3])
    assert replace(read_status(run), time=before.time) == before
    assert [one.state for one in read_status(run).trajectories][:2] == ["done", "truncated"]
    one = Decision(action="overruled", trajectory=plan.ids[1], by="me", why="after all")
    append_decisions(run, [one])
    assert decisions_path(run).read_bytes().startswith(whole)
    assert [one.state for one in read_status(run).trajectories][:2] == ["done", "waiting"]


def test_a_config_of_another_trajectory_is_refused(
    run: Path, plan_of: MakePlan, more: Plan
) -> None:
    plan = plan_of()
    write_space(run, plan)
    one, other = added(more)
    write(run, {**one, "trajectory": other["trajectory"]})
    with pytest.raises(RecordError, match=r"decisions.jsonl: expected the config of trajectory m"):
        extended(plan, run)


def test_a_label_that_means_another_strategy_is_refused(run: Path, plan_of: MakePlan) -> None:
    plan = plan_of()
    write_space(run, plan)
    alias = plan_of(grid={"strategy": [{"name": "margin", "label": "random"}]}, seeds=[0])
    write(run, *added(alias))
    with pytest.raises(RecordError, match=r"decisions.jsonl: .*the label 'random'"):
        extended(plan, run)


def test_a_run_without_a_schedule_finishes_what_was_stopped_and_says_so(
    run: Path,
    plan: Plan,
    plan_of: MakePlan,
    more: Plan,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setattr(os, "environ", {**os.environ, "WANDB_MODE": "disabled"})
    heard: list[tuple[str, int]] = []

    def make(job: Any, *_: object) -> str:
        assert job.plan.ids == plan.ids
        heard.extend((one.id, to_do(run, job.plan).loops) for one in unfinished(run, job.plan))
        return "outcome"

    monkeypatch.setattr("alsweep.sweep.driver.make_missing", make)
    assert run_sweep(plan_of(), run, work=TableWork(run), report=False) == "outcome"
    assert heard == [(id_, 13) for id_ in plan.ids[1:]]
    told = f"warning: 2 trajectories ({plan.ids[1]}, ...) were stopped before the last loop"
    assert told in caplog.text
    last = read_decisions(run)[-2:]
    assert [(one.action, one.trajectory, one.loop) for one in last] == [
        ("overruled", plan.ids[1], 2),
        ("overruled", plan.ids[2], 0),
    ]
    before = decisions_path(run).read_bytes()
    run_sweep(stored_plan(run), run, work=TableWork(run), report=False)
    assert decisions_path(run).read_bytes() == before
    assert {t.status for t in read_run(run).trajectories} == {"done", "running"}


def test_a_run_in_which_nothing_was_decided_has_no_log(
    dataset: Dataset, run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "environ", {**os.environ, "WANDB_MODE": "disabled"})
    monkeypatch.setattr("alsweep.sweep.driver.make_missing", lambda job, address, retry: "outcome")
    plan = make_plan(sweep_of(dataset), dataset)
    assert run_sweep(plan, run, work=TableWork(run), report=False) == "outcome"
    assert not decisions_path(run).exists()
    assert extended(plan, run) == plan


@pytest.mark.ray
@pytest.mark.slow
def test_resume_makes_what_was_added_and_what_was_stopped(
    driver: Driver, plan_of: MakePlan, more: Plan
) -> None:
    plan = plan_of(seeds=[0])
    write_space(driver.run, plan)
    do_loops(driver.run, plan, index=0, loops=1)
    write(driver.run, *added(more), {"action": "stopped", "trajectory": plan.ids[0], "loop": 1})
    space = (driver.run / "sweep.yaml").read_bytes()
    code, _, err = driver.resume()
    assert code == 0, err
    assert f"warning: trajectory {plan.ids[0]} was stopped before the last loop" in err
    table = load_results(driver.run)
    assert table.groupby("trajectory", sort=False).size().to_dict() == dict.fromkeys(
        [*plan.ids, *more.ids], 3
    )
    assert set(table["status"]) == {"done"}
    assert (driver.run / "sweep.yaml").read_bytes() == space
    assert read_decisions(driver.run)[-1].action == "overruled"
