"""What is made of Tune's words: each loop is told once, and a crash is written down once."""

import pickle
import signal
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from ray.exceptions import ActorDiedError, NodeDiedError, RayTaskError

from alsweep.config.caps import CapsConfig
from alsweep.results.failure import read_failure
from alsweep.results.mishaps import Counts, read_mishaps
from alsweep.sweep import tuner
from alsweep.sweep.caps import Meter
from alsweep.sweep.job import Job
from alsweep.sweep.plan import Plan
from alsweep.sweep.stops import stops_raise
from alsweep.sweep.trainable import GaveUpError
from alsweep.sweep.tries import Setback
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


def said(
    failed: str | None = None, done: bool = False, erred: Setback | None = None
) -> dict[str, Any]:
    return {"failed": failed, "erred": erred, "done": done}


def trial(id_: str, crash: Path | None = None) -> Any:
    return SimpleNamespace(config={"trajectory": id_}, pickled_error_file=crash, max_failures=-1)


def crashed_with(error: Exception, folder: Path) -> Path:
    """As Tune leaves it of a worker."""
    path = folder / "error.pkl"
    path.write_bytes(pickle.dumps(error))
    return path


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
    follower.on_trial_start(0, [], trial(one))
    follower.on_trial_result(0, [], trial(one), said("no room", done=True))
    told = "the worker died (RuntimeError: nobody knows of what); it is tried again"
    assert ears.heard == [("setback", one, told), ("began", one), ("failed", one, "no room")]
    assert job.errors == {one: "no room"}


def test_what_is_lost_is_tried_again_for_ever_and_an_error_once(
    plan: Plan, job: Job, tmp_path: Path
) -> None:
    lost, buggy = plan.ids[:2]
    follower, loser = Follower(job, plan.trajectories), trial(lost)
    loser.pickled_error_file = crashed_with(NodeDiedError("node has died"), tmp_path)
    for _ in range(50):
        follower.on_trial_start(0, [], loser)
        follower.on_trial_recover(0, [], loser)
    assert loser.max_failures == -1
    assert follower.pause(loser) > 100
    bug, other = Setback("a bug", 1, "train", "bug:7"), Setback("a bug", 1, "query", "bug:7")
    tried = trial(buggy)
    gave_up = RayTaskError("step", "GaveUpError", GaveUpError(buggy))
    tried.pickled_error_file = crashed_with(gave_up, tmp_path)
    for erred, left in ((bug, -1), (other, -1), (bug, 0)):
        follower.on_trial_start(0, [], tried)
        follower.on_trial_result(0, [], tried, said(erred=erred))
        assert tried.max_failures == left
        if left:
            follower.on_trial_recover(0, [], tried)
    assert job.errors == {buggy: "a bug"}
    assert read_failure(job.folder(follower.named(buggy))) == "a bug"
    assert Counts.of(read_mishaps(job.run)) == Counts(lost=50, errors=3)


def test_a_worker_that_cannot_begin_is_given_up(plan: Plan, job: Job, tmp_path: Path) -> None:
    follower, one = Follower(job, plan.trajectories), trial(plan.ids[0])
    for pid in (4711, 4712):
        cause = RayTaskError("f", "Traceback\nModuleNotFoundError: alsweep", KeyError(), pid=pid)
        one.pickled_error_file = crashed_with(ActorDiedError(cause), tmp_path)
        assert one.max_failures == -1
        follower.on_trial_recover(0, [], one)
    assert one.max_failures == 0
    assert job.errors == {plan.ids[0]: "a worker cannot begin: ModuleNotFoundError: alsweep"}


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
        for id_ in runs.asked[-1]:
            follower.on_trial_start(0, [], trial(id_))
        do_loops(run, plan, 3, 3)
        crash: Exception = RayTaskError("step", "boom", ValueError("boom"))
        return dict.fromkeys(runs.asked[-1], crash)

    runs = Runs(script)
    monkeypatch.setattr(tuner, "build_tuner", runs.build)
    run_trajectories(job, {excluded})
    assert runs.asked == [[crashed, late], [crashed]]
    assert list(job.errors) == [crashed]
    assert "boom" in job.errors[crashed]
    run_trajectories(job, {excluded, crashed})
    assert len(runs.asked) == 2
    assert (done, late) == (plan.ids[0], plan.ids[3])


def test_what_a_dying_worker_was_handed_is_run_again(
    run: Path, plan: Plan, job: Job, monkeypatch: pytest.MonkeyPatch
) -> None:
    handed, failed, *_ = plan.ids
    crash = RuntimeError("the worker process has died")
    pauses: list[float] = []

    def script(follower: Follower) -> dict[str, Exception]:
        if len(runs.asked) == 3:
            do_loops(run, plan, 0, 3)
            return {}
        if len(runs.asked) == 1:
            follower.on_trial_start(0, [], trial(failed))
            follower.on_trial_result(0, [], trial(failed), said("no room"))
        return {handed: crash, failed: crash}

    runs, begun = Runs(script), job.unfinished()
    monkeypatch.setattr(tuner, "build_tuner", runs.build)
    monkeypatch.setattr(tuner.time, "sleep", pauses.append)
    run_trajectories(job, set())
    assert runs.asked == [[one.id for one in begun], [handed], [handed]]
    assert job.errors == {failed: "no room"}
    assert max(pauses) == pytest.approx(2, abs=0.5)


def test_what_is_known_to_fail_is_not_tried_again(plan: Plan, job: Job) -> None:
    follower, one = Follower(job, plan.trajectories), trial(plan.ids[0])
    follower.on_trial_start(0, [], one)
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
