import json
from pathlib import Path

import pytest

from alsweep.config.load import load_sweep
from alsweep.data.phantom import write_phantom
from alsweep.sweep.plan import make_plan
from alsweep.sweep.run_folder import write_space
from tests.cli.test_run import SPACE, call
from tests.sweep.test_missing import do_loops


@pytest.fixture
def run(tmp_path: Path) -> Path:
    dataset = write_phantom(tmp_path / "dataset", cases=4, shape=(24, 24, 24))
    space = tmp_path / "tiny.yaml"
    space.write_text(SPACE.format(dataset=dataset.path))
    plan = make_plan(load_sweep(space), dataset)
    write_space(tmp_path / "run", plan)
    do_loops(tmp_path / "run", plan, index=0, loops=3)
    do_loops(tmp_path / "run", plan, index=1, loops=1)
    return tmp_path / "run"


def test_status_for_people(
    run: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    monkeypatch.setenv("COLUMNS", "120")
    assert call(monkeypatch, "status", run) == 0
    text = capsys.readouterr().out
    assert "1 done, 0 running, 0 failed, 3 waiting" in text
    assert text.splitlines()[-1] == f"nobody is at work; go on with: alsweep resume {run}"


def test_status_quotes_the_path_and_admits_that_the_time_left_is_unknown(
    run: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    odd = run.rename(run.parent / "r ün1")
    assert call(monkeypatch, "status", odd) == 0
    text = capsys.readouterr().out
    assert text.splitlines()[-1].endswith(f"alsweep resume '{odd}'")
    assert "3 waiting; time left unknown" in text


def test_status_shows_labels_as_they_were_written(
    run: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    space = run / "sweep.yaml"
    text = space.read_text()
    assert "label: predictive_entropy" in text
    space.write_text(text.replace("label: predictive_entropy", "label: '[/x]'"))
    monkeypatch.setenv("COLUMNS", "120")
    assert call(monkeypatch, "status", run) == 0
    assert "[/x]" in capsys.readouterr().out


def test_status_for_machines(
    run: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    assert call(monkeypatch, "status", run, "--json") == 0
    found = json.loads(capsys.readouterr().out)
    assert found["counts"] == {"done": 1, "running": 0, "failed": 0, "waiting": 3}
    assert [one["loops_done"] for one in found["trajectories"]] == [3, 1, 0, 0]


def test_status_of_what_is_no_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    assert call(monkeypatch, "status", tmp_path) == 2
    assert "no sweep.yaml in it" in capsys.readouterr().err
