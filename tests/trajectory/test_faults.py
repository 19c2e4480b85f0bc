import multiprocessing
import os
import signal
import time
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest
import torch

from alsweep import Dataset, Trajectory
from alsweep.config.sweep import ResourcesConfig
from alsweep.data.label_store import PartialLabels
from alsweep.errors import DiskFullError, StrategyError, TrajectoryFailedError
from alsweep.geometry import Patch, QueriedPatch
from alsweep.model.checkpoint import ModelStore
from alsweep.model.monai_learner import MonaiLearner
from alsweep.query.pool import PoolCase, Request
from alsweep.results.loops import LoopRecord
from alsweep.trajectory import steps
from alsweep.trajectory.answers import checked
from alsweep.trajectory.query_log import QueryLog
from alsweep.trajectory.start import prepare_start
from alsweep.trajectory.steps import Steps
from tests.small_disk import fill, small_disk
from tests.trajectory.conftest import log_bytes, make_config, untimed
from tests.trajectory.killing import in_child

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


PHASES = ("start", "train", "evaluate", "query", "annotate")


def test_a_process_that_is_killed_in_each_phase_changes_nothing(unbroken, phantom, tmp_path):
    folder = tmp_path / "t"

    def die_in(phase: str, loop: int) -> None:
        def die(progress):
            if (progress.phase, progress.loop) == (phase, loop):
                os.kill(os.getpid(), signal.SIGKILL)

        Trajectory(make_config(phantom), folder, dataset=phantom, on_progress=die).run()

    for phase in PHASES:
        loop = 0 if phase == "start" else 1
        assert in_child(partial(die_in, phase, loop)) == -signal.SIGKILL, phase
    resumed = Trajectory(make_config(phantom), folder, dataset=phantom)
    resumed.run()
    assert log_bytes(folder) == log_bytes(unbroken._folder)
    assert untimed(resumed.records) == untimed(unbroken.records)


class Poisoned(MonaiLearner):
    """Its training ends with a weight that is no number, though the loss was one."""

    def fit(self, network, setup, training_data, on_epoch, checkpoint):
        loss = super().fit(network, setup, training_data, on_epoch, checkpoint)
        with torch.no_grad():
            next(network.parameters()).view(-1)[0] = float("nan")
        return loss


def test_a_member_whose_weights_are_no_numbers_is_not_used(phantom, tmp_path, monkeypatch):
    folder = tmp_path / "t"
    with monkeypatch.context() as patched:
        patched.setattr(steps, "make_learner", lambda _: Poisoned())
        with pytest.raises(TrajectoryFailedError, match="member 0: after its training, not all"):
            Trajectory(make_config(phantom), folder, dataset=phantom).run()
    assert not list(folder.glob("models/*/weights.pt"))
    Trajectory(make_config(phantom), folder, dataset=phantom).step()
    (first, *_) = sorted(folder.glob("models/*/weights.pt"))
    weights = torch.load(first, weights_only=True)
    next(iter(weights.values())).view(-1)[0] = float("inf")
    torch.save(weights, first)
    with pytest.raises(TrajectoryFailedError, match=f"as {first.parent} holds it, not all"):
        prepare(folder, phantom)


def prepare(folder: Path, phantom: Dataset) -> None:
    prepare_start(make_config(phantom), phantom, folder / "models", ResourcesConfig())


A = Patch("case_000", (0, 0, 0), (8, 8, 8))


@pytest.mark.parametrize(
    ("answer", "told"),
    [
        (None, "answered None; return a list of QueriedPatch"),
        ([A], "return a list of QueriedPatch"),
        ([QueriedPatch(A)] * 3, "chose 3 patches where 2 were asked for"),
        ([QueriedPatch(A)] * 2, "annotated already, or chosen twice"),
        ([QueriedPatch(replace(A, start=(8, 8, 8)))], "annotated already, or chosen twice"),
        ([QueriedPatch(replace(A, start=(17, 0, 0)))], "does not lie within the case"),
        ([QueriedPatch(replace(A, start=(-1, 0, 0)))], "does not lie within the case"),
        ([QueriedPatch(replace(A, size=(8, 8, 9)))], r"its size has to be \(8, 8, 8\)"),
        ([QueriedPatch(replace(A, start=(0.5, 0, 0)))], "plain ints"),
        ([QueriedPatch(replace(A, case="case_007"))], "not in a case of the pool"),
    ],
)
def test_a_strategy_that_answers_nonsense_is_refused(answer, told):
    case = PoolCase("case_000", (24, 24, 24), (Patch("case_000", (10, 10, 10), (8, 8, 8)),))
    request = Request(2, (8, 8, 8), (1, 1, 1), 0.0, 2, 1, 3)
    with pytest.raises(StrategyError, match=f"^loop 1: the strategy odd .*{told}"):
        checked(answer, [case], request, "odd")
    fine = [QueriedPatch(A, float("nan")), QueriedPatch(replace(A, start=(0, 0, 16)))]
    assert checked(fine, [case], request, "odd") == fine


def _run(dataset: Path, folder: Path) -> None:
    opened = Dataset.open(dataset)
    Trajectory(make_config(opened), folder, dataset=opened).run()


def test_a_killed_process_goes_on_where_its_query_log_ends(unbroken, phantom, tmp_path):
    fork = multiprocessing.get_context("fork")  # what is spawned imports torch for some seconds
    folder = tmp_path / "t"
    for waits_for in ("loop_000.json", "loop_001.json", "loop_002.json"):
        process = fork.Process(target=_run, args=(phantom.path, folder))
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
