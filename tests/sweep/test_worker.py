"""Workers without a driver: who does what, and what is left when one is stopped or killed."""

import multiprocessing
import os
import shutil
import signal
import threading
import time
from pathlib import Path

import pytest

from alsweep.errors import ConfigError, DiskFullError, RunFolderError
from alsweep.layout import (
    models_folder,
    results_path,
    trajectories_folder,
    trajectory_folder,
)
from alsweep.results import load_results
from alsweep.results.decisions import append_decisions
from alsweep.results.failure import read_failure
from alsweep.results.mishaps import Counts, read_mishaps
from alsweep.results.records import read_records
from alsweep.sweep import worker as worker_module
from alsweep.sweep.audience import Listener
from alsweep.sweep.claims import Claims
from alsweep.sweep.parting import stopping
from alsweep.sweep.plan import Plan
from alsweep.sweep.retry import Retry
from alsweep.sweep.run_folder import driver_lock
from alsweep.sweep.running import write_plan
from alsweep.sweep.status import read_status
from alsweep.sweep.worker import Shift, run_worker
from tests.sweep.conftest import MakePlan
from tests.sweep.fakes import (
    BUG,
    ERROR,
    FULL,
    HANG,
    KILL,
    MEMORY,
    TableWork,
    plant_fault,
    table_record,
)
from tests.sweep.test_claims import of_another_machine


@pytest.fixture(autouse=True)
def _no_page(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("alsweep.sweep.running.write_report", lambda run: run / "report")


@pytest.fixture
def plan(run: Path, plan_of: MakePlan) -> Plan:
    """Two strategies with two seeds, of three loops each; written down."""
    made = plan_of()
    assert write_plan(made, run, Listener(None)) == 4
    return made


def nobody(id_: str, record: object) -> None:
    """Hear of a loop."""


def work_in(run: Path, **options: object) -> Shift:
    models_folder(run).mkdir(exist_ok=True)
    return run_worker(run, nobody, work=TableWork(run), **options)  # type: ignore[arg-type]


def loops(run: Path, plan: Plan) -> list[int]:
    return [len(read_records(trajectory_folder(run, id_))) for id_ in plan.ids]


def test_a_worker_does_all_that_a_run_would_and_writes_the_results(run: Path, plan: Plan) -> None:
    told: list[tuple[str, int]] = []
    models_folder(run).mkdir()
    shift = run_worker(
        run, lambda id_, record: told.append((id_, record.loop)), work=TableWork(run)
    )
    assert shift == Shift(loops=12, done=4, failed={}, left=0)
    assert sorted(told) == sorted((id_, loop) for id_ in plan.ids for loop in range(3))
    for planned in plan.trajectories:
        records = read_records(trajectory_folder(run, planned.id))
        assert list(records) == [table_record(planned.config, loop) for loop in range(3)]
    # Each start once, though two trajectories share it.
    starts = [path.read_text() for path in models_folder(run).glob("start-*")]
    assert starts == ["prepared\n"] * 2
    assert set(load_results(run)["trajectory"]) == set(plan.ids)
    assert read_status(run).driver is None
    assert work_in(run).loops == 0


def test_so_many_loops_at_most(run: Path, plan: Plan) -> None:
    assert work_in(run, most=4) == Shift(loops=4, done=1, failed={}, left=3)
    assert sorted(loops(run, plan)) == [0, 0, 1, 3]
    assert not results_path(run).exists()
    assert work_in(run) == Shift(loops=8, done=4, failed={}, left=0)


def test_what_fails_is_left_and_the_rest_is_done(run: Path, plan: Plan) -> None:
    bad, buggy = plan.ids[0], plan.ids[1]
    plant_fault(trajectory_folder(run, bad), ERROR, 1)
    plant_fault(trajectory_folder(run, buggy), BUG, 0, times=100)
    shift = work_in(run)
    assert (shift.done, shift.left) == (2, 0)
    assert shift.failed[bad] == "the pool is empty; lower query.patches"
    assert shift.failed[buggy].startswith("ZeroDivisionError: a bug; the traceback is in ")
    log = (trajectory_folder(run, buggy) / "log.txt").read_text()
    assert log.count("\nZeroDivisionError: a bug\n") == plan.sweep.resources.retries + 1
    assert Counts.of(read_mishaps(run)) == Counts(errors=2)
    # Nobody tries again by himself; a plan lets everybody.
    assert work_in(run).loops == 0
    (trajectory_folder(run, buggy) / "fault-0").unlink()
    assert write_plan(plan, run, Listener(None), retry=Retry.none) == 0
    assert write_plan(plan, run, Listener(None)) == 2
    assert work_in(run).done == 4


def test_a_bug_that_does_not_come_again_is_forgotten(run: Path, plan: Plan) -> None:
    plant_fault(trajectory_folder(run, plan.ids[0]), BUG, 1)
    assert work_in(run) == Shift(loops=12, done=4, failed={}, left=0)


def test_without_its_start_nobody_goes_on(run: Path, plan: Plan) -> None:
    plant_fault(run / "start-s0", ERROR, 0)
    shift = work_in(run)
    assert shift.failed.keys() == {p.id for p in plan.trajectories if p.config.seed == 0}
    assert (shift.done, shift.left) == (2, 0)


def test_a_memory_limit_that_is_met_again_fails_a_trajectory_with_its_mend(
    run: Path, plan: Plan
) -> None:
    plant_fault(trajectory_folder(run, plan.ids[0]), MEMORY, 1, times=2)
    plant_fault(trajectory_folder(run, plan.ids[1]), MEMORY, 1)
    shift = work_in(run)
    assert (shift.done, list(shift.failed)) == (3, [plan.ids[0]])
    assert "Unable to allocate 8.00 GiB" in shift.failed[plan.ids[0]]
    assert "memory did not suffice: raise resources.cpus" in shift.failed[plan.ids[0]]


def test_what_is_stuck_ends_its_worker_and_is_told_by_the_next(
    run: Path, plan_of: MakePlan
) -> None:
    plan = plan_of(resources={"stuck_minutes": 0.01})
    write_plan(plan, run, Listener(None))
    models_folder(run).mkdir()
    hanging = trajectory_folder(run, plan.ids[0])
    plant_fault(hanging, HANG, 1)
    process = multiprocessing.get_context("fork").Process(target=beside, args=(run,))
    process.start()
    process.join(60)
    assert process.exitcode == 1
    assert "Timeout (0:00:00.600000)!" in (hanging / "log.txt").read_text()
    assert "in fault" in (hanging / "log.txt").read_text()
    assert work_in(run).done == 4
    (lost,) = read_mishaps(run)
    assert (lost.kind, lost.name, lost.loop, lost.phase) == ("lost", plan.ids[0], 1, "train")


def test_a_start_that_raises_is_tried_again_and_then_fails_who_shares_it(
    run: Path, plan: Plan
) -> None:
    plant_fault(run / "start-s0", BUG, 0, times=2)
    plant_fault(run / "start-s1", BUG, 0)
    shift = work_in(run)
    assert shift.failed.keys() == {p.id for p in plan.trajectories if p.config.seed == 0}
    assert (shift.done, shift.left) == (2, 0)
    assert Counts.of(read_mishaps(run)) == Counts(errors=3)
    for error in shift.failed.values():
        log = Path(error.split("the traceback is in ")[1])
        assert log.parent.parent == trajectories_folder(run)
        assert log.read_text().count("\nZeroDivisionError: a bug\n") == 2


def test_a_copy_of_a_run_at_work_is_worked_on_for_itself(
    run: Path, plan: Plan, monkeypatch: pytest.MonkeyPatch
) -> None:
    models_folder(run).mkdir()
    copy = run.with_name("copy")
    with Claims(run).taken(plan.ids[0]):
        shutil.copytree(run, copy)
        clock = iter(range(0, 10_000_000, 7))
        monkeypatch.setattr(
            worker_module, "Claims", lambda run: Claims(run, clock=lambda: float(next(clock)))
        )
        monkeypatch.setattr(worker_module.time, "sleep", lambda seconds: None)
        assert run_worker(copy, nobody, work=TableWork(copy)).done == 4
    assert work_in(run).done == 4
    assert load_results(copy).equals(load_results(run))


def test_a_full_disk_ends_a_worker(run: Path, plan: Plan, monkeypatch: pytest.MonkeyPatch) -> None:
    plant_fault(trajectory_folder(run, plan.ids[0]), FULL, 0)

    def full(folder: Path) -> None:
        raise DiskFullError(f"{folder}: the disk is full")

    monkeypatch.setattr("tests.sweep.fakes.fill", full)
    with pytest.raises(DiskFullError):
        work_in(run)
    assert read_failure(trajectory_folder(run, plan.ids[0])) is None


def test_what_others_are_at_is_left_to_them(
    run: Path, plan: Plan, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Claims, "seconds_between_looks", 0.01)
    others = of_another_machine(run, plan.ids[0])
    beat = iter(range(1, 10_000))
    monkeypatch.setattr(worker_module.time, "sleep", lambda _: os.utime(others, ns=(0, next(beat))))
    assert work_in(run) == Shift(loops=9, done=3, failed={}, left=1)
    assert not results_path(run).exists()


def test_what_a_dead_machine_held_is_waited_for(
    run: Path, plan: Plan, monkeypatch: pytest.MonkeyPatch
) -> None:
    of_another_machine(run, plan.ids[0])
    clock = iter(range(0, 10_000_000, 7))
    monkeypatch.setattr(
        worker_module, "Claims", lambda run: Claims(run, clock=lambda: float(next(clock)))
    )
    monkeypatch.setattr(worker_module.time, "sleep", lambda seconds: None)
    assert work_in(run) == Shift(loops=12, done=4, failed={}, left=0)


def test_what_was_stopped_stays_so(run: Path, plan: Plan) -> None:
    stopped = plan.trajectories[2]
    append_decisions(run, [stopping(run, stopped, "no use", None, by="race")])
    assert work_in(run) == Shift(loops=9, done=3, failed={}, left=0)
    assert loops(run, plan)[2] == 0


@pytest.mark.parametrize(
    ("changes", "key"),
    [
        ({"schedule": {"kind": "asha"}}, "schedule.kind"),
        (
            {
                "grid": {},
                "search": {
                    "over": {"strategy": ["random", "predictive_entropy"]},
                    "configurations": 2,
                },
            },
            "search",
        ),
    ],
)
def test_what_has_to_be_decided_needs_a_driver(
    run: Path, plan_of: MakePlan, changes: dict[str, object], key: str
) -> None:
    with pytest.raises(ConfigError, match=f"^{key}: decides .* use 'alsweep run'"):
        write_plan(plan_of(**changes), run, Listener(None))
    assert not run.exists()


def test_driver_and_workers_keep_out_of_each_other_s_way(run: Path, plan: Plan) -> None:
    with driver_lock(run), pytest.raises(RunFolderError, match="is at work in it"):
        work_in(run)
    with (
        Claims(run).taken(plan.ids[0]),
        pytest.raises(RunFolderError, match=f"process {os.getpid()} on .* is at work"),
        driver_lock(run),
    ):
        pass
    with driver_lock(run):
        pass


def test_a_cap_holds_for_all_workers_together(run: Path, plan_of: MakePlan) -> None:
    # A loop of the table takes 1.75 s.
    write_plan(plan_of(caps={"gpu_hours": 5.0 / 3600}), run, Listener(None))
    shift = work_in(run)
    assert (shift.loops, shift.capped) == (3, "caps.gpu_hours")
    assert work_in(run).loops == 0


def test_more_cpus_than_a_process_has_are_refused(run: Path, plan_of: MakePlan) -> None:
    write_plan(plan_of(resources={"cpus": 4096}), run, Listener(None))
    with pytest.raises(ConfigError, match=r"^resources.cpus: .* --cpus-per-task"):
        work_in(run)


def beside(run: Path) -> None:
    run_worker(run, nobody, work=TableWork(run, seconds=0.02))


@pytest.mark.parametrize("start", [False, True])
def test_what_ends_each_worker_that_comes_to_it_is_left_for_the_end(
    run: Path, plan: Plan, start: bool
) -> None:
    models_folder(run).mkdir()
    loop = 0 if start else 1
    deadly = run / "start-s0" if start else trajectory_folder(run, plan.ids[0])
    plant_fault(deadly, KILL, loop, times=100)
    fork = multiprocessing.get_context("fork")
    for _ in range(3):
        process = fork.Process(target=beside, args=(run,))
        process.start()
        process.join()
        assert process.exitcode == -signal.SIGKILL
    own = [0 if start and p.config.seed == 0 else 3 for p in plan.trajectories]
    assert loops(run, plan) == (own if start else [1, 3, 3, 3])
    name = plan.trajectories[0].start if start else plan.ids[0]
    assert {(one.kind, one.name, one.loop) for one in read_mishaps(run)} == {("lost", name, loop)}


def test_several_processes_share_a_run_though_one_is_killed(run: Path, plan: Plan) -> None:
    models_folder(run).mkdir()
    plant_fault(trajectory_folder(run, plan.ids[1]), KILL, 1)
    fork = multiprocessing.get_context("fork")
    workers = [fork.Process(target=beside, args=(run,)) for _ in range(3)]
    for process in workers:
        process.start()
    for process in workers:
        process.join()
    codes = sorted(process.exitcode or 0 for process in workers)
    assert codes == [-signal.SIGKILL, 0, 0]
    assert loops(run, plan) == [3, 3, 3, 3]
    assert results_path(run).exists()
    (lost,) = read_mishaps(run)
    assert (lost.kind, lost.name, lost.loop, lost.phase) == ("lost", plan.ids[1], 1, "train")
    # Nothing was done twice, but the loop in which one was killed.
    tried = [(trajectory_folder(run, id_) / "pids").read_text().split() for id_ in plan.ids]
    assert [len(pids) for pids in tried] == [3, 4, 3, 3]
    for pids in (tried[0], tried[2], tried[3]):
        assert len(set(pids)) == 1


def test_a_signal_gives_back_what_is_held(run: Path, plan: Plan) -> None:
    def stop_it() -> None:
        while not list(trajectories_folder(run).glob("*/pids")):  # at work, and listening
            time.sleep(0.01)
        os.kill(os.getpid(), signal.SIGUSR1)

    stopping_it = threading.Thread(target=stop_it)
    models_folder(run).mkdir()
    stopping_it.start()
    with pytest.raises(KeyboardInterrupt):
        run_worker(run, nobody, work=TableWork(run, seconds=1.0))
    stopping_it.join()
    began = time.monotonic()
    assert work_in(run) == Shift(loops=12, done=4, failed={}, left=0)
    assert time.monotonic() - began < 30  # and not the minute that a lease takes
