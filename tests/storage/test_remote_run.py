"""A run in a store: made by workers on any node, stopped anywhere, and the same as on a disk."""

import os
import pickle
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from alsweep.config.sweep import ResourcesConfig
from alsweep.data.case import Dataset
from alsweep.data.phantom import write_phantom
from alsweep.data.remote import upload
from alsweep.layout import log_path, trajectory_folder
from alsweep.results.noise import noise_trainings
from alsweep.results.records import read_records
from alsweep.storage.lease import leased
from alsweep.storage.mirror import bring, mirror_at
from alsweep.storage.patience import SECONDS as SECONDS_OF_PATIENCE
from alsweep.storage.rooms import to_train_in, to_work_in
from alsweep.sweep.noise import missing_repeats, repeats
from alsweep.sweep.plan import Plan, make_plan
from alsweep.sweep.remote import WorkerStopsError, elsewhere
from alsweep.sweep.run_folder import write_space
from alsweep.sweep.space_file import to_yaml
from alsweep.sweep.work import Training, Work
from alsweep.trajectory.runner import Trajectory
from tests.storage.conftest import SECRET, Line, keys_of, variables
from tests.sweep.conftest import sweep_of
from tests.sweep.fakes import TableWork
from tests.trajectory.conftest import TINY_TRAINING, log_bytes, untimed

REPOSITORY = Path(__file__).parents[2]
SECONDS = 200
TWO_LOOPS = {
    "training": TINY_TRAINING,
    "query": {"patches": 6, "loops": 2, "patch_size": [8, 8, 8]},
}


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    return write_phantom(tmp_path_factory.mktemp("d") / "d", cases=4, shape=(24, 24, 24))


def plan_on(dataset: Dataset, **changes: Any) -> Plan:
    sweep = sweep_of(dataset, seeds=[0], grid={"strategy": ["random"]}, **changes)
    return make_plan(sweep, dataset)


def work_on(run: Path, plan: Plan, work: Work) -> Callable[[], None]:
    """What a worker does with the first trajectory, until it is finished."""
    config, id_ = plan.trajectories[0].config, plan.ids[0]

    def do() -> None:
        folder = trajectory_folder(run, id_)
        stepper = work.trajectory(config, folder, lambda progress: None)
        while not stepper.finished:
            stepper.step()
        stepper.close()

    return do


def told(there: dict[str, bytes], plan: Plan) -> dict[str, bytes]:
    """Config, queries and records of the first trajectory."""
    start = f"trajectories/{plan.ids[0]}/"
    return {k: v for k, v in there.items() if k.startswith(start) and k.endswith(".json")}


def test_a_worker_that_is_lost_at_any_write_is_followed_by_one_on_another_node(
    dataset, prefix, line: Line, s3, tmp_path, monkeypatch
):
    """At each write in turn, before it is done and after."""
    plan = plan_on(dataset, base=TWO_LOOPS)
    calm = tmp_path / "calm"
    work_on(calm, plan, TableWork(calm))()
    folder = trajectory_folder(calm, plan.ids[0])
    expected = {p.relative_to(calm).as_posix(): p.read_bytes() for p in folder.rglob("*.json")}
    lost = 0
    for number in range(100):
        for done in (False, True):
            place = f"{prefix}/{number}-{done}"
            with to_work_in(Path(place)) as run, leased(run):
                work = elsewhere(TableWork(run), run, plan)
                puts = iter(range(1000))

                def disturb(method: str, path: str, puts=puts, number=number, done=done):
                    counts = method == "PUT" and not path.endswith(("lock", "progress.json"))
                    if not counts or next(puts) != number:
                        return None
                    return "gone" if done else 503

                monkeypatch.setenv("ALSWEEP_STORE_SECONDS", "0")
                line.disturb = disturb
                try:
                    work_on(run, plan, work)()
                    was_lost = False
                except WorkerStopsError:
                    was_lost = True
                line.disturb = lambda *_: None
                lost += was_lost
                # Another node has another cache.
                monkeypatch.setenv("ALSWEEP_CACHE", str(tmp_path / f"node-{number}-{done}"))
                if was_lost:
                    work_on(run, plan, work)()
            found = told(keys_of(s3, place), plan)
            found.pop(f"trajectories/{plan.ids[0]}/progress.json", None)
            assert found == expected, (number, done)
        if not was_lost:
            break
    assert lost >= 2 * 5  # config, two queries, two records


def test_real_trajectories_are_those_of_a_disk(dataset, prefix, s3, tmp_path):
    there = upload(dataset.path, Path(f"{prefix}/data"))
    assert there.fingerprint == dataset.fingerprint
    plan, local = plan_on(there, base=TWO_LOOPS), plan_on(dataset, base=TWO_LOOPS)
    assert plan.ids == local.ids
    assert str(plan.trajectories[0].config.plain()["dataset"]) == f"{prefix}/data"
    calm = Trajectory(local.trajectories[0].config, tmp_path / "calm")
    calm.run()
    with to_work_in(Path(f"{prefix}/run")) as run, leased(run):
        write_space(run, plan)
        work = elsewhere(Training(run, ResourcesConfig()), run, plan)
        log = log_path(trajectory_folder(run, plan.ids[0]))
        log.parent.mkdir(parents=True)
        log.write_text("what a worker said")
        work_on(run, plan, work)()
        asked = mirror_at(to_train_in(f"{prefix}/run", 1)).store.traffic.requests
    found = keys_of(s3, f"{prefix}/run")
    id_ = plan.ids[0]
    # As docs/scale.md has it, with one sign of life.
    loops, members = 2, TINY_TRAINING["members"]
    views = sum("labels.zarr/" in key for key in found)
    assert asked["PUT"] == loops * (2 * members + 4) + 2 + views + 1
    assert asked["GET"] + asked["HEAD"] == loops * (3 * members + 3) + 2
    assert (
        views
        == 3 * len({key.split("/")[3] for key in found if "labels.zarr/" in key} - {"zarr.json"})
        + 1
    )
    with to_work_in(Path(f"{prefix}/run")) as run:
        folder = trajectory_folder(run, id_)
        assert log_bytes(folder) == log_bytes(tmp_path / "calm")
        assert untimed(read_records(folder)) == untimed(calm.records)
    members = {key for record in calm.records for key in record.members}
    assert {f"models/{key}/weights.pt" for key in members} <= found.keys()
    for key in members:
        assert (
            found[f"models/{key}/weights.pt"]
            == (tmp_path / "calm" / "models" / key / "weights.pt").read_bytes()
        )
    shown = {k.partition("labels.zarr/")[2]: v for k, v in found.items() if "labels.zarr/" in k}
    own = tmp_path / "calm" / "labels.zarr"
    assert shown == {
        p.relative_to(own).as_posix(): p.read_bytes() for p in own.rglob("*") if p.is_file()
    }


def test_a_worker_whose_driver_was_replaced_stops_and_fails_nothing(dataset, prefix, s3):
    plan = plan_on(dataset)
    with to_work_in(Path(prefix)) as run, leased(run):
        write_space(run, plan)
        old = elsewhere(TableWork(run), run, plan)
        stepper = old.trajectory(
            plan.trajectories[0].config, trajectory_folder(run, plan.ids[0]), lambda progress: None
        )
        stepper.step()
    before = told(keys_of(s3, prefix), plan)
    with to_work_in(Path(prefix)) as run, leased(run):
        with pytest.raises(WorkerStopsError, match="has taken the run over"):
            stepper.step()
        assert told(keys_of(s3, prefix), plan) == before
        work_on(run, plan, elsewhere(TableWork(run), run, plan))()
    assert len(told(keys_of(s3, prefix), plan)) > len(before)


def test_workers_of_a_run_on_a_disk_reach_its_dataset_by_what_comes_with_their_work(
    dataset, prefix, endpoint, tmp_path, monkeypatch
):
    run = tmp_path / "run"
    local = TableWork(run)
    assert elsewhere(local, run, plan_on(dataset)) is local
    plan = plan_on(upload(dataset.path, Path(prefix)))
    work = pickle.loads(pickle.dumps(elsewhere(local, run, plan)))
    assert SECRET not in repr(work)
    for name in variables(endpoint, tmp_path):
        monkeypatch.delenv(name)
    monkeypatch.delenv(SECONDS_OF_PATIENCE, raising=False)
    monkeypatch.setenv("ALSWEEP_CACHE", str(tmp_path / "cache of that node"))
    work_on(run, plan, work)()
    assert os.environ["AWS_SECRET_ACCESS_KEY"] == SECRET
    assert Dataset.open(prefix).image("phantom_000").shape == (1, 24, 24, 24)
    assert len(log_bytes(trajectory_folder(run, plan.ids[0]))) == 3
    monkeypatch.delenv(SECONDS_OF_PATIENCE)


def test_starts_that_are_trained_again_come_to_the_driver(dataset, prefix, s3, tmp_path):
    plan = plan_on(upload(dataset.path, Path(f"{prefix}/data")))
    here = tmp_path / "here"
    kept: dict[str, bytes] = {}
    with to_work_in(Path(f"{prefix}/run")) as run, leased(run):
        write_space(run, plan)
        work = elsewhere(TableWork(run), run, plan)
        for one in repeats(plan, 2):
            one.task(work)(lambda progress: None)
            assert not one.record(run).exists(), "it was made in another folder of this node"
            bring(run, one.record(run))
            kept[f"noise/{one.record(run).name}"] = one.record(run).read_bytes()
        assert {key for key in keys_of(s3, f"{prefix}/run") if key.startswith("noise/")} == set(
            kept
        )
        assert missing_repeats(run, plan, 2) == []
    calm = plan_on(dataset)
    for one in repeats(calm, 2):
        one.task(TableWork(here))(lambda progress: None)
        assert kept[f"noise/{one.record(here).name}"] == one.record(here).read_bytes()
    with to_work_in(Path(f"{prefix}/run")) as run:
        assert len(noise_trainings([run])) == 2, "a reader has them, too"


class Driver:
    """Alsweep processes over one run in the store, with numbers from a table."""

    def __init__(self, dataset: Dataset, place: str, endpoint: str, folder: Path) -> None:
        self.place, self.space = place, folder / "tiny.yaml"
        self.space.write_text(to_yaml(sweep_of(dataset, seeds=[0])))
        self._environment = (
            os.environ
            | variables(endpoint, folder)
            | {
                "RAY_worker_niceness": "0",
                "RAY_TMPDIR": str(folder),
                "PYTHONPATH": f"{REPOSITORY}{os.pathsep}{os.environ.get('PYTHONPATH', '')}",
            }
        )
        self.processes: list[subprocess.Popen[str]] = []

    def start(self, *verb: str, seconds: float = 0.0) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [sys.executable, "-m", "tests.sweep.fake_alsweep", str(seconds), *verb],
            cwd=REPOSITORY,
            env=self._environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        self.processes.append(process)
        return process


@pytest.fixture
def driver(dataset, prefix, endpoint) -> Iterator[Driver]:
    with tempfile.TemporaryDirectory(dir="/tmp", prefix="als-") as folder:  # short, for sockets
        driver = Driver(dataset, prefix, endpoint, Path(folder))
        yield driver
        for process in driver.processes:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
            process.communicate()


@pytest.mark.ray
def test_a_run_whose_driver_and_worker_were_killed_ends_as_a_calm_one(
    driver: Driver, dataset, prefix, s3, tmp_path
):
    first = driver.start("run", str(driver.space), "--out", prefix, seconds=2.0)
    until = time.monotonic() + SECONDS
    while not any("records/loop_000" in key for key in keys_of(s3, prefix)):
        assert time.monotonic() < until
        assert first.poll() is None, first.communicate()
        time.sleep(0.2)
    for one in psutil.Process(first.pid).children(recursive=True):
        if one.name().startswith("ray::") and "Agent" not in one.name():
            one.suspend()  # or all might be done before the second has come so far
    second = driver.start("resume", prefix)
    out, error = second.communicate(timeout=SECONDS)
    assert second.returncode == 2
    assert f"another alsweep (process {first.pid} on" in error.splitlines()[-1]
    os.kill(first.pid, signal.SIGKILL)
    os.killpg(first.pid, signal.SIGKILL)  # its Ray, and the workers in their loops
    first.communicate()
    third = driver.start("resume", prefix)
    out, error = third.communicate(timeout=SECONDS)
    assert third.returncode == 0, error
    assert f"report: {prefix}/report/index.html" in out
    assert "waiting whether it is still at work" not in error
    there = keys_of(s3, prefix)
    plan = make_plan(sweep_of(dataset, seeds=[0]), dataset)
    calm = tmp_path / "calm"
    for planned in plan.trajectories:
        folder = trajectory_folder(calm, planned.id)
        stepper = TableWork(calm).trajectory(planned.config, folder, lambda progress: None)
        while not stepper.finished:
            stepper.step()
        for path in folder.rglob("*.json"):
            assert there[path.relative_to(calm).as_posix()] == path.read_bytes()
    assert {"sweep.yaml", "results.parquet", "report/index.html"} <= there.keys()
    written = [p for p in driver.space.parent.rglob("*") if p.is_file() and not p.is_symlink()]
    assert any("runtime_env_agent" in path.name for path in written)
    for name, content in [*there.items(), *((str(p), p.read_bytes()) for p in written)]:
        assert SECRET.encode() not in content, name
