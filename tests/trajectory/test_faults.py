import multiprocessing
import os
import signal
import time
from pathlib import Path

import pytest

from alsweep import Dataset, Trajectory
from alsweep.data.label_store import PartialLabels
from alsweep.errors import DiskFullError
from alsweep.model.checkpoint import ModelStore
from alsweep.results.loops import LoopRecord
from alsweep.trajectory.query_log import QueryLog
from alsweep.trajectory.steps import Steps
from tests.small_disk import fill, small_disk
from tests.trajectory.conftest import log_bytes, make_config, untimed

STEPS = [
    (QueryLog, "claim"),
    (QueryLog, "commit"),
    (ModelStore, "publish"),
    (Steps, "train"),
    (Steps, "evaluate"),
    (Steps, "query"),
    (LoopRecord, "write"),
    (PartialLabels, "write_zarr"),
]


class Killed(BaseException):
    """Stands for a crash: nothing in the product may catch it."""


@pytest.fixture(scope="module")
def unbroken(phantom, tmp_path_factory) -> Trajectory:
    folder = tmp_path_factory.mktemp("unbroken")
    trajectory = Trajectory(make_config(phantom), folder / "t", dataset=phantom)
    trajectory.run()
    return trajectory


def crash(monkeypatch, owner, name, call: int, when: str) -> None:
    """Let the given call of a method crash, before or after its work."""
    original = getattr(owner, name)
    calls = [0]

    def crashing(*args, **kwargs):
        calls[0] += 1
        if when == "before" and calls[0] == call:
            raise Killed
        result = original(*args, **kwargs)
        if when == "after" and calls[0] == call:
            raise Killed
        return result

    monkeypatch.setattr(owner, name, crashing)


@pytest.mark.parametrize(("call", "when"), [(1, "before"), (2, "after")])
@pytest.mark.parametrize(
    ("owner", "name"), STEPS, ids=lambda value: getattr(value, "__name__", value)
)
def test_a_crash_between_any_two_steps_changes_nothing(
    unbroken, phantom, tmp_path, monkeypatch, owner, name, call, when
):
    broken = Trajectory(make_config(phantom), tmp_path / "t", dataset=phantom)
    with monkeypatch.context() as patched:
        crash(patched, owner, name, call, when)
        with pytest.raises(Killed):
            broken.run()
    resumed = Trajectory(make_config(phantom), tmp_path / "t", dataset=phantom)
    resumed.run()
    assert log_bytes(tmp_path / "t") == log_bytes(unbroken._folder)
    assert untimed(resumed.records) == untimed(unbroken.records)
    assert not list(tmp_path.rglob("*.tmp"))


@pytest.mark.parametrize(
    ("owner", "name"),
    [step for step in STEPS if step[1] in ("commit", "publish", "write", "write_zarr")],
    ids=lambda value: getattr(value, "__name__", value),
)
def test_a_disk_that_fills_at_any_step_is_told_and_costs_nothing(
    unbroken, phantom, tmp_path, monkeypatch, owner, name
):
    original = getattr(owner, name)

    def on_a_full_disk(*args, **kwargs):
        fill(tmp_path / "disk")
        return original(*args, **kwargs)

    with small_disk(tmp_path / "disk", 40) as disk:
        broken = Trajectory(make_config(phantom), disk / "t", dataset=phantom)
        with monkeypatch.context() as patched:
            patched.setattr(owner, name, on_a_full_disk)
            with pytest.raises(DiskFullError, match=f"the disk {disk} is full"):
                broken.run()
            broken._viewer.shutdown()
        (disk / "filler").unlink()
        resumed = Trajectory(make_config(phantom), disk / "t", dataset=phantom)
        resumed.run()
        assert log_bytes(disk / "t") == log_bytes(unbroken._folder)
        assert untimed(resumed.records) == untimed(unbroken.records)
        assert not list(disk.rglob("*.tmp"))


def _run(dataset: Path, folder: Path) -> None:
    opened = Dataset.open(dataset)
    Trajectory(make_config(opened), folder, dataset=opened).run()


def test_a_killed_process_goes_on_where_its_query_log_ends(unbroken, phantom, tmp_path):
    spawn = multiprocessing.get_context("spawn")
    folder = tmp_path / "t"
    for waits_for in ("loop_000.json", "loop_001.json", "loop_002.json"):
        process = spawn.Process(target=_run, args=(phantom.path, folder))
        process.start()
        deadline = time.monotonic() + 60
        while not (folder / "queries" / waits_for).exists() and time.monotonic() < deadline:
            time.sleep(0.01)
        os.kill(process.pid, signal.SIGKILL)
        process.join()
    resumed = Trajectory(make_config(phantom), folder, dataset=phantom)
    resumed.run()
    assert log_bytes(folder) == log_bytes(unbroken._folder)
    assert untimed(resumed.records) == untimed(unbroken.records)
