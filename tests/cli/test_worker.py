"""`alsweep run --plan-only` and `alsweep worker` as people and batch systems call them."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from alsweep.cli.main import _exit_code
from alsweep.layout import models_folder, space_path, trajectories_folder
from alsweep.results import load_results
from alsweep.results.records import read_records
from alsweep.sweep.status import read_status

SPACE = """
name: shared
dataset: {dataset}
base:
  query: {{patches: 6, loops: 3, patch_size: [8, 8, 8]}}
  training: {{members: 1, epochs: 1, iterations_per_epoch: 2, patch_size: [8, 8, 8], batch_size: 2}}
grid: {{strategy: [random, predictive_entropy]}}
wandb: {{mode: disabled}}
"""


def plan(dataset: Path, tmp_path: Path) -> Path:
    (tmp_path / "space.yaml").write_text(SPACE.format(dataset=dataset))
    words = ["run", str(tmp_path / "space.yaml"), "--out", str(tmp_path / "run"), "--plan-only"]
    assert _exit_code(words, False) == 0
    return tmp_path / "run"


@pytest.fixture
def run(dataset: Path, tmp_path: Path) -> Path:
    """A run that was planned."""
    return plan(dataset, tmp_path)


def worker(run: Path, *words: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "alsweep", "worker", str(run), *words],
        env=os.environ | {"WANDB_MODE": "disabled"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def test_a_plan_says_how_to_go_on_and_trains_nothing(
    dataset: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run, said = plan(dataset, tmp_path), capsys.readouterr()
    assert said.out == f"alsweep worker {run}\n"
    assert said.err.endswith("2 trajectories to do, on as many machines as you like:\n")
    assert space_path(run).exists()
    assert read_status(run).counts["waiting"] == 2
    assert not models_folder(run).exists()


def test_a_worker_that_is_stopped_leaves_what_another_finishes(run: Path) -> None:
    first = worker(run)
    assert first.stderr is not None
    for line in first.stderr:
        if " loop 0: Dice " in line:
            break
    assert (status := read_status(run)).driver == f"process {first.pid} on {os.uname().nodename}"
    assert status.counts["running"] + status.counts["waiting"] == 2
    first.send_signal(signal.SIGUSR1)
    told = first.communicate(timeout=120)[1]
    assert first.returncode == 130
    assert f"interrupted; what was finished is saved. Go on with: alsweep worker {run}" in told
    assert read_status(run).driver is None
    second = worker(run)
    said, told = second.communicate(timeout=280)
    assert second.returncode == 0, told
    assert said == f"report: {run}/report/index.html\n"
    assert len(load_results(run)) == 6
    # As by a run: the start was trained once, before the trajectories, which found it.
    for folder in trajectories_folder(run).iterdir():
        records = read_records(folder)
        assert [record.cached_members for record in records] == [1, 0, 0]
        assert {record.threads for record in records} == {1}


def test_a_folder_without_a_plan_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert _exit_code(["worker", str(tmp_path)], False) == 2
    assert capsys.readouterr().err.splitlines()[-1] == (
        f"alsweep: error: {tmp_path}: no sweep.yaml in it; plan the run first: alsweep run "
        f"SPACE.yaml --out {tmp_path} --plan-only"
    )
