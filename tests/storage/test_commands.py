"""The commands on a run in a store, each as on a folder."""

import json
import pickle
import re
from pathlib import Path

import pytest

from alsweep.config.sweep import ResourcesConfig
from alsweep.data.case import Dataset
from alsweep.data.phantom import write_phantom
from alsweep.errors import ConfigError
from alsweep.layout import models_folder, trajectory_folder
from alsweep.storage.client import Store
from alsweep.storage.holder import Holder
from alsweep.sweep.plan import Plan
from alsweep.sweep.planning import plan_of
from alsweep.sweep.remote import elsewhere
from alsweep.sweep.run_folder import write_space
from alsweep.sweep.work import Training
from alsweep.trajectory.runner import Trajectory
from tests.cli.test_run import call
from tests.storage.conftest import keys_of
from tests.sweep.conftest import sweep_of
from tests.trajectory.conftest import TINY_TRAINING, log_bytes

BASE = {"query": {"patches": 6, "loops": 2, "patch_size": [8, 8, 8]}, "training": TINY_TRAINING}


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Plan]:
    """A finished trajectory and one that has not begun, in a folder."""
    folder = tmp_path_factory.mktemp("made")
    dataset = write_phantom(folder / "dataset", cases=4, shape=(24, 24, 24))
    plan = plan_of(sweep_of(dataset, seeds=[0], base=BASE), "tiny.yaml")
    run = folder / "run"
    write_space(run, plan)
    first = plan.trajectories[0]
    Trajectory(
        first.config,
        trajectory_folder(run, first.id),
        models=models_folder(run),
        resources=ResourcesConfig(),
    ).run()
    return run, plan


@pytest.fixture
def far(made: tuple[Path, Plan], prefix: str) -> str:
    """The same run in the store."""
    run, store = made[0], Store(f"{prefix}/run")
    for path in run.rglob("*"):
        if path.is_file():
            store.put(path.relative_to(run).as_posix(), path)
    return f"{prefix}/run"


def test_status_tells_of_it_and_of_who_is_at_work(far, monkeypatch, capsys, s3):
    assert call(monkeypatch, "status", far, "--json") == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["run"], found["driver"]) == (far, None)
    assert [one["loops_done"] for one in found["trajectories"]] == [2, 0]
    before = keys_of(s3, far)
    Store(far).put(".alsweep.lock", Holder.here(1).content)
    assert call(monkeypatch, "status", far) == 0
    assert f"at work: {Holder.here(1).told}" in capsys.readouterr().out
    assert keys_of(s3, far).keys() - before.keys() == {".alsweep.lock"}
    Store(far).delete([".alsweep.lock"])
    assert call(monkeypatch, "status", far) == 0
    assert f"go on with: alsweep resume {far}" in capsys.readouterr().out


def test_a_place_without_a_run_is_told(prefix, monkeypatch, capsys):
    for verb in ("status", "resume", "gc"):
        assert call(monkeypatch, verb, prefix) == 2
        assert f"alsweep: error: {prefix}: no sweep.yaml in it" in capsys.readouterr().err


@pytest.mark.slow
def test_queries_are_drawn_there(far, made, monkeypatch, capsys, s3):
    id_ = made[1].ids[0]
    assert call(monkeypatch, "queries", far, "--trajectory", id_, "--loop", "1") == 0
    drawn = capsys.readouterr().out.splitlines()
    place = f"report/queries/{id_}/loop_001"
    assert {f"{far}/{key}" for key in keys_of(s3, far) if key.startswith(place)} == set(drawn)
    assert len(drawn) == 8


def test_try_asks_the_networks_that_are_there(far, made, monkeypatch, capsys, s3):
    id_ = made[1].ids[0]
    asked = ("random", "--run", far, "--trajectory", id_, "--loop", "1", "--json")
    assert call(monkeypatch, "try", *asked) == 0
    picture = json.loads(capsys.readouterr().out)["picture"]
    assert picture.removeprefix(f"{far}/") in keys_of(s3, far)


def test_report_and_export_and_a_dry_run_read_it(far, made, monkeypatch, capsys, s3, tmp_path):
    def write_report(runs: list[Path], out: Path | None, *_: object, **__: object) -> Path:
        page = (out or runs[0] / "report") / "index.html"
        page.parent.mkdir(parents=True)
        page.write_text("a page")
        return page

    monkeypatch.setattr("alsweep.report.write_report", write_report, raising=False)
    assert call(monkeypatch, "report", far) == 0
    assert capsys.readouterr().out == f"report: {far}/report/index.html\n"
    assert keys_of(s3, far)["report/index.html"] == b"a page"
    assert call(monkeypatch, "report", far, "--out", str(tmp_path / "own")) == 0
    assert (tmp_path / "own" / "index.html").read_text() == "a page"
    assert call(monkeypatch, "report", far, "--out", f"{far}-report") == 2
    assert f"--out {far}-report: name a folder here" in capsys.readouterr().err
    run, plan = made
    out = tmp_path / "loops"
    assert (
        call(
            monkeypatch,
            "export",
            far,
            "--trajectory",
            plan.ids[0],
            "--to",
            "nnactive",
            "--out",
            out,
        )
        == 0
    )
    assert sorted(path.name for path in out.iterdir()) == ["loop_000.json", "loop_001.json"]
    before = keys_of(s3, far)
    capsys.readouterr()
    space = run / "sweep.yaml"
    assert call(monkeypatch, "run", space, "--out", far, "--dry-run") == 0
    assert re.search(r"1 (of 2 )?(trajectories )?(done|finished)|2 loops", capsys.readouterr().out)
    assert keys_of(s3, far) == before


def test_gc_removes_there_what_is_not_needed(far, made, monkeypatch, capsys, s3):
    before = keys_of(s3, far)
    weights = {key for key in before if key.endswith("weights.pt")}
    assert len(weights) == 4
    assert call(monkeypatch, "gc", far, "--dry-run") == 0
    assert capsys.readouterr().out.startswith("2 networks and 0 checkpoints")
    assert keys_of(s3, far) == before
    assert call(monkeypatch, "gc", far) == 0
    assert capsys.readouterr().out.startswith("2 networks and 0 checkpoints")
    after = keys_of(s3, far)
    assert json.loads(after.pop(".alsweep.lock"))["released"]
    assert len(before.keys() - after.keys()) == 2
    assert before.keys() - after.keys() < weights
    assert all(after[key] == before[key] for key in after)
    Store(far).put(".alsweep.lock", Holder.here(7).content)
    assert call(monkeypatch, "gc", far) == 2
    assert "is at work in it" in capsys.readouterr().err


def test_a_dataset_is_made_there(prefix, monkeypatch, capsys, s3):
    asked = ("phantom", "--out", f"{prefix}/d", "--cases", "4", "--shape", "16", "16", "16")
    assert call(monkeypatch, *asked) == 0
    assert capsys.readouterr().out.startswith(f"{prefix}/d: 3 pool and 1 validation cases")
    assert call(monkeypatch, *asked) == 2
    assert f"{prefix}/d: holds 'dataset.json' already" in capsys.readouterr().err
    assert call(monkeypatch, "inspect", f"{prefix}/d", "--json") == 0
    assert json.loads(capsys.readouterr().out)["path"] == f"{prefix}/d"


def test_the_demo_wants_a_folder(prefix, monkeypatch, capsys):
    assert call(monkeypatch, "demo", "--out", prefix) == 2
    assert f"--out {prefix}: name a folder here" in capsys.readouterr().err


def test_a_run_there_is_replayed_on_a_disk(far, made, monkeypatch, capsys, tmp_path):
    run, plan = made
    theirs, id_ = plan.trajectories[0].config, plan.ids[0]
    for replay in ({"run": far}, {"source": f"{far}/trajectories/{id_}"}):
        grid = {"strategy": [{"name": "replay", **replay}]}
        sweep = sweep_of(Dataset.open(theirs.dataset), seeds=[0], base=BASE, grid=grid)
        replaying = plan_of(sweep, "again.yaml")
        (config,) = [one.config for one in replaying.trajectories]
        named = config.strategy.parameters
        assert {key: named[key] for key in replay} == replay
        folder = tmp_path / str(*replay)
        work = pickle.loads(
            pickle.dumps(elsewhere(Training(folder, ResourcesConfig()), folder, replaying))
        )
        assert "AWS_SECRET_ACCESS_KEY" in repr(work), "workers are told how to reach it"
        stepper = work.trajectory(config, folder, lambda progress: None)
        stepper.step()
        stepper.close()
        assert log_bytes(folder) == log_bytes(trajectory_folder(run, id_))
    lacking = {"name": "replay", "source": f"{far}/trajectories/none"}
    sweep = sweep_of(
        Dataset.open(theirs.dataset), seeds=[0], base=BASE, grid={"strategy": [lacking]}
    )
    with pytest.raises(ConfigError, match=rf"{far}/trajectories/none"):
        plan_of(sweep, "again.yaml")
