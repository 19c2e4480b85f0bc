"""The real thing, small: training, Ray, W&B, results and report through the command line."""

import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pandas as pd
import pytest

from alsweep import load_results
from alsweep.data.phantom import write_phantom
from alsweep.results import full_dice
from tests.tracking.wandb_files import read_offline_run

pytestmark = [pytest.mark.ray, pytest.mark.slow]

SPACE = """
name: tiny
dataset: {dataset}
base:
  query: {{patches: 6, loops: 3, patch_size: [8, 8, 8], stride: 2}}
  training: {{epochs: 1, iterations_per_epoch: 2, members: 2, folds: 2, features: [4, 4, 4],
             patch_size: [16, 16, 16]}}
grid:
  strategy: [random, predictive_entropy]
"""
SECONDS = 200


def start(*arguments: object) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", "from alsweep.cli.main import main; main()"]
    return subprocess.Popen(
        [*command, *map(str, arguments)],
        env={**os.environ, "WANDB_MODE": "offline"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def finish(process: subprocess.Popen[str]) -> tuple[str, str]:
    out, err = process.communicate(timeout=SECONDS)
    assert process.returncode == 0, err
    return out, err


def untimed(table: pd.DataFrame) -> pd.DataFrame:
    return table.drop(columns=["train_seconds", "evaluate_seconds", "query_seconds"])


def queries(run: Path) -> dict[str, bytes]:
    files = sorted(run.glob("trajectories/*/queries/*.json"))
    return {str(path.relative_to(run)): path.read_bytes() for path in files}


@pytest.fixture(scope="module")
def space(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("real")
    write_phantom(folder / "dataset", cases=8, shape=(24, 24, 24), seed=3)
    path = folder / "tiny.yaml"
    path.write_text(SPACE.format(dataset=folder / "dataset"))
    return path


@pytest.fixture(scope="module")
def unbroken(space: Path) -> Path:
    run = space.parent / "unbroken"
    out, _ = finish(start("run", space, "--out", run))
    assert out.splitlines()[-1].endswith("report/index.html")
    return run


def test_a_sweep_ends_with_results_report_and_wandb(unbroken: Path) -> None:
    table = load_results(unbroken / "results.parquet")
    assert len(table) == 6
    assert set(table["status"]) == {"done"}
    first = table[table["loop"] == 0]
    assert first["start_hash"].nunique() == 1
    assert first["mean_dice"].nunique(dropna=False) == 1
    assert list(first["cached_members"]) == [2, 2]
    assert list(table[table["loop"] > 0]["cached_members"]) == [0, 0, 0, 0]
    assert (unbroken / "report" / "index.html").stat().st_size > 10_000
    runs = [read_offline_run(folder) for folder in (unbroken / "wandb").glob("offline-run-*")]
    assert sorted(run.name for run in runs) == sorted(table["trajectory"].unique())
    assert [run.steps for run in runs] == [[0, 1, 2], [0, 1, 2]]


@pytest.mark.parametrize("records", [0, 1, 3])
def test_kill_9_and_resume_give_the_same_results_bit_for_bit(
    space: Path, unbroken: Path, tmp_path: Path, records: int
) -> None:
    run = tmp_path / "run"
    process = start("run", space, "--out", run)
    end = time.monotonic() + SECONDS
    while (
        len(list(run.glob("trajectories/*/records/*.json"))) < records
        or not (run / "sweep.yaml").exists()
    ):
        assert process.poll() is None
        assert time.monotonic() < end
        time.sleep(0.02)
    process.kill()
    process.communicate()
    finish(start("resume", run))
    assert queries(run) == queries(unbroken)
    result, expected = (load_results(path / "results.parquet") for path in (run, unbroken))
    pd.testing.assert_frame_equal(untimed(result), untimed(expected), check_exact=True)


def test_full_data_is_trained_once_and_shown_in_the_report(space: Path, unbroken: Path) -> None:
    out, err = finish(start("fulldata", space, "--out", unbroken))
    assert "[1/1] full data, seed 0: Dice" in err
    assert out.splitlines()[-1].endswith("report/index.html")
    assert (unbroken / "report" / "fg_efficiency.csv").exists()
    (setting,) = full_dice(unbroken)
    assert setting == load_results(unbroken)["setting"].iloc[0]
    _, err = finish(start("fulldata", space, "--out", unbroken))
    assert "full data, seed" not in err


def test_status_says_done(unbroken: Path) -> None:
    out, _ = finish(start("status", unbroken, "--json"))
    assert json.loads(out)["counts"]["done"] == 2


def test_the_archive_of_a_paper_makes_the_same_table(unbroken: Path, tmp_path: Path) -> None:
    first, again = tmp_path / "first.tar.gz", tmp_path / "again.tar.gz"
    finish(start("export", unbroken, "--paper", "--out", first))
    shutil.unpack_archive(first, tmp_path / "one")
    finish(start("run", tmp_path / "one" / "tiny-paper" / "sweep.yaml", "--out", tmp_path / "run"))
    finish(start("export", tmp_path / "run", "--paper", "--out", again))
    shutil.unpack_archive(again, tmp_path / "other")
    one, other = (tmp_path / name / "tiny-paper" for name in ("one", "other"))
    assert (one / "table.csv").read_bytes() == (other / "table.csv").read_bytes()
    assert queries(one) == queries(other) != {}
