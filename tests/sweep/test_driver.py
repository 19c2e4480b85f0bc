"""Whole sweeps on a real Ray, with table-lookup trajectories, and what kills them."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import psutil
import pytest

from alsweep.cli.main import _exit_code
from alsweep.data.case import Dataset
from alsweep.layout import trajectory_folder
from alsweep.results.load import load_results
from alsweep.results.mishaps import Counts, read_mishaps
from alsweep.sweep.plan import Plan
from alsweep.sweep.run_folder import driver_lock, write_space
from alsweep.sweep.space_file import to_yaml
from tests.faults.campaign import Kill, Sweep
from tests.small_disk import fill, small_disk
from tests.sweep.conftest import MakePlan, sweep_of
from tests.sweep.fakes import BUG, ERROR, FULL, HANG, KILL, LATE, plant_fault
from tests.tracking.wandb_files import read_offline_run

pytestmark = pytest.mark.ray

REPOSITORY = Path(__file__).parents[2]
SECONDS = 120
TIMES = ["train_seconds", "evaluate_seconds", "query_seconds"]


class Driver:
    """Alsweep processes over one run folder and one sweep: two strategies, one seed."""

    def __init__(self, dataset: Dataset, folder: Path) -> None:
        self.run, self.space = folder / "run", folder / "tiny.yaml"
        self.space.write_text(to_yaml(sweep_of(dataset, seeds=[0])))
        self._processes: list[subprocess.Popen[str]] = []

    def start(
        self, *verb: str, seconds: float = 0.0, more: Mapping[str, str] | None = None
    ) -> subprocess.Popen[str]:
        command = [sys.executable, "-m", "tests.sweep.fake_alsweep", str(seconds), *verb]
        path = f"{REPOSITORY}{os.pathsep}{os.environ.get('PYTHONPATH', '')}"
        process = subprocess.Popen(
            command,
            cwd=REPOSITORY,
            # Ray's workers are nice by 15: on a busy machine nothing would begin for minutes.
            env={
                **without_wandb_mode(),
                **(more or {}),
                **{"PYTHONPATH": path, "RAY_worker_niceness": "0"},
            },
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        self._processes.append(process)
        return process

    def start_run(self, *options: str, seconds: float = 0.0) -> subprocess.Popen[str]:
        return self.start("run", str(self.space), "--out", str(self.run), *options, seconds=seconds)

    def finish(
        self, process: subprocess.Popen[str], seconds: float = SECONDS
    ) -> tuple[int, str, str]:
        out, err = process.communicate(timeout=seconds)
        return process.returncode, out, err

    def complete(self, *options: str) -> tuple[int, str, str]:
        return self.finish(self.start_run(*options))

    def resume(self) -> tuple[int, str, str]:
        return self.finish(self.start("resume", str(self.run)))

    def stop_all(self) -> None:
        for process in self._processes:
            if process.poll() is None:
                process.kill()
                process.communicate()


@pytest.fixture
def driver(dataset: Dataset, tmp_path: Path) -> Iterator[Driver]:
    made = Driver(dataset, tmp_path)
    yield made
    made.stop_all()


def without_wandb_mode() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if name != "WANDB_MODE"}


def wait_for(
    condition: Callable[[], bool],
    seconds: float = SECONDS,
    of: subprocess.Popen[str] | None = None,
) -> None:
    """Wait; in vain at once where the process of which something is expected has died."""
    end = time.monotonic() + seconds
    while not condition():
        if of is not None and of.poll() is not None and not condition():
            raise AssertionError(f"it ended with {of.returncode}: {of.communicate()[1]}")
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.05)


def records_of(run: Path) -> list[Path]:
    return list(run.glob("trajectories/*/records/*.json"))


def queries_of(run: Path) -> dict[str, bytes]:
    files = run.glob("trajectories/*/queries/*.json")
    return {str(path.relative_to(run)): path.read_bytes() for path in files}


def assert_equal_runs(run: Path, unbroken: Path) -> None:
    assert queries_of(run) == queries_of(unbroken)
    table, expected = (load_results(path).drop(columns=TIMES) for path in (run, unbroken))
    assert table.equals(expected)


@pytest.fixture(scope="module")
def unbroken(dataset: Dataset, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A sweep that nobody disturbed."""
    made = Driver(dataset, tmp_path_factory.mktemp("unbroken"))
    code, out, err = made.complete()
    assert code == 0, err
    assert "report: " in out
    assert err.count("Dice") == 6
    return made.run


@pytest.fixture
def plan(plan_of: MakePlan) -> Plan:
    return plan_of(seeds=[0])


def begin(driver: Driver, plan: Plan) -> None:
    """Make a folder with planted faults a run that has done nothing yet."""
    write_space(driver.run, plan)


def test_waiting_for_what_has_died_ends_at_once_with_its_last_words(driver: Driver) -> None:
    process = driver.start("resume", str(driver.run))
    with pytest.raises(AssertionError, match=r"it ended with 2: alsweep: error: .*no sweep\.yaml"):
        wait_for(lambda: False, of=process)


def test_a_sweep_makes_everything_once(unbroken: Path, plan: Plan) -> None:
    table = load_results(unbroken)
    assert len(table) == 6
    assert set(table["status"]) == {"done"}
    assert list(dict.fromkeys(table["trajectory"])) == list(plan.ids)
    assert (unbroken / "models" / "start-s0").read_text() == "prepared\n"
    assert (unbroken / "report" / "index.html").exists()
    assert not (unbroken / ".tune").exists()
    assert not (unbroken / ".starts").exists()


@pytest.mark.slow
def test_workers_are_used_again_and_none_after_a_failure(
    driver: Driver, plan_of: MakePlan, unbroken: Path
) -> None:
    plan = plan_of(seeds=[3, 2, 1, 0])
    driver.space.write_text(to_yaml(plan.sweep))
    begin(driver, plan)
    folders = [trajectory_folder(driver.run, id_) for id_ in plan.ids]
    for folder, kind, loop in zip(folders, (ERROR, LATE, KILL), (1, 2, 1), strict=False):
        plant_fault(folder, kind, loop)
    code, _, err = driver.complete()
    assert code == 3, err
    # What died after its last loop had nothing left to do, and cost the next one nothing.
    assert [line for line in err.splitlines() if line.startswith("failed")] == [
        f"failed: {plan.ids[0]}: the pool is empty; lower query.patches"
    ]
    pids = [(folder / "pids").read_text().split() for folder in folders]
    # A loop each, and the one again in which a worker was killed.
    assert [len(each) for each in pids] == [2, 3, 4, *[3] * 5]
    assert not any(pids[0][0] in each for each in pids[1:]), "used again after a failure"
    assert len({each[-1] for each in pids[3:]}) < 5, "none was used again"
    starts = (driver.run / "start-pids").read_text().split()
    assert len(set(starts)) < len(starts) == 4, "no start was made by a worker that had made one"
    alone = queries_of(unbroken)
    assert alone.items() <= queries_of(driver.run).items()


def test_a_fault_costs_what_it_hits_and_a_new_run_tries_again_what_failed(
    driver: Driver, unbroken: Path, plan: Plan, plan_of: MakePlan
) -> None:
    # Of three seeds the first goes on within the run, the second has no start, the third fails.
    (killed, mended), (failing, buggy) = plan.ids, plan_of(seeds=[2]).ids
    plant_fault(trajectory_folder(driver.run, killed), KILL, loop=1)
    plant_fault(trajectory_folder(driver.run, mended), BUG, loop=2)
    plant_fault(driver.run / "start-s1", BUG, loop=0, times=2)
    plant_fault(trajectory_folder(driver.run, failing), ERROR, loop=1)
    plant_fault(trajectory_folder(driver.run, buggy), BUG, loop=2, times=2)
    begin(driver, plan)
    code, _, err = driver.complete("--set", "seeds=[0,1,2]")
    assert code == 3, err
    assert "4 of 6 trajectories failed" in err.splitlines()[-1]
    assert "Traceback" not in err
    assert f"warning: {killed}: the worker died (killed or crashed" in err
    assert f"warning: {mended}: ZeroDivisionError: a bug; the traceback is in" in err
    told = [(one.kind, one.name, one.loop) for one in read_mishaps(driver.run)]
    assert told.count(("lost", killed, 1)) == told.count(("error", mended, 2)) == 1
    assert told.count(("error", buggy, 2)) == 2
    assert Counts.of(read_mishaps(driver.run)) == Counts(lost=1, errors=5)
    told_of_mended = (trajectory_folder(driver.run, mended) / "log.txt").read_text()
    assert told_of_mended.endswith("ZeroDivisionError: a bug\n")
    log = driver.run / "log.txt"
    assert f" and 1 more: ZeroDivisionError: a bug; the traceback is in {log}" in err
    assert "in fault" in log.read_text()
    error = json.loads((trajectory_folder(driver.run, failing) / "error.json").read_text())
    assert error == {"error": "the pool is empty; lower query.patches", "loop": 1}
    erred = json.loads((trajectory_folder(driver.run, buggy) / "error.json").read_text())
    assert erred["loop"] == 2
    assert erred["error"].startswith("ZeroDivisionError: a bug; the traceback is in")
    table = load_results(driver.run)
    assert table.groupby("seed")["status"].agg(set).to_dict() == {0: {"done"}, 2: {"failed"}}
    assert driver.resume()[0] == 0
    table, expected = (load_results(run).drop(columns=TIMES) for run in (driver.run, unbroken))
    assert set(table["status"]) == {"done"}
    assert table.groupby("seed").size().to_dict() == {0: 6, 1: 6, 2: 6}
    first = table[table["seed"] == 0].reset_index(drop=True)
    assert first.equals(expected)
    assert queries_of(unbroken).items() <= queries_of(driver.run).items()
    assert not list(driver.run.glob("trajectories/*/error.json"))


def test_a_full_disk_is_one_line_without_another_try_and_costs_nothing(
    dataset: Dataset, tmp_path: Path, unbroken: Path, plan: Plan
) -> None:
    with small_disk(tmp_path / "disk", 48) as disk:
        driver = Driver(dataset, disk)
        filling = trajectory_folder(driver.run, plan.ids[0])
        plant_fault(filling, FULL, loop=1)
        begin(driver, plan)
        code, out, err = driver.complete()
        assert code == 1
        assert out == ""
        told = [line for line in err.splitlines() if line.startswith("alsweep: error: ")]
        assert len(told) == 1
        assert err.splitlines()[-1] == told[0]
        assert f"the disk {disk} is full" in told[0]
        assert "free space on it, choose an --out on another disk" in told[0]
        assert "it is tried again" not in err
        assert "Traceback" not in err
        (filling / "filler").unlink()
        assert driver.resume()[0] == 0
        assert_equal_runs(driver.run, unbroken)


def test_a_disk_too_small_to_begin_is_refused_and_one_that_may_fill_is_warned_of(
    dataset: Dataset, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with small_disk(tmp_path / "disk", 24) as disk:
        driver = Driver(dataset, disk)
        words = ["run", str(driver.space), "--out", str(driver.run)]
        assert _exit_code([*words, "--dry-run"], debug=False) == 0
        err = capsys.readouterr().err
        assert f"warning: disk {disk}: at most" in err
        assert "but only 24 MiB free; free space on it" in err
        fill(disk, left=10 << 20)
        assert _exit_code(words, debug=False) == 1
        out, err = capsys.readouterr()
        assert out == ""
        assert f"the disk {disk} is full, with 10 MiB of 24 MiB free" in err
        assert not (driver.run / "trajectories").exists()


SIX = (
    Kill("worker", "start", 0.2),
    Kill("raylet", "write", 0.0),
    Kill("worker", "write", 0.0),
    Kill("driver", "write", 0.0),
    Kill("worker", "write", 0.3),
    Kill("worker", "write", 0.0),
)


def test_six_kills_change_nothing_and_leave_nothing(driver: Driver, unbroken: Path) -> None:
    sweep, killed = Sweep("table", driver.space, driver.run), list[str]()
    try:
        sweep.killed(iter(SIX), lambda kill, victim: killed.append(victim))
    finally:
        sweep.stop()
    assert len(killed) == 6
    assert_equal_runs(driver.run, unbroken)


@pytest.mark.slow
@pytest.mark.parametrize("records", [0, 3])
def test_after_kill_9_of_the_driver_resume_ends_with_the_same_results(
    driver: Driver, unbroken: Path, records: int
) -> None:
    process = driver.start_run(seconds=0.3)
    wait_for(
        lambda: (driver.run / "sweep.yaml").exists() and len(records_of(driver.run)) >= records,
        of=process,
    )
    process.kill()
    process.communicate(timeout=SECONDS)
    code, _, err = driver.resume()
    assert code == 0, err
    assert_equal_runs(driver.run, unbroken)


@pytest.mark.slow
@pytest.mark.timeout(1200)  # three workers begin one after the other, on a machine that may be busy
def test_what_is_stuck_is_ended_and_made_again(driver: Driver, unbroken: Path, plan: Plan) -> None:
    hanging = trajectory_folder(driver.run, plan.ids[0])
    plant_fault(hanging, HANG, loop=1)
    begin(driver, plan)
    process = driver.start_run("--set", "resources.stuck_minutes=0.05")
    code, _, err = driver.finish(process, seconds=900)
    assert code == 0, err
    assert f"warning: {plan.ids[0]}: no sign of life for 0.05 min (resources.stuck_minutes)" in err
    assert "Timeout (0:00:03)!" in (hanging / "log.txt").read_text()
    assert_equal_runs(driver.run, unbroken)


def alive(process: psutil.Process) -> bool:
    try:
        return process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


@pytest.mark.parametrize(
    "stop",
    [
        signal.SIGINT,
        pytest.param(signal.SIGTERM, marks=pytest.mark.slow),
        pytest.param(signal.SIGHUP, marks=pytest.mark.slow),
    ],
)
def test_an_interrupt_is_tidy_and_says_how_to_go_on(
    driver: Driver, unbroken: Path, stop: signal.Signals
) -> None:
    process = driver.start_run("--set", "wandb.mode=offline", seconds=0.5)
    wait_for(lambda: len(records_of(driver.run)) >= 2, of=process)
    family = psutil.Process(process.pid).children(recursive=True)
    assert any("ray::" in child.name() for child in family)
    os.killpg(process.pid, stop)  # as a terminal does
    began = time.monotonic()
    code, _, err = driver.finish(process)
    assert code == 130
    assert time.monotonic() - began < 20
    assert err.splitlines()[-1].endswith(f"Go on with: alsweep resume {driver.run}")
    wait_for(lambda: not any(alive(child) for child in family), seconds=10)
    assert driver.resume()[0] == 0
    assert_equal_runs(driver.run, unbroken)
    folders = list((driver.run / "wandb").glob("offline-run-*"))
    mirrored = {run.name: run.steps for run in map(read_offline_run, folders)}
    assert len(folders) == 2
    assert mirrored == {id_: [0, 1, 2] for id_ in load_results(unbroken)["trajectory"]}


def test_a_disabled_tracker_leaves_no_trace(unbroken: Path) -> None:
    assert not (unbroken / "wandb").exists()


def test_a_second_driver_gets_one_clear_line(driver: Driver) -> None:
    with driver_lock(driver.run):
        code, out, err = driver.complete()
    assert code == 2
    assert f"{driver.run}: another alsweep (process {os.getpid()}" in err.splitlines()[-1]
    assert out == ""


@pytest.mark.slow
def test_what_is_done_is_not_done_again_and_a_sweep_can_be_extended(
    driver: Driver, unbroken: Path
) -> None:
    assert driver.complete()[0] == 0
    before = {path: path.stat().st_mtime_ns for path in records_of(driver.run)}
    code, out, _ = driver.complete()
    assert code == 0
    assert "report: " in out
    code, _, err = driver.complete("--set", "seeds=[0,1]")
    assert code == 0
    assert err.count("Dice") == 6
    assert {path: path.stat().st_mtime_ns for path in before} == before
    table = load_results(driver.run)
    assert sorted(table["seed"].unique()) == [0, 1]
    assert len(table) == 12


@pytest.mark.slow
def test_more_cpus_than_there_are_is_refused_instead_of_waiting(driver: Driver) -> None:
    code, _, err = driver.complete("--set", "resources.cpus=4096")
    assert code == 2
    assert "resources.cpus: a worker needs 4096, but Ray has" in err.splitlines()[-1]


@pytest.mark.parametrize("higher", [False, pytest.param(True, marks=pytest.mark.slow)])
def test_a_cap_ends_it_tidily_and_a_higher_one_goes_on(
    driver: Driver, unbroken: Path, higher: bool
) -> None:
    told = driver.run.parent / "events"
    hears = f"on_event=['sh', '-c', 'cat >> {told}']"
    # A loop of the table takes 1.75 s, and each of two workers is in one.
    code, out, err = driver.complete("--set", f"caps.gpu_hours={1.7 / 3600}", "--set", hears)
    assert code == 0, err
    *_, mend, last = err.splitlines()
    assert last == "stopped at caps.gpu_hours: 2 trajectories left"
    space = driver.run / "sweep.yaml"
    assert mend.endswith(f"alsweep run {space} --out {driver.run} --set caps.gpu_hours=...")
    assert "report: " in out
    assert 1 <= len(records_of(driver.run)) <= 3
    assert not list(driver.run.glob("trajectories/*/error.json"))
    assert set(load_results(driver.run)["status"]) == {"running"}
    # At once, and without Ray.
    assert driver.resume()[2].splitlines()[-1] == last
    if higher:
        command = ("run", str(space), "--out", str(driver.run), "--set", "caps.gpu_hours=1")
        assert driver.finish(driver.start(*command))[0] == 0
        assert_equal_runs(driver.run, unbroken)
    events = [json.loads(line) for line in told.read_text().splitlines()]
    named = [one["event"] for one in events if one["event"] != "cap_near"]
    assert named == ["cap_reached", "cap_reached", *(["all_done"] if higher else [])]
    counts = (events[-1]["done"], events[-1]["failed"], events[-1]["left"])
    assert counts == ((2, 0, 0) if higher else (0, 0, 2))
