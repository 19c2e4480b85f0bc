"""Runs that are somebody else's, and runs and datasets that were moved."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from alsweep.cli.main import _exit_code
from alsweep.results.records import read_config, read_run
from tests.golden.test_schema_1 import _MADE_AT, HERE

QUERY = ("--trajectory", "clasp", "--loop", "1")
MEND = "--set dataset=PATH"


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """A folder with a finished run and its dataset."""
    shutil.unpack_archive(HERE / "schema_1.tar.xz", tmp_path)
    for path in [tmp_path / "run/sweep.yaml", *tmp_path.glob("run/trajectories/*/config.json")]:
        path.write_text(path.read_text().replace(_MADE_AT, str(tmp_path)), encoding="utf-8")
    return tmp_path


@pytest.fixture
def no_report(monkeypatch: pytest.MonkeyPatch) -> None:
    """Runs end without the report, which takes most of their time and is not the matter here."""
    monkeypatch.setattr("alsweep.sweep.running.write_report", lambda run: run / "report")


def readers(run: Path, out: Path) -> list[list[str]]:
    """Every command that reads a run: it writes to a numbered folder in ``out``, or nothing."""
    export = ["export", str(run), *QUERY[:2], "--to"]
    commands = [
        ["status", str(run)],
        ["report", str(run)],
        ["queries", str(run), *QUERY],
        ["try", "random", "--run", str(run), *QUERY],
        *([*export, target] for target in ("nnunet", "nnactive", "bundle")),
    ]
    return [
        [*words, "--out", str(out / str(index))] if index else words
        for index, words in enumerate(commands)
    ]


def in_private_mounts(run: Path, arguments: list[str]) -> list[str]:
    """A command line under which ``run`` is mounted read-only; what it mounts ends with it."""
    user = [] if os.getuid() == 0 else ["--user", "--map-root-user"]
    mount = f'mount --bind "{run}" "{run}" && mount -o remount,ro,bind "{run}" && exec "$@"'
    return ["unshare", "--mount", *user, "sh", "-c", mount, "sh", *arguments]


def can_mount(run: Path) -> bool:
    if shutil.which("unshare") is None:
        return False
    return subprocess.run(in_private_mounts(run, ["true"]), capture_output=True).returncode == 0


@pytest.mark.slow
def test_every_reader_works_on_a_run_that_is_mounted_read_only(place: Path) -> None:
    run, out = place / "run", place / "out"
    if not can_mount(run):
        pytest.skip("this user may not mount")
    code = f"""
from alsweep.cli.main import _exit_code
for words in {readers(run, out)!r}:
    assert _exit_code(words, debug=True) == 0, words
for words in {[*readers(run, out)[1:4]]!r}:
    assert _exit_code(words[:-2], debug=False) == 2, words  # the default is in the run
"""
    command = in_private_mounts(run, [sys.executable, "-c", code])
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    assert sorted(path.name for path in out.iterdir()) == ["1", "2", "3", "4", "5", "6"]
    refused = [line for line in done.stderr.splitlines() if "error" in line]
    assert len(refused) == 3
    assert all("cannot be written (Read-only file system)" in line for line in refused)
    assert all("--out" in line for line in refused)


def test_a_moved_dataset_is_told_to_the_whole_run(place: Path, capsys, no_report) -> None:
    run, out = place / "run", place / "out"
    new = (place / "dataset").rename(place / "new place")
    for words in readers(run, out)[:2]:
        assert _exit_code(words, debug=False) == 0
    assert MEND in (out / "1" / "index.html").read_text()
    for words in [*readers(run, out)[2:], ["resume", str(run)]]:
        assert _exit_code(words, debug=False) == 2
        last = capsys.readouterr().err.splitlines()[-1]
        assert MEND in last, words
    told = ["run", f"{run}/sweep.yaml", "--out", str(run), "--set", f"dataset={new}"]
    assert _exit_code(told, debug=False) == 0
    assert read_run(run).begun.grounds[0].dataset == new
    assert {read_config(folder).dataset for folder in run.glob("trajectories/*")} == {new}
    assert _exit_code(readers(run, place / "again")[5], debug=False) == 0


def test_another_dataset_is_not_taken_for_the_moved_one(place: Path, capsys) -> None:
    run, other = place / "run", place / "other"
    assert _exit_code(["phantom", "--out", str(other), "--cases", "4"], debug=False) == 0
    told = ["run", f"{run}/sweep.yaml", "--out", str(run), "--set", f"dataset={other}"]
    assert _exit_code(told, debug=False) == 2
    assert "was begun on a dataset with fingerprint" in capsys.readouterr().err.splitlines()[-1]
    assert read_run(run).begun.grounds[0].dataset == place / "dataset"


def test_a_run_that_is_moved_with_its_dataset_in_it_works_and_goes_on(
    place: Path, no_report
) -> None:
    (place / "dataset").rename(place / "run" / "dataset")
    moved = (place / "run").rename(place / "moved")
    for words in [readers(moved, place / "out")[5], ["resume", str(moved)]]:
        assert _exit_code(words, debug=False) == 0
    assert read_run(moved).begun.grounds[0].dataset == moved / "dataset"
