"""What becomes of trajectories that failed before, and how a sweep's end is told."""

from contextlib import nullcontext
from pathlib import Path
from typing import Any

import pytest

from alsweep.config.caps import CapsConfig
from alsweep.layout import trajectory_folder
from alsweep.results.failure import read_failure, write_failure
from alsweep.sweep import driver, schedules
from alsweep.sweep.caps import Meter
from alsweep.sweep.driver import make_missing
from alsweep.sweep.job import Job
from alsweep.sweep.missing import missing_starts
from alsweep.sweep.plan import Plan
from alsweep.sweep.retry import Retry
from alsweep.tracking.base import NullTracker
from tests.sweep.conftest import MakePlan
from tests.sweep.fakes import TableWork
from tests.sweep.test_missing import do_loops
from tests.sweep.test_tuner import Ears


class Told:
    def __init__(self) -> None:
        self.heard: list[tuple[str, dict[str, Any]]] = []

    def tell(self, kind: str, text: str, **details: Any) -> None:
        self.heard.append((kind, details))


@pytest.fixture
def plan(plan_of: MakePlan) -> Plan:
    return plan_of(seeds=[0, 1, 2])


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Ids of the trajectories that a worker would have made; all that is asked for is made."""
    made: list[str] = []

    def run_trajectories(job: Job, excluded: set[str], until: int | None = None) -> None:
        for planned in job.unfinished():
            made.append(planned.id)
            index = job.plan.ids.index(planned.id)
            do_loops(job.run, job.plan, index, 3)

    monkeypatch.setattr(driver, "ray_session", lambda *_: nullcontext())
    monkeypatch.setattr(schedules, "prepare_starts", lambda job: made.extend(starts(job)) or set())
    monkeypatch.setattr(schedules, "run_trajectories", run_trajectories)
    return made


def starts(job: Job) -> list[str]:
    return [f"start {one.example.config.seed}" for one in missing_starts(job.run, job.plan)]


def job_of(run: Path, plan: Plan, **more: Any) -> Job:
    return Job(plan, run, TableWork(run), Ears(), NullTracker(), events=Told(), **more)


def test_what_failed_is_tried_again_unless_it_is_not_to_be(
    run: Path, plan: Plan, asked: list[str]
) -> None:
    first, other = plan.ids[2], plan.ids[5]
    for id_ in (first, other):  # both strategies of the last seed
        trajectory_folder(run, id_).mkdir(parents=True)
        write_failure(trajectory_folder(run, id_), "no room", 0)
    job = job_of(run, plan)
    outcome = make_missing(job, retry=Retry.none)
    assert not {first, other, "start 2"} & set(asked)
    assert len(asked) == 6
    assert (outcome.done, outcome.failed) == (4, {first: "no room", other: "no room"})
    assert ("failed", first, "no room") in job.monitor.heard
    assert job.events.heard == [("all_done", {"done": 4, "failed": 2, "left": 0})]
    asked.clear()
    outcome = make_missing(job_of(run, plan))
    assert asked == ["start 2", first, other]
    assert (outcome.done, outcome.failed) == (6, {})
    assert read_failure(trajectory_folder(run, first)) is None


def test_a_cap_that_is_reached_already_lets_nothing_begin(
    run: Path, plan: Plan, asked: list[str]
) -> None:
    do_loops(run, plan, 0, 3)
    do_loops(run, plan, 1, 1)
    job = job_of(run, plan, meter=Meter(CapsConfig(gpu_hours=7 / 3600)))
    outcome = make_missing(job)
    assert asked == []
    assert (outcome.done, outcome.failed) == (1, {})
    assert (outcome.stopped, outcome.left) == ("caps.gpu_hours", 5)
    ((kind, details),) = job.events.heard
    assert (kind, details["cap"]) == ("cap_reached", "caps.gpu_hours")


def test_who_has_nothing_to_do_tells_nobody(run: Path, plan: Plan, asked: list[str]) -> None:
    for index in range(len(plan.ids)):
        do_loops(run, plan, index, 3)
    job = job_of(run, plan, meter=Meter(CapsConfig(gpu_hours=1e-9)))
    outcome = make_missing(job)
    assert (outcome.stopped, outcome.left, outcome.done) == (None, 0, 6)
    assert job.events.heard == []
