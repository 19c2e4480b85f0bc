"""A run folder from somebody who means harm: nothing in it is executed, nothing outside is touched.

Pickles in the place of networks, checkpoints, tables and records; code and archives; links that
lead out; names that climb. What commands do with networks that are pickles is held elsewhere, too.
"""

import io
import json
import os
import pickle
import shutil
import subprocess
import tarfile
import zipfile
from pathlib import Path

import pytest

from alsweep.cli import worker as worker_command
from alsweep.config.trajectory import TrajectoryConfig
from alsweep.errors import RunFolderError
from alsweep.geometry import Patch, QueriedPatch
from alsweep.layout import (
    config_path,
    decisions_path,
    log_path,
    meta_path,
    models_folder,
    plugins_folder,
    record_path,
    report_folder,
    results_path,
    space_path,
    training_folder,
    trajectories_folder,
    trajectory_folder,
    weights_path,
)
from alsweep.model.checkpoint import ModelStore
from alsweep.sweep.plan import Plan
from alsweep.sweep.run_folder import driver_lock, worker_lock, write_space
from tests.cli.test_run import call
from tests.sweep import fakes
from tests.sweep.conftest import MakePlan
from tests.sweep.fakes import TableWork
from tests.sweep.test_missing import do_loops

SECRET = "somebody-s-own-words"
CODE = "import os\nos.mkdir({place!r})\nraise SystemExit('executed')\n"


class Bomb:
    """Makes a folder where it is unpickled."""

    def __init__(self, place: Path) -> None:
        self._place = str(place)

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.mkdir, (self._place,)


@pytest.fixture(autouse=True)
def _of_the_phantom(monkeypatch: pytest.MonkeyPatch) -> None:
    """A report looks its cases up."""

    def queried(config: TrajectoryConfig, loop: int) -> QueriedPatch:
        return QueriedPatch(Patch("phantom_000", (loop, 0, 0), (8, 8, 8)), 0.5)

    monkeypatch.setattr(fakes, "queried", queried)


@pytest.fixture
def exploded(tmp_path: Path) -> Path:
    """What is there once anything was executed."""
    return tmp_path / "exploded"


@pytest.fixture
def bomb(exploded: Path) -> bytes:
    content = pickle.dumps(Bomb(exploded), protocol=2)
    pickle.loads(content)  # it works
    exploded.rmdir()
    return content


@pytest.fixture
def plan(run: Path, plan_of: MakePlan, bomb: bytes, exploded: Path) -> Plan:
    """A run whose first trajectory is done, full of what must not be touched."""
    plan = plan_of(seeds=[0])
    run.mkdir()
    write_space(run, plan)
    do_loops(run, plan, index=0, loops=3)
    plant(run, bomb, exploded)
    return plan


def plant(run: Path, bomb: bytes, exploded: Path) -> None:
    models = models_folder(run)
    for key in ("a", "b"):
        (models / key).mkdir(parents=True)
        weights_path(models / key).write_bytes(bomb)
        meta_path(models / key).write_bytes(b'{"owner": "evil", "seconds": 1}')
    training_folder(models).mkdir()
    (training_folder(models) / "a.pt").write_bytes(bomb)
    results_path(run).write_bytes(bomb)
    for name in ("cache.pkl", ".tune/trainable.pkl", "wandb/offline-run-1/run.pkl"):
        (run / name).parent.mkdir(parents=True, exist_ok=True)
        (run / name).write_bytes(bomb)
    code = CODE.format(place=str(exploded))
    plugins_folder(run).mkdir()
    for name in ("evil.py", f"evil-{16 * 'a'}.py", "__init__.py"):
        (plugins_folder(run) / name).write_text(code)
    for name in ("sitecustomize.py", "conftest.py", "alsweep.py", "ray.py"):
        (run / name).write_text(code)
    with zipfile.ZipFile(run / "models.zip", "w") as archive:
        archive.writestr("../exploded/x", "")
    with tarfile.open(run / "run.tar.gz", "w:gz") as archive:
        archive.addfile(tarfile.TarInfo("../exploded"), io.BytesIO())


def test_nothing_in_it_is_executed_by_any_command(
    run: Path,
    plan: Plan,
    exploded: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(run)
    monkeypatch.setenv("WANDB_API_KEY", SECRET)
    monkeypatch.setattr("alsweep.sweep.work.Training", lambda run, resources: TableWork(run))
    monkeypatch.setattr("alsweep.sweep.running.write_report", lambda run: run)
    # Else it would become another process, with other numbers of threads.
    monkeypatch.setattr(worker_command, "_has_become_worker", lambda run: False)
    words = (
        ["status", ".", "--json"],
        ["gc", ".", "--dry-run"],
        ["debug-dump", ".", "--out", str(tmp_path / "dump.tar.gz")],
        ["worker", "."],  # does the other trajectory, and writes results
        ["resume", "."],
        ["gc", ".", "--keep", "none"],
    )
    for one in words:
        assert call(monkeypatch, *one) == 0, (one, capsys.readouterr().err)
        assert not exploded.exists(), one
    said = "".join(capsys.readouterr())
    assert SECRET not in said
    with tarfile.open(tmp_path / "dump.tar.gz") as archive:
        names = archive.getnames()
        texts = [f.read().decode() for m in archive if (f := archive.extractfile(m)) is not None]
    assert not [name for name in names if name.endswith((".py", ".pkl", ".pt", ".zip", ".gz"))]
    assert SECRET not in "".join(texts)
    written = [path for path in run.rglob("*") if path.is_file() and not path.is_symlink()]
    assert not [path for path in written if SECRET.encode() in path.read_bytes()]
    assert not weights_path(models_folder(run) / "b").exists(), "gc takes it as any other network"


@pytest.mark.slow
def test_nothing_in_it_is_executed_by_a_report(
    run: Path, plan: Plan, exploded: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(run)
    (tmp_path / "profile").write_text(SECRET)
    log_path(trajectory_folder(run, plan.ids[0])).symlink_to(tmp_path / "profile")
    assert call(monkeypatch, "report", ".", "--out", tmp_path / "page") == 0
    assert not exploded.exists()
    written = [path for path in (tmp_path / "page").rglob("*") if path.is_file()]
    assert written
    assert not [path for path in written if SECRET.encode() in path.read_bytes()]


def test_networks_that_are_pickles_count_as_absent(run: Path, plan: Plan, exploded: Path) -> None:
    store = ModelStore(models_folder(run), 1 << 30)
    assert store.weights("a") is None
    assert not exploded.exists()


@pytest.mark.parametrize("which", ["record", "config", "sweep", "decisions"])
def test_pickles_in_the_place_of_texts_are_told_in_one_line(
    run: Path,
    plan: Plan,
    bomb: bytes,
    exploded: Path,
    which: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    folder = trajectory_folder(run, plan.ids[0])
    of = {
        "record": record_path(folder, 1),
        "config": config_path(folder),
        "sweep": space_path(run),
        "decisions": decisions_path(run),
    }
    of[which].write_bytes(bomb + b"\n")
    for verb in ("status", "report", "gc"):
        call(monkeypatch, verb, run)
        told = capsys.readouterr().err
        assert "Traceback" not in told, verb
        assert not exploded.exists()


def test_who_works_in_it_is_told_of_links_that_lead_out(
    run: Path,
    plan: Plan,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "profile").write_text(SECRET)
    for link in (
        log_path(trajectory_folder(run, plan.ids[0])),
        trajectories_folder(run) / "elsewhere",
        decisions_path(run),
    ):
        link.parent.mkdir(exist_ok=True)
        link.symlink_to(outside if link.suffix == "" else outside / "profile")
        for lock in (driver_lock, worker_lock):
            with pytest.raises(RunFolderError, match="is a link that leads out"), lock(run):
                pass
        if link != decisions_path(run):  # a log of decisions that is none, is told as such
            assert call(monkeypatch, "status", run) == 0
            call(monkeypatch, "debug-dump", run, "--out", tmp_path / f"{link.name}.tar.gz")
            assert SECRET not in "".join(capsys.readouterr())
        link.unlink()
    found = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert [path for path in found if SECRET.encode() in path.read_bytes()] == [outside / "profile"]
    with driver_lock(run):
        pass


def test_gc_and_report_remove_nothing_that_a_link_leads_to(
    run: Path, plan: Plan, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    outside = tmp_path / "outside"
    (outside / "member").mkdir(parents=True)
    for path in (weights_path(outside / "member"), outside / "notes.txt", outside / "old.pt"):
        path.write_text("mine")
        os.utime(path, (0, 0))
    before = sorted(outside.rglob("*"))
    models = models_folder(run)
    (models / "linked").symlink_to(outside / "member")
    shutil.rmtree(training_folder(models))
    training_folder(models).symlink_to(outside)
    assert call(monkeypatch, "gc", run, "--keep", "none") == 0
    ModelStore(models, 1 << 30).publish("new", {"owner": "me"})
    shutil.rmtree(report_folder(run), ignore_errors=True)
    report_folder(run).symlink_to(outside)
    assert call(monkeypatch, "report", run) == 2
    shutil.rmtree(models)
    models.symlink_to(outside)
    assert call(monkeypatch, "gc", run, "--keep", "none") == 0
    assert sorted(outside.rglob("*")) == before


@pytest.mark.parametrize("name", ["../../outside", "/etc", "..", ".training/a"])
def test_names_that_climb_are_no_names(
    run: Path,
    plan: Plan,
    name: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    path = record_path(trajectory_folder(run, plan.ids[0]), 0)
    record = json.loads(path.read_text())
    path.write_text(json.dumps({**record, "members": [name]}))
    assert call(monkeypatch, "gc", run) == 2
    assert "members" in capsys.readouterr().err
    path.write_text(json.dumps(record))
    space = space_path(run)
    space.write_text(space.read_text().replace(plan.ids[1], name))
    assert call(monkeypatch, "status", run) == 2
    assert "trajectories" in capsys.readouterr().err


def test_a_worker_that_begins_anew_imports_nothing_from_where_it_is(
    run: Path, plan: Plan, exploded: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[list[str]] = []
    monkeypatch.setattr(worker_command.os, "execv", lambda _, words: asked.append(words))
    worker_command._renew(run, None)
    assert asked[0][-1] == str(run)
    subprocess.run([*asked[0][:-1], "--help"], cwd=run, check=True, capture_output=True)
    assert not exploded.exists()
    plain = [word for word in asked[0][:-1] if word != "-P"]
    subprocess.run([*plain, "--help"], cwd=run, check=False, capture_output=True)
    assert exploded.exists(), "which is what the test is about"
