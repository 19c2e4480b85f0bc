import hashlib
import io
import json
import shutil
import tarfile
from pathlib import Path

import pandas as pd
import pytest
from ruamel.yaml import YAML

from alsweep import Trajectory
from alsweep.config.load import load_sweep
from alsweep.data.phantom import write_phantom
from alsweep.errors import RunFolderError
from alsweep.layout import models_folder, space_path, trajectory_folder
from alsweep.report.paper import TIMED, write_paper
from alsweep.sweep.planning import plan_read
from alsweep.sweep.run_folder import write_space
from alsweep.testing.runs import write_run


def unpacked(path: Path) -> dict[str, bytes]:
    with tarfile.open(path) as archive:
        members = archive.getmembers()
        assert {m.mtime for m in members} == {0}
        return {m.name.split("/", 1)[1]: archive.extractfile(m).read() for m in members}


def test_the_archive_holds_what_the_run_decided_and_measured(run, tmp_path):
    raw = YAML(typ="safe", pure=True).load(space_path(run))
    with space_path(run).open("w") as file:
        YAML(typ="safe", pure=True).dump(raw | {"on_event": ["notify", "secret-token"]}, file)
    held = unpacked(write_paper(run, tmp_path / "a.tar.gz"))
    for kind in ("config.json", "queries/loop_003.json", "records/loop_003.json"):
        paths = [*run.glob(f"trajectories/*/{kind}")]
        assert len(paths) == 6
        for path in paths:
            assert held[str(path.relative_to(run))] == path.read_bytes()
    table = pd.read_csv(io.BytesIO(held["table.csv"]))
    assert len(table) == 6 * 4
    assert not {*TIMED} & {*table.columns}
    assert {"figures/learning_curves.csv", "figures/win_matrix.csv"} <= held.keys()
    assert "- **Seeds**: 0, 1; the same for every strategy" in held["checklist.md"].decode()
    assert json.loads(held["versions.json"])["archive"]["packages"]["torch"] is not None
    assert "secret-token" not in held["sweep.yaml"].decode()
    assert YAML(typ="safe", pure=True).load(held["sweep.yaml"]) == raw
    for line in held.pop("SHA256SUMS").decode().splitlines():
        digest, name = line.split("  ")
        assert hashlib.sha256(held.pop(name)).hexdigest() == digest
    assert held == {}


def test_what_the_clock_said_is_in_nothing_but_what_tells_of_hours(tmp_path):
    for name in ("first", "second"):
        write_run(tmp_path / name / "run", strategies={"random": 0.4, "random_fg66": 0.6})
    for path in (tmp_path / "second").glob("run/trajectories/*/records/*.json"):
        record = json.loads(path.read_text())
        path.write_text(json.dumps(record | {"train_seconds": 99.0, "cached_members": 0}))
    first = write_paper(tmp_path / "first" / "run", tmp_path / "first.tar.gz")
    second = write_paper(tmp_path / "second" / "run", tmp_path / "second.tar.gz")
    one, other = unpacked(first), unpacked(second)
    differing = {name for name in one if one[name] != other[name]}
    timed = {name for name in one if "/records/" in name}
    hours = {
        f"figures/{name}.csv" for name in ("hours", "savings", "hypervolume", "front", "compute")
    }
    assert differing == {*timed, *hours, "SHA256SUMS", "results.parquet", "checklist.md"}


def test_what_is_there_is_not_overwritten_and_nothing_finished_is_refused(run, tmp_path):
    (tmp_path / "a.tar.gz").write_text("mine")
    with pytest.raises(RunFolderError, match="is there already"):
        write_paper(run, tmp_path / "a.tar.gz")
    for path in run.glob("trajectories/*/records/loop_003.json"):
        path.unlink()
    with pytest.raises(RunFolderError, match="no trajectory is finished yet"):
        write_paper(run, tmp_path / "b.tar.gz")


SPACE = """
name: tiny
dataset: {dataset}
base:
  query: {{patches: 6, loops: 2, patch_size: [8, 8, 8], stride: 2}}
  training: {{epochs: 1, iterations_per_epoch: 2, members: 2, folds: 2, features: [4, 4, 4],
             patch_size: [16, 16, 16]}}
  strategy: predictive_entropy
"""


def make(space: Path, run: Path) -> None:
    """What ``alsweep run`` does, less Ray: the same plan and trajectories, one after the other."""
    plan = plan_read(load_sweep(space), space, run)
    run.mkdir()
    write_space(run, plan)
    for one in plan.trajectories:
        folder = trajectory_folder(run, one.id)
        trajectory = Trajectory(one.config, folder, models=models_folder(run))
        for _ in range(one.config.query.loops):
            trajectory.step()


def test_the_table_comes_out_again_byte_for_byte(tmp_path):
    """Training is real, and it is the search space in the archive that is trained again."""
    dataset = write_phantom(tmp_path / "dataset", cases=8, shape=(24, 24, 24), seed=3).path
    (tmp_path / "tiny.yaml").write_text(SPACE.format(dataset=dataset))
    make(tmp_path / "tiny.yaml", tmp_path / "first")
    first = write_paper(tmp_path / "first", tmp_path / "first.tar.gz")
    shutil.unpack_archive(first, tmp_path / "unpacked")
    (space,) = (tmp_path / "unpacked").glob("*/sweep.yaml")
    make(space, tmp_path / "again")
    one, other = unpacked(first), unpacked(write_paper(tmp_path / "again", tmp_path / "2.tar.gz"))
    assert one["table.csv"].count(b"\n") == 3
    assert one["table.csv"] == other["table.csv"]
    queries = [name for name in one if "/queries/" in name]
    assert len(queries) == 2
    for name in queries:
        assert one[name] == other[name]
