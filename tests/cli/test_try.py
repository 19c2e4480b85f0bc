import json
import shutil
from pathlib import Path

import pytest
from matplotlib.image import imread

from alsweep import Trajectory
from alsweep.data.phantom import write_phantom
from alsweep.results.records import read_run
from alsweep.testing.runs import write_sweep
from tests.cli.test_run import call
from tests.trajectory.conftest import make_config


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run folder with one finished trajectory of two loops."""
    run = tmp_path_factory.mktemp("try") / "run"
    dataset = write_phantom(run / "dataset", cases=6, shape=(24, 24, 24), seed=3)
    config = make_config(dataset, query={"loops": 2})
    id_ = Trajectory(config, run / "nowhere", dataset=dataset).id
    folder = run / "trajectories" / id_
    Trajectory(config, folder, dataset=dataset, models=run / "models").run()
    write_sweep(run, dataset.path, [id_], dataset.fingerprint)
    return run


def arguments(run, *more):
    return ("--run", run, "--trajectory", "predictive", "--loop", "1", *more)


def test_the_strategy_itself_agrees_with_the_query(run, tmp_path, monkeypatch, capsys):
    out = tmp_path / "out"
    given = arguments(run, "--out", out, "--json")
    assert call(monkeypatch, "try", "predictive_entropy", *given) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["agreement"] == {"same": 6, "touching": 6, "iou": 1.0}
    assert found["tried"]["patches"] == found["queried"]["patches"]
    assert found["tried"]["class_voxels"] == found["queried"]["class_voxels"]
    assert sum(found["tried"]["class_shares"]) == pytest.approx(1)
    assert found["loop"] == 1
    assert found["picture"] == str(out / "predictive_entropy.png")
    assert imread(out / "predictive_entropy.png").std() > 0.05


def test_parameters_and_stages_can_be_given(run, tmp_path, monkeypatch, capsys):
    given = arguments(run, "--out", tmp_path, "--json", "--set", "beta=3")
    assert call(monkeypatch, "try", "power_bald", *given) == 0
    assert json.loads(capsys.readouterr().out)["tried"]["strategy"] == "power_bald[beta=3]"
    stages = "{stages: {map: margin}, label: mine}"
    assert call(monkeypatch, "try", stages, *arguments(run, "--out", tmp_path, "--json")) == 0
    assert json.loads(capsys.readouterr().out)["tried"]["strategy"] == "mine"


def test_the_table_shows_both_queries(run, monkeypatch, capsys):
    monkeypatch.setenv("COLUMNS", "120")
    assert call(monkeypatch, "try", "power_pe", *arguments(run, "--set", "beta=2")) == 0
    text = capsys.readouterr().out
    assert "queried: predictive_entropy" in text
    assert "tried: power_pe[beta=2" in text
    assert "IoU of the voxels" in text
    trajectory = read_run(run).trajectories[0].id
    assert text.splitlines()[-1].startswith(str(run / "report" / "try" / trajectory / "loop_001"))


@pytest.mark.parametrize(
    ("strategy", "more", "told"),
    [
        ("predictiv_entropy", (), "did you mean 'predictive_entropy'"),
        ("power_bald", ("--set", "bta=1"), "did you mean 'beta'"),
        ("power_bald", ("--set", "beta"), "NAME=VALUE"),
        ("[1, 2]", (), "expected a strategy's name"),
        ("[" * 5000, (), "nested too deeply"),
    ],
)
def test_wrong_use_is_told_in_one_line(run, monkeypatch, capsys, strategy, more, told):
    assert call(monkeypatch, "try", strategy, *arguments(run, *more)) == 2
    assert told in capsys.readouterr().err.splitlines()[-1]


def test_a_starting_budget_cannot_be_tried(run, monkeypatch, capsys):
    given = ("--run", run, "--trajectory", "predictive", "--loop", "0")
    assert call(monkeypatch, "try", "random", *given) == 2
    assert "no network chose the starting budget" in capsys.readouterr().err


def test_networks_that_are_gone_are_told_and_queries_are_drawn_without(
    run, tmp_path, monkeypatch, capsys
):
    copy = tmp_path / "run"
    shutil.copytree(run, copy)
    shutil.rmtree(copy / "models")
    assert call(monkeypatch, "try", "random", *arguments(copy)) == 2
    told = capsys.readouterr().err.splitlines()[-1]
    assert "2 of the 2 networks of loop 0" in told
    assert "alsweep run" in told
    assert call(monkeypatch, "queries", copy, "--trajectory", "predictive", "--loop", "1") == 0
    assert len(capsys.readouterr().out.splitlines()) == 8


def test_queries_show_what_the_networks_said(run, tmp_path, monkeypatch, capsys):
    drawn = {}
    for name in ("with", "without"):
        out = tmp_path / name
        given = ("--trajectory", "predictive", "--loop", "1", "--out", out)
        assert call(monkeypatch, "queries", run, *given) == 0
        drawn[name] = imread(out / "overview.png").shape
        monkeypatch.setattr("alsweep.report.queries._ask", lambda query, ask: (None, "title"))
    assert drawn["with"][0] > 1.5 * drawn["without"][0]


@pytest.mark.parametrize(
    ("strategy", "told"),
    [
        ("clasp", "unknown strategy 'clasp'; did you mean 'clasp_pe'?"),
        ("{name: clasp_pe, r: 5}", "strategy 'clasp_pe': parameter 'r' must lie in [0.0, 1.0]"),
    ],
)
def test_a_fault_names_no_search_space_since_there_is_none(
    run, tmp_path, monkeypatch, capsys, strategy, told
):
    assert call(monkeypatch, "try", strategy, *arguments(run, "--out", tmp_path / "out")) == 2
    assert capsys.readouterr().err.splitlines()[-1].startswith(f"alsweep: error: {told}")
