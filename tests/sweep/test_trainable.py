"""A worker without Tune around it: what it does, says and leaves in its folder."""

import logging
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from alsweep.errors import LostError
from alsweep.files import read_json
from alsweep.layout import log_path, trajectory_folder
from alsweep.results.records import read_records
from alsweep.sweep import folder_at_work
from alsweep.sweep.folder_at_work import LoggedHeartbeat
from alsweep.sweep.plan import Plan, Planned
from alsweep.sweep.trainable import Assignment, GaveUpError, TrajectoryTrainable
from alsweep.trajectory.progress import Progress
from tests.sweep.conftest import MakePlan
from tests.sweep.fakes import BUG, ERROR, TableWork, plant_fault, table_record


@pytest.fixture(autouse=True)
def _quiet_log() -> Iterator[None]:
    """A worker's level stays for the life of its process; here the process is the tests'."""
    logger = logging.getLogger("alsweep")
    handlers, level = list(logger.handlers), logger.level
    yield
    for handler in {*logger.handlers} - {*handlers}:
        handler.close()
    logger.handlers[:] = handlers
    logger.setLevel(level)


@pytest.fixture
def plan(plan_of: MakePlan) -> Plan:
    return plan_of(seeds=[0], grid={"strategy": ["random"]})


def worker(run: Path, planned: Planned) -> TrajectoryTrainable:
    """As Tune makes one, but for Tune's own part."""
    made = TrajectoryTrainable.__new__(TrajectoryTrainable)
    assignment = Assignment(run, TableWork(run), {planned.id: planned.config})
    made.setup({"trajectory": planned.id}, assignment)
    return made


def test_a_step_is_a_loop_and_the_last_says_so(run: Path, plan: Plan) -> None:
    (planned,) = plan.trajectories
    steps = worker(run, planned)
    assert not trajectory_folder(run, planned.id).exists()
    told = [steps.step() for _ in range(3)]
    assert [one["loop"] for one in told] == [0, 1, 2]
    assert [one["done"] for one in told] == [False, False, True]
    assert {one["failed"] for one in told} == {None}
    dice = [table_record(planned.config, loop).mean_dice for loop in range(3)]
    assert [one["mean_dice"] for one in told] == dice
    assert steps.save_checkpoint("anywhere") == {}


def test_a_worker_that_finds_all_loops_done_makes_none(run: Path, plan: Plan) -> None:
    (planned,) = plan.trajectories
    first = worker(run, planned)
    told = [first.step() for _ in range(3)][-1]
    assert worker(run, planned).step() == told
    assert len(read_records(trajectory_folder(run, planned.id))) == 3


def test_a_dice_that_is_not_defined_counts_as_the_worst(
    run: Path, plan: Plan, monkeypatch: pytest.MonkeyPatch
) -> None:
    def undefined(config: object, loop: int) -> object:
        return table_record(config, loop).model_copy(update={"mean_dice": None})

    monkeypatch.setattr("tests.sweep.fakes.table_record", undefined)
    assert worker(run, plan.trajectories[0]).step()["mean_dice"] == 0.0


def test_an_error_that_would_come_again_ends_the_trajectory(run: Path, plan: Plan) -> None:
    (planned,) = plan.trajectories
    folder = trajectory_folder(run, planned.id)
    plant_fault(folder, ERROR, 1)
    steps = worker(run, planned)
    assert not steps.step()["done"]
    error = "the pool is empty; lower query.patches"
    told = {"failed": error, "erred": None, "done": False}
    assert steps.step() == {"loop": 0, "mean_dice": 0.0, **told}
    assert read_json(folder / "error.json") == {"error": error, "loop": 1}
    # It is told; now Tune has to be rid of the process, and may not take it for another.
    with pytest.raises(GaveUpError):
        steps.step()


def test_an_error_before_the_first_loop_is_of_loop_zero(
    run: Path, plan: Plan, monkeypatch: pytest.MonkeyPatch
) -> None:
    (planned,) = plan.trajectories
    plant_fault(trajectory_folder(run, planned.id), ERROR, 0)
    assert worker(run, planned).step()["loop"] == -1, "the last that is finished"
    error = {"error": "the pool is empty; lower query.patches", "loop": 0}
    assert read_json(trajectory_folder(run, planned.id) / "error.json") == error


def test_a_bug_is_told_with_its_place_and_its_traceback_lies_in_the_log(
    run: Path, plan: Plan
) -> None:
    (planned,) = plan.trajectories
    folder = trajectory_folder(run, planned.id)
    plant_fault(folder, BUG, 1, times=2)
    first, second = worker(run, planned), worker(run, planned)
    first.step()
    told = first.step()
    assert (told["loop"], told["failed"], told["done"]) == (0, None, False)
    erred = told["erred"]
    assert erred.told == f"ZeroDivisionError: a bug; the traceback is in {log_path(folder)}"
    assert (erred.loop, erred.phase) == (1, "train")
    assert re.fullmatch(r"ZeroDivisionError in fakes.py:\d+", erred.error)
    text = log_path(folder).read_text()
    assert f"{planned.id} loop 1 ERROR the worker stops" in text
    assert "ZeroDivisionError: a bug" in text
    assert not (folder / "error.json").exists(), "the driver says whether it is tried again"
    with pytest.raises(GaveUpError):
        first.step()
    assert second.step()["erred"] == erred, "the same error is known by it; the folder is free"


def test_a_second_worker_waits_and_gives_up(
    run: Path, plan: Plan, monkeypatch: pytest.MonkeyPatch
) -> None:
    (planned,) = plan.trajectories
    first, waits = worker(run, planned), []
    first.step()
    monkeypatch.setattr(folder_at_work.time, "sleep", waits.append)
    clock = iter([0.0, 59.0, 60.0, 61.0])
    monkeypatch.setattr(folder_at_work.time, "monotonic", lambda: next(clock))
    with pytest.raises(LostError, match=planned.id):
        folder_at_work.lock_folder(trajectory_folder(run, planned.id))
    assert waits == [0.2, 0.2]
    first.cleanup()
    monkeypatch.setattr(folder_at_work.time, "monotonic", lambda: 0.0)
    folder_at_work.lock_folder(trajectory_folder(run, planned.id)).close()


def test_a_worker_knows_only_its_own_trajectory(run: Path, plan_of: MakePlan) -> None:
    plan = plan_of()
    one, other = plan.trajectories[:2]
    both = Assignment(run, TableWork(run), {p.id: p.config for p in (one, other)})
    made = TrajectoryTrainable.__new__(TrajectoryTrainable)
    made.setup({"trajectory": other.id}, both)
    dice = table_record(other.config, 0).mean_dice or 0.0
    assert made.step()["mean_dice"] == dice
    assert not trajectory_folder(run, one.id).exists()
    assert replace(both, run=run) == both


def test_every_line_of_the_log_says_which_loop_it_is_of(tmp_path: Path) -> None:
    beat = LoggedHeartbeat("name-s0", tmp_path)
    log = logging.getLogger("alsweep.anything")
    assert not log_path(tmp_path).exists()
    log.info("before")
    beat(Progress(4, "train", 1, 2))
    log.info("after")
    log.debug("not told")
    first, second = log_path(tmp_path).read_text().splitlines()
    assert first.endswith("name-s0 loop 0 INFO before")
    assert second.endswith("name-s0 loop 4 INFO after")
