"""Each question is a file of its own: from any run folders it makes a sentence and a figure."""

import runpy
import sys
from pathlib import Path

import pytest

from alsweep.report.study import read_study
from alsweep.results import compare, detectable
from alsweep.testing.runs import write_run

FOLDER = Path(__file__).parents[2] / "analysis"
QUESTIONS = sorted(FOLDER.glob("[0-9]*.py"))
SAYS = {
    "02": "On none of 2 settings is any strategy shown to be better than random_fg66",
    "03": "Strategies differ from random_fg66 most at loop",
    "04": "counted by voxels: patches of 8x8x8 give",
    "05": "training.epochs 8 gives +0.0 [+0.0, +0.0] points of AUBC for 3.4 times the hours of",
    "06": "pairs of strategies lie further apart than twice",
    "07": "never comes to the Dice that random_fg66 ends with",
    "08": "points of Dice against",
}


@pytest.fixture(scope="module")
def runs(tmp_path_factory) -> list[Path]:
    """Two patch sizes, and the first of them once more with a longer training."""
    folder = tmp_path_factory.mktemp("asked")
    write_run(folder / "run", seeds=(0, 1, 2), patch_sizes=((8, 8, 8), (4, 8, 8)))
    write_run(folder / "long", seeds=(0, 1, 2), epochs=8)
    return [folder / "run", folder / "long"]


def ask(path: Path, monkeypatch, *arguments: object) -> None:
    monkeypatch.setattr(sys, "argv", [str(path), *map(str, arguments)])
    monkeypatch.syspath_prepend(str(FOLDER))
    runpy.run_path(str(path), run_name="__main__")


@pytest.mark.parametrize("number", SAYS)
def test_a_question_is_answered_by_a_sentence_and_a_figure(
    number, runs, tmp_path, monkeypatch, capsys
):
    (path,) = (one for one in QUESTIONS if one.name.startswith(number))
    given = runs if number == "05" else runs[:1]
    ask(path, monkeypatch, *given, "--out", tmp_path / "figure.png")
    assert SAYS[number] in capsys.readouterr().out
    assert SAYS[number] in (tmp_path / "figure.txt").read_text()
    assert (tmp_path / "figure.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize("number", ["04", "05", "08"])
def test_what_runs_cannot_answer_is_said(number, tmp_path, monkeypatch):
    write_run(tmp_path / "run")
    (path,) = (one for one in QUESTIONS if one.name.startswith(number))
    with pytest.raises(SystemExit, match="cannot be told from these runs"):
        ask(path, monkeypatch, tmp_path / "run")


def test_what_could_have_been_found_is_said(runs, tmp_path, monkeypatch, capsys):
    (path,) = (one for one in QUESTIONS if one.name.startswith("02"))
    ask(path, monkeypatch, runs[0], "--out", tmp_path / "figure.png")
    rows = compare(read_study(runs[:1]).table, ["random_fg66"])
    least = 100 * detectable(rows).dropna()
    said = capsys.readouterr().out.splitlines()[-2]
    assert f"differences of {least.min():.1f} points for" in said
    assert f"to {least.max():.1f} points for" in said


def test_no_question_takes_more_than_a_hundred_lines():
    assert all(len(path.read_text().splitlines()) <= 100 for path in FOLDER.glob("*.py"))


def test_another_control_may_be_named(runs, tmp_path, monkeypatch, capsys):
    (path,) = (one for one in QUESTIONS if one.name.startswith("02"))
    ask(path, monkeypatch, runs[0], "--control", "random", "--out", tmp_path / "figure.png")
    assert "better than random" in capsys.readouterr().out
    with pytest.raises(SystemExit, match="no control is finished"):
        ask(path, monkeypatch, runs[0], "--control", "randon", "--out", tmp_path / "figure.png")
