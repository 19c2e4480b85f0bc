"""A sweep run from Python."""

import logging
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

from alsweep.config.load import load_sweep
from alsweep.config.sweep import SweepConfig
from alsweep.data.case import Dataset
from alsweep.errors import ConfigError
from alsweep.layout import record_path, results_path, trajectory_folder
from alsweep.results.failure import write_failure
from alsweep.results.load import load_results
from alsweep.results.loops import LoopRecord
from alsweep.results.records import read_run
from alsweep.sweep import run_sweep
from alsweep.sweep.audience import Listener
from alsweep.sweep.job import Job, Outcome
from alsweep.sweep.plan import Plan, make_plan
from alsweep.sweep.retry import Retry
from alsweep.sweep.run_folder import write_space
from alsweep.sweep.space_file import to_yaml
from alsweep.tracking.base import NullTracker
from alsweep.trajectory.numerics import NUMERICS
from tests.sweep.conftest import MakePlan, sweep_of
from tests.sweep.fakes import TableWork, table_record

REPOSITORY = Path(__file__).parents[2]

NOTEBOOK = """
import sys
from pathlib import Path
from alsweep.sweep import run_sweep
from tests.sweep.fakes import TableWork

run, heard = Path("run"), []

def on_loop(trajectory, record):
    print(trajectory, record.loop)
    heard.append(record)
    if len(heard) == 2:
        raise KeyboardInterrupt

try:
    run_sweep("tiny.yaml", run, work=TableWork(run), on_loop=on_loop, report=False)
except KeyboardInterrupt:
    assert len(heard) == 2
else:
    sys.exit("an interrupt was swallowed")
outcome = run_sweep(run / "sweep.yaml", run, work=TableWork(run), on_loop=on_loop, report=False)
assert (outcome.done, outcome.failed) == (2, {})
"""


@pytest.fixture(autouse=True)
def own_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "environ", {**os.environ, "WANDB_MODE": "disabled"})


def finish(plan: Plan, run: Path) -> TableWork:
    """Make all trajectories of a plan, without Ray; nothing is left that would need it."""
    write_space(run, plan)
    work = TableWork(run)
    for planned in plan.trajectories:
        folder = trajectory_folder(run, planned.id)
        trajectory = work.trajectory(planned.config, folder, lambda progress: None)
        while not trajectory.finished:
            trajectory.step()
    return work


@pytest.mark.parametrize("kind", [SweepConfig, Path, str, Plan])
def test_a_sweep_a_file_and_a_plan_mean_the_same(
    kind: type, dataset: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sweep, run, space = sweep_of(dataset), tmp_path / "run", tmp_path / "tiny.yaml"
    plan = make_plan(sweep, dataset)
    space.write_text(to_yaml(sweep))
    work = finish(plan, run)
    made: list[Path] = []
    monkeypatch.chdir(tmp_path)
    asked = {SweepConfig: sweep, Path: space, str: str(space), Plan: plan}[kind]
    assert run_sweep(asked, "run", work=work, report=made.append) == Outcome(4, {})
    assert made == [run]
    assert set(load_results(run)["trajectory"]) == set(plan.ids)


def test_a_run_is_taken_up_again_by_its_own_sweep_and_finds_its_dataset(
    dataset: Dataset, plan_of: MakePlan, tmp_path: Path
) -> None:
    run = tmp_path / "run"
    work = finish(plan_of(), run)
    shutil.copytree(dataset.path, run / "dataset")
    text = (run / "sweep.yaml").read_text().replace(str(dataset.path), "/gone")
    (run / "sweep.yaml").write_text(text)
    for asked in (run / "sweep.yaml", load_sweep(run / "sweep.yaml")):
        assert run_sweep(asked, run, work=work, report=False).done == 4
    assert read_run(run).begun.grounds[0].dataset == run / "dataset"


def test_warnings_reach_the_log_or_the_audience(
    dataset: Dataset,
    plan_of: MakePlan,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    run = tmp_path / "run"
    work = finish(plan_of(), run)
    os.environ.update(WANDB_RUN_ID="theirs", WANDB_MODE="offline")
    monkeypatch.setattr("alsweep.tracking.wandb.WandbTracker", lambda run, settings: NullTracker())
    fewer = sweep_of(dataset, seeds=[0])
    run_sweep(make_plan(fewer, dataset), run, work=work, report=False, audience=(ears := Ears()))
    assert [text[:42] for text in ears.heard] == [
        "warning: WANDB_RUN_ID is not heeded: every",
        "warning: 2 trajectories of this run are no",
    ]
    finish(plan_of(), run)
    with caplog.at_level(logging.WARNING, "alsweep"):
        run_sweep(sweep_of(dataset, seeds=[0]), run, work=work, report=False)
    assert [record.getMessage() for record in caplog.records] == ears.heard[1:]


class Ears(Listener):
    def __init__(self) -> None:
        super().__init__()
        self.heard: list[str] = []

    def tell(self, text: str) -> None:
        self.heard.append(text)


def test_nothing_is_foretold_of_what_failed_and_is_left(plan_of: MakePlan, tmp_path: Path) -> None:
    plan, run = plan_of(), tmp_path / "run"
    work = finish(plan, run)
    folder = trajectory_folder(run, plan.ids[0])
    record_path(folder, 2).unlink()
    write_failure(folder, "no room", 2)
    ears = Ears()
    outcome = run_sweep(
        plan, run, work=work, report=False, audience=ears, retry=Retry.none, mix_numerics=True
    )
    assert (outcome.done, outcome.failed) == (3, {plan.ids[0]: "no room"})
    assert ears.heard == []
    other = LoopRecord.read(record_path(folder, 0))
    other.model_copy(update={"numerics": NUMERICS - 1}).write(folder)
    outcome = run_sweep(plan, run, work=work, report=False, audience=ears, retry=Retry.none)
    assert outcome.failed == {plan.ids[0]: "no room"}


def test_a_program_that_hangs_delays_neither_results_nor_report(
    plan_of: MakePlan,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    def make(job: Job, *_: object) -> Outcome:
        for _ in range(3):
            job.events.tell("all_done", "made")
        return Outcome(4, {})

    monkeypatch.setattr("alsweep.sweep.driver.make_missing", make)
    monkeypatch.setattr("alsweep.sweep.running._SECONDS_TO_TELL", 0.5)
    plan, run = plan_of(on_event=["sh", "-c", "sleep 40; :"]), tmp_path / "run"
    finish(plan, run)
    reported: list[float] = []
    began = time.monotonic()
    run_sweep(plan, run, report=lambda run: reported.append(time.monotonic() - began))
    assert results_path(run).exists()
    assert reported[0] < 20
    assert time.monotonic() - began < reported[0] + 15
    assert "events that nobody was told of after that: 2" in caplog.text


def test_what_is_wrong_is_named(dataset: Dataset, tmp_path: Path) -> None:
    wrong = sweep_of(dataset, grid={"strategy": ["randon"]})
    with pytest.raises(ConfigError, match=r"^tiny: grid.strategy.*did you mean 'random'"):
        run_sweep(wrong, tmp_path / "run")
    with pytest.raises(ConfigError, match=r"no.yaml"):
        run_sweep(tmp_path / "no.yaml", tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_a_function_that_raises_is_called_no_more(
    plan_of: MakePlan, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    calls: list[int] = []

    def on_loop(trajectory: str, record: LoopRecord) -> None:
        calls.append(record.loop)
        raise ZeroDivisionError("theirs")

    plan, listener = plan_of(), Listener(on_loop)
    planned = plan.trajectories[0]
    with listener.watch(tmp_path, plan) as monitor:
        for loop in range(2):
            monitor.loop(planned, table_record(planned.config, loop))
    assert calls == [0]
    assert "on_loop failed and is called no more" in caplog.text
    assert "ZeroDivisionError: theirs" in caplog.text


@pytest.mark.ray
def test_a_notebook_hears_of_every_loop_and_goes_on_after_an_interrupt(
    dataset: Dataset, plan_of: MakePlan, tmp_path: Path
) -> None:
    (tmp_path / "tiny.yaml").write_text(to_yaml(sweep_of(dataset, seeds=[0])))
    path = f"{REPOSITORY}{os.pathsep}{os.environ.get('PYTHONPATH', '')}"
    done = subprocess.run(
        [sys.executable, "-c", NOTEBOOK],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": path},
        capture_output=True,
        text=True,
        timeout=240,
    )
    assert done.returncode == 0, done.stderr
    ids = plan_of(seeds=[0]).ids
    lines = [line.split() for line in done.stdout.splitlines()]
    heard = [(id_, int(loop)) for id_, loop in lines]
    # A loop that is finished while the sweep is being interrupted is told to nobody; none is twice.
    assert len(heard) == len(set(heard)) >= 2
    assert set(heard) <= {(id_, loop) for id_ in ids for loop in range(3)}
    rows = load_results(tmp_path / "run")[["trajectory", "loop"]].itertuples(index=False)
    assert sorted(map(tuple, rows)) == sorted((id_, loop) for id_ in ids for loop in range(3))
