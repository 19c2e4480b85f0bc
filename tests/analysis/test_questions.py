"""Each question is a file of its own: from any run folders it makes a sentence and a figure."""

import runpy
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from alsweep.data.annotator import ReferenceLabels
from alsweep.data.case import Dataset
from alsweep.data.phantom import write_phantom
from alsweep.layout import query_path, trajectory_folder
from alsweep.report.study import read_study
from alsweep.results import compare, detectable, load_results, simulate_race
from alsweep.results.records import read_query
from alsweep.rng import stream
from alsweep.testing.runs import write_run

FOLDER = Path(__file__).parents[2] / "analysis"
QUESTIONS = sorted(FOLDER.glob("[0-9]*.py"))
SAYS = {
    "02": "On none of 2 settings is any strategy shown to be better than random_fg66",
    "03": "Strategies differ from random_fg66 most at loop",
    "04": "by voxels: ",
    "05": "training.epochs 8 gives +0.0 [+0.0, +0.0] points of AUBC for 3.4 times the hours of",
    "06": "strategies' means lie within",
    "07": "comes to the Dice that random_fg66 ends with in 0 of 2 settings.",
    "08": "points of Dice against",
    "10": "Sharing spared 0.02 of 0.11 hours (18%). A race would have spared 0.01 of the 0.09 that",
}


@pytest.fixture(scope="module")
def runs(tmp_path_factory) -> list[Path]:
    """Two patch sizes, and the first of them once more with a longer training."""
    folder = tmp_path_factory.mktemp("asked")
    write_run(folder / "run", seeds=(0, 1, 2), patch_sizes=((8, 8, 8), (4, 8, 8)))
    write_run(folder / "long", seeds=(0, 1, 2), epochs=8)
    return [folder / "run", folder / "long"]


def ask(path: Path, monkeypatch, *arguments: object) -> dict[str, Any]:
    monkeypatch.setattr(sys, "argv", [str(path), *map(str, arguments)])
    monkeypatch.syspath_prepend(str(FOLDER))
    return runpy.run_path(str(path), run_name="__main__")


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


@pytest.mark.parametrize("number", ["04", "05", "08", "09"])
def test_what_runs_cannot_answer_is_said(number, tmp_path, monkeypatch):
    write_run(tmp_path / "run")
    (path,) = (one for one in QUESTIONS if one.name.startswith(number))
    with pytest.raises(SystemExit, match="cannot be told from these runs"):
        ask(path, monkeypatch, tmp_path / "run")


def test_what_could_have_been_found_is_said(runs, tmp_path, monkeypatch, capsys):
    (path,) = (one for one in QUESTIONS if one.name.startswith("02"))
    ask(path, monkeypatch, runs[0], "--out", tmp_path / "figure.png")
    rows = compare(read_study(runs[:1]).table, ["random_fg66", "random"])
    least = 100 * detectable(rows)[rows["control"] == "random_fg66"].dropna()
    said = capsys.readouterr().out.splitlines()[-2]
    assert f"differences of {least.min():.1f} points for" in said
    assert f"to {least.max():.1f} points for" in said


def test_who_failed_for_want_of_labels_is_told_apart(tmp_path, monkeypatch, capsys):
    dataset = write_phantom(tmp_path / "dataset", cases=4, shape=(24, 24, 24))
    where = {"dataset": dataset.path, "cases": dataset.pool, "loops": 3}
    names = {"random": 0.01, "predictive_entropy": 3.0}  # one learns next to nothing
    print_ = Dataset.open(dataset.path).fingerprint
    write_run(tmp_path / "run", fingerprint=print_, strategies=names, **where)
    for record in tmp_path.glob("run/trajectories/*/records/*.json"):
        record.write_text(record.read_text().replace("liver", "organ").replace("tumour", "lesion"))
    (path,) = (one for one in QUESTIONS if one.name.startswith("09"))
    made = ask(path, monkeypatch, tmp_path / "run", "--out", tmp_path / "figure.png")
    said = capsys.readouterr().out.splitlines()[:-1]
    table = load_results(tmp_path / "run").query("loop > 0")
    names = [name.removeprefix("dice_") for name in table if name.startswith("dice_")]
    rows = dict(list(pd.concat(made["trainings"](read_study([tmp_path / "run"]))).groupby("class")))
    for line, name in zip(said, names, strict=True):
        failed = table[table[f"dice_{name}"] <= 0.5]
        lacking = rows[name].query("dice <= 0.5 and voxels == 0 and strategy == 'random'")
        assert f"random {len(failed[failed['strategy'] == 'random'])} ({len(lacking)})" in line
        assert line.startswith(f"{name}, ")
        assert f"{len(failed)} of {len(table)} trainings did not learn it" in line
        assert 0 < len(failed) < len(table)
    labels = ReferenceLabels(Dataset.open(dataset.path))
    first = rows[names[0]].query("loop == 1").iloc[0]
    folder = trajectory_folder(tmp_path / "run", first["trajectory"])
    queried = [one.patch for loop in (0, 1) for one in read_query(query_path(folder, loop))]
    crops = [labels.volume(patch.case)[patch.slices] for patch in queried]
    assert first["voxels"] == sum((crop == 1).sum() for crop in crops) > 0


def test_whom_a_race_drops_is_held_against_the_full_study(tmp_path, monkeypatch, capsys):
    write_run(tmp_path / "run", seeds=range(5), strategies={"random": 0.1, "power_pe": 3.0})
    (path,) = (one for one in QUESTIONS if one.name.startswith("10"))
    made = ask(path, monkeypatch, tmp_path / "run", "--out", tmp_path / "figure.png")
    said = capsys.readouterr().out
    assert "it drops 1, of which 0 are not shown to be worse by the full study." in said
    assert "of 2 pairs of 1 setting and strategies" in said
    table = load_results(tmp_path / "run")
    race = simulate_race(table)
    left_out = table.merge(race[["strategy", "seed", "loops"]]).query("0 < loop and loop >= loops")
    seconds = left_out[["train_seconds", "evaluate_seconds", "query_seconds"]].sum().sum()
    (hours,) = made["spared_by_a_race"](table, race)
    assert hours * 3600 == pytest.approx(seconds)
    assert seconds > 0


def loaded(number: str, monkeypatch) -> dict[str, Any]:
    """The functions of a question."""
    monkeypatch.syspath_prepend(str(FOLDER))
    (path,) = (one for one in QUESTIONS if one.name.startswith(number))
    return runpy.run_path(str(path))


def test_patch_sizes_are_compared_at_equal_budgets_alone(monkeypatch):
    """Two regimes of one size once were averaged into one."""
    rows = [("low", "7x7x7", 6, 8232), ("high", "7x7x7", 12, 16464), ("small", "5x5x5", 16, 8000)]
    names = ["setting", "patch_size", "query_size", "annotated_voxels"]
    recipe = {"members": 1, "tta": False, "epochs": 5}
    done = pd.DataFrame(rows, columns=names).assign(dataset="medium", **recipe)
    pairs = loaded("04", monkeypatch)["pairs"]
    assert list(pairs(done)) == [("small", "low", ["voxels"])]
    done.loc[2, "query_size"] = 12
    assert list(pairs(done)) == [
        ("small", "high", ["patches", "voxels"]),
        ("small", "low", ["voxels"]),
    ]
    done.loc[2, "epochs"] = 10
    assert not list(pairs(done))


def test_deviations_are_pooled_within_a_setting(monkeypatch):
    areas = {("calm", "a"): [0.5, 0.51, 0.52], ("calm", "b"): [0.6, 0.6, 0.63]}
    areas[("wild", "a")] = [0.2, 0.8, 0.5]
    rows = [(*key, value) for key, values in areas.items() for value in values]
    scores = pd.DataFrame(rows, columns=["setting", "strategy", "aubc"])
    floor = pd.DataFrame(
        [{"setting": "calm", "trainings": 6, "starts": 2, "deviation": 0.07}],
    )
    found = loaded("06", monkeypatch)["deviations"](scores, floor)
    squares = [np.var(areas["calm", name], ddof=1) for name in "ab"]
    expected = [100 * np.mean(squares) ** 0.5, 100 * np.std(areas["wild", "a"], ddof=1), 7]
    assert found["deviation"].tolist() == pytest.approx(expected)
    assert found["degrees"].tolist() == [4, 2, 4]


def test_the_interval_of_a_deviation_holds_it_95_times_in_100(monkeypatch):
    monkeypatch.syspath_prepend(str(FOLDER))
    from asking import ends_of_deviation

    drawn = stream(0, "deviations").normal(0, 3, size=(4000, 6)).std(axis=1, ddof=1)
    ends = [ends_of_deviation(one, 5) for one in drawn]
    assert np.mean([low < 3 < high for low, high in ends]) == pytest.approx(0.95, abs=0.015)


def test_no_question_takes_more_than_a_hundred_lines():
    assert all(len(path.read_text().splitlines()) <= 100 for path in FOLDER.glob("*.py"))


def test_another_control_may_be_named(runs, tmp_path, monkeypatch, capsys):
    (path,) = (one for one in QUESTIONS if one.name.startswith("02"))
    ask(path, monkeypatch, runs[0], "--control", "random", "--out", tmp_path / "figure.png")
    said = capsys.readouterr().out
    assert "better than random" in said
    # As many tests as with the other controls declared, so that what is shown is the same.
    rows = compare(read_study(runs[:1]).table, ["random", "random_fg66"])
    least = 100 * detectable(rows)[rows["control"] == "random"]
    assert f"differences of {least.min():.1f} points for" in said
    with pytest.raises(SystemExit, match="no control is finished"):
        ask(path, monkeypatch, runs[0], "--control", "randon", "--out", tmp_path / "figure.png")
