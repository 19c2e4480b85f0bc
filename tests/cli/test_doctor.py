from pathlib import Path

import pytest

from alsweep.cli import doctor
from alsweep.cli.doctor import Finding
from tests.cli.test_run import call


@pytest.fixture
def _no_ray(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "_ray", lambda: Finding("Ray", "starts in 1 s"))


@pytest.mark.usefixtures("_no_ray")
def test_a_good_machine_passes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    assert call(monkeypatch, "doctor", "--runs", tmp_path / "runs") == 0
    out = capsys.readouterr().out
    assert "nothing would stop a run" in out
    assert "torch" in out
    assert list(tmp_path.iterdir()) == []


@pytest.mark.usefixtures("_no_ray")
def test_a_place_that_cannot_be_written_would_stop_a_run(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    assert call(monkeypatch, "doctor", "--runs", "/proc/runs") == 1
    assert "runs folder" in capsys.readouterr().err


@pytest.mark.usefixtures("_no_ray")
def test_an_unknown_wandb_mode_would_stop_a_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    monkeypatch.setenv("WANDB_MODE", "sideways")
    assert call(monkeypatch, "doctor", "--runs", tmp_path) == 1
    assert "W&B would stop a run" in capsys.readouterr().err


@pytest.mark.usefixtures("_no_ray")
def test_too_little_disk_would_stop_a_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    monkeypatch.setattr(doctor, "_LEAST_DISK_GIB", 10**9)
    assert call(monkeypatch, "doctor", "--runs", tmp_path) == 1
    assert "free disk would stop a run" in capsys.readouterr().err
