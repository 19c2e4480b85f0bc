"""What is made of Tune's words: each loop is told once, and a crash is written down once."""

import signal
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from alsweep.config.caps import CapsConfig
from alsweep.sweep import tuner
from alsweep.sweep.caps import Meter
from alsweep.sweep.job import Job
from alsweep.sweep.plan import Plan
from alsweep.sweep.stops import stops_raise
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


class Runs:
    """Stands for Tune: notes what it is asked to run, and lets a script say what comes of it."""

    def __init__(self, script: Callable[[Follower], dict[str, Exception]]) -> None:
        self.asked: list[list[str]] = []
        self._script = script

    def build(self, job: Job, storage: Path, follower: Follower, *_: Any) -> Any:
        self.asked.append([planned.id for planned in follower.followed])
        assert storage.is_dir()
        assert not storage.is_relative_to(job.run)
        return SimpleNamespace(fit=lambda: self._fit(follower))

    def _fit(self, follower: Follower) -> list[Any]:
        crashes = self._script(follower)
        # As Tune does, where there never was a result: no config.
        return [
            SimpleNamespace(path=f"/tune/{id_}", config=None, error=crashes.get(id_))
            for id_ in self.asked[-1]
        ]


def test_what_is_done_or_excluded_is_not_run_and_only_real_crashes_are_failures(
    run: Path, plan: Plan, job: Job, ears: Ears, monkeypatch: pytest.MonkeyPatch
) -> None:
    done, excluded, crashed, late = plan.ids
    do_loops(run, plan, 0, 3)

    def script(follower: Follower) -> dict[str, Exception]:
        for id_ in (crashed, late):
            follower.on_trial_start(0, [], trial(id_))
        do_loops(run, plan, 3, 3)
        return dict.fromkeys((crashed, late), RuntimeError("boom"))

    runs = Runs(script)
    monkeypatch.setattr(tuner, "build_tuner", runs.build)
    run_trajectories(job, {excluded})
    assert runs.asked == [[crashed, late]]
    assert list(job.errors) == [crashed]
    assert "boom" in job.errors[crashed]
    run_trajectories(job, {excluded, crashed})
    assert runs.asked == [[crashed, late]]
    assert (done, late) == (plan.ids[0], plan.ids[3])


def test_what_a_dying_worker_was_handed_is_run_once_more(
    run: Path, plan: Plan, job: Job, monkeypatch: pytest.MonkeyPatch
) -> None:
    handed, failed, lost, _ = plan.ids
    crash = RuntimeError("the worker process has died")

    def script(follower: Follower) -> dict[str, Exception]:
        if len(runs.asked) == 2:
            return {handed: crash}
        for id_ in (failed, lost):
            follower.on_trial_start(0, [], trial(id_))
        follower.on_trial_result(0, [], trial(failed), said("no room"))
        follower.on_trial_recover(0, [], trial(lost))
        follower.on_trial_start(0, [], trial(lost))
        return dict.fromkeys((handed, failed, lost), crash)

    runs, begun = Runs(script), job.unfinished()
    monkeypatch.setattr(tuner, "build_tuner", runs.build)
    run_trajectories(job, set())
    assert runs.asked == [[one.id for one in begun], [handed]]
    assert set(job.errors) == {handed, failed, lost}
    assert job.errors[failed] == "no room"
    assert "died" in job.errors[handed]


def test_what_is_known_to_fail_is_not_tried_again(plan: Plan, job: Job) -> None:
    follower, one = Follower(job, plan.trajectories), trial(plan.ids[0])
    follower.on_trial_result(0, [], one, said("no room"))
    assert one.max_failures == 0


def test_a_cap_is_looked_at_with_the_loop_counted_that_was_just_done(
    run: Path, plan: Plan, job: Job, ears: Ears
) -> None:
    # A loop of the table takes 1.75 s.
    job = replace(job, meter=Meter(CapsConfig(gpu_hours=3 / 3600)))
    one = trial(plan.ids[0])
    follower = Follower(job, plan.trajectories)
    follower.on_trial_start(0, [], one)
    do_loops(run, plan, 0, 1)
    assert not follower.enough(one)
    do_loops(run, plan, 0, 1)
    assert not follower.enough(None)
    assert follower.enough(one)
    assert follower.enough(None)
    follower.on_trial_result(0, [], one, said(done=True))
    assert [what for what, *_ in ears.heard] == ["began", "loop", "loop", "ended"]
    assert run_trajectories(job, set()) is None  # and begins no Tune


def test_a_signal_that_tune_takes_for_itself_is_taken_back(job: Job, plan: Plan) -> None:
    with stops_raise():
        signal.signal(signal.SIGUSR1, signal.SIG_IGN)
        follower = Follower(job, plan.trajectories)
        follower.on_step_begin(1, [])
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGUSR1)
