from pathlib import Path

import pytest

from alsweep.cli import demo
from alsweep.config.sweep import SweepConfig
from tests.cli.test_run import call


def test_demo_space_has_three_strategies_three_seeds_and_four_loops(tmp_path: Path) -> None:
    sweep = demo._demo_space(tmp_path / "dataset")
    assert sweep.dataset == tmp_path / "dataset"
    names = {config.strategy.name for config in sweep.trajectories()}
    assert names == {"random", "random_fg66", "clasp_pe"}
    assert sweep.seeds == (0, 1, 2)
    assert {config.query.loops for config in sweep.trajectories()} == {4}


def test_demo_makes_its_phantom_once_and_hands_the_sweep_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    made: list[tuple[SweepConfig, Path]] = []
    monkeypatch.setattr("alsweep.cli.run.make", lambda plan, out: made.append((plan, out)) or 0)
    for _ in range(2):
        assert call(monkeypatch, "demo", "--out", tmp_path / "demo") == 0
    (plan, out), (again, _) = made
    assert out == tmp_path / "demo"
    assert plan.datasets == again.datasets
    assert len(plan.trajectories) == 9
    said = capsys.readouterr().err
    assert "3 ways to choose what is labelled next (random, random_fg66, clasp_pe" in said
    assert said.count("making a phantom") == 1


def test_demo_refuses_a_folder_of_somebody_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    (tmp_path / "notes.txt").write_text("mine")
    assert call(monkeypatch, "demo", "--out", tmp_path) == 2
    assert "alsweep did not begin it" in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["notes.txt"]
