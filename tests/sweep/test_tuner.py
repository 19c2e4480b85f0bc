"""What is made of Tune's words: each loop is told once, and a crash is written down once."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from alsweep.sweep import tuner
from alsweep.sweep.job import Job
from alsweep.sweep.plan import Plan
from alsweep.sweep.tuner import Follower, run_trajectories
from tests.sweep.conftest import MakePlan
from tests.sweep.fakes import TableWork
from tests.sweep.test_missing import do_loops


class Ears:
    """A monitor and a tracker that note what they hear."""

    def __init__(self) -> None:
        self.heard: list[tuple[Any, ...]] = []

    def __getattr__(self, name: str) -> Any:
        def hear(*what: Any) -> None:
            first, *more = what
            said = [one if isinstance(one, str) else one.loop for one in more if name != "update"]
            self.heard.append((name, first.id, *said))

        return hear


@pytest.fixture
def plan(plan_of: MakePlan) -> Plan:
    return plan_of()


@pytest.fixture
def ears() -> Ears:
    return Ears()


@pytest.fixture
def job(run: Path, plan: Plan, ears: Ears) -> Job:
    return Job(plan, run, TableWork(run), ears, SimpleNamespace(update=lambda *_: None))


def said(failed: str | None = None, done: bool = False) -> dict[str, Any]:
    return {"failed": failed, "done": done}


def trial(id_: str) -> Any:
    return SimpleNamespace(config={"trajectory": id_})


def test_each_durable_loop_is_told_once_whatever_tune_says(
    run: Path, plan: Plan, job: Job, ears: Ears
) -> None:
    one = plan.ids[0]
    do_loops(run, plan, 0, 1)
    follower = Follower(job, plan.trajectories)
    follower.on_trial_start(0, [], trial(one))
    follower.on_trial_result(0, [], trial(one), said())
    do_loops(run, plan, 0, 2)
    follower.on_trial_result(0, [], trial(one), said())
    follower.on_trial_result(0, [], trial(one), said(done=True))
    # Loop 0 was done before; Tune was told of loop 1 and 2 at once.
    assert ears.heard == [
        ("began", one),
        ("loop", one, 1),
        ("loop", one, 2),
        ("ended", one),
    ]
    assert follower.__getstate__() == {}


def test_lost_and_failed_workers_are_told(plan: Plan, job: Job, ears: Ears) -> None:
    one = plan.ids[1]
    follower = Follower(job, plan.trajectories)
    follower.on_trial_recover(0, [], trial(one))
    follower.on_trial_result(0, [], trial(one), said("no room", done=True))
    assert ears.heard == [("lost", one), ("failed", one, "no room")]
    assert job.errors == {one: "no room"}


def test_what_is_done_or_excluded_is_not_run_and_only_real_crashes_are_failures(
    run: Path, plan: Plan, job: Job, ears: Ears, monkeypatch: pytest.MonkeyPatch
) -> None:
    done, excluded, crashed, late = plan.ids
    do_loops(run, plan, 0, 3)
    asked = []

    def fit() -> list[Any]:
        do_loops(run, plan, 3, 3)
        crash = RuntimeError("boom")
        return [SimpleNamespace(config={"trajectory": i}, error=crash) for i in (crashed, late)]

    def build(job: Job, todo: Any, storage: Path) -> Any:
        asked.extend(planned.id for planned in todo)
        assert storage.is_dir()
        assert not storage.is_relative_to(run)
        return SimpleNamespace(fit=fit)

    monkeypatch.setattr(tuner, "build_tuner", build)
    run_trajectories(job, {excluded})
    assert asked == [crashed, late]
    assert list(job.errors) == [crashed]
    assert "boom" in job.errors[crashed]
    asked.clear()
    run_trajectories(job, {excluded, crashed})
    assert asked == []
    assert (done, late) == (plan.ids[0], plan.ids[3])
