"""A folder that stands for a run in a store: what is written goes there, in the same order."""

import hashlib
import os
import pickle
from pathlib import Path

import pytest
import torch

from alsweep.errors import RunFolderError, StoreAwayError, StoreError
from alsweep.files import append_lines, remove, write_bytes, write_json
from alsweep.layout import (
    decisions_path,
    error_path,
    labels_folder,
    log_path,
    meta_path,
    models_folder,
    progress_path,
    query_path,
    record_path,
    report_folder,
    space_path,
    trajectory_folder,
    wandb_folder,
    weights_path,
)
from alsweep.model.checkpoint import ModelStore
from alsweep.model.resuming import TrainingFile
from alsweep.storage.client import Store
from alsweep.storage.mirror import mark, mirror_at
from alsweep.storage.rooms import known_as, refresh, shown, to_read, to_train_in
from alsweep.storage.standins import with_networks
from tests.storage.conftest import BUCKET, Line, keys_of

KEY = "f" * 64


@pytest.fixture
def root(prefix: str, tmp_path: Path) -> Path:
    folder = tmp_path / "run"
    mark(folder, prefix, 1)
    return folder


def another(prefix: str, root: Path) -> Path:
    """Of the same run, on another node."""
    folder = root.with_name("another")
    mark(folder, prefix, 1)
    return folder


def test_durable_writes_are_there_one_by_one_and_all_else_is_not(root, prefix, line: Line, s3):
    folder = trajectory_folder(root, "ID")
    written = [record_path(folder, 0), query_path(folder, 1), error_path(folder), space_path(root)]
    for path in written:
        write_json(path, {})
    append_lines(decisions_path(root), [b"1"])
    append_lines(decisions_path(root), [b"2"])
    remove(error_path(folder))
    for path in (root / ".tmp" / "x", models_folder(root) / KEY / "meta.json", root / "other"):
        write_bytes(path, b"own")
    there = keys_of(s3, prefix)
    names = {path.relative_to(root).as_posix() for path in written} - {"trajectories/ID/error.json"}
    assert there.keys() == names | {"decisions.jsonl"}
    assert there["decisions.jsonl"] == b"1\n2\n"
    put = [path.partition("trajectories/ID/")[2] for method, path in line.asked if method == "PUT"]
    assert put[:2] == ["records/loop_000.json", "queries/loop_001.json"]


def test_a_commit_is_made_once(root, prefix, s3):
    query = query_path(trajectory_folder(root, "ID"), 1)
    write_bytes(query, b"first")
    write_bytes(query, b"first")
    with pytest.raises(RunFolderError, match=r"loop_001.json was committed by somebody else"):
        write_bytes(query, b"second")
    assert keys_of(s3, prefix)["trajectories/ID/queries/loop_001.json"] == b"first"


def test_a_write_that_does_not_arrive_is_told_and_nothing_after_it_is_written(
    root, prefix, line: Line, s3, monkeypatch
):
    monkeypatch.setenv("ALSWEEP_STORE_SECONDS", "0")
    folder = trajectory_folder(root, "ID")
    line.disturb = lambda method, path: 503 if "records" in path else None
    with pytest.raises(StoreAwayError, match="has not answered"):
        write_bytes(record_path(folder, 0), b"record")
    assert keys_of(s3, prefix) == {}


def test_a_mirror_is_brought_up_to_what_is_there(root, prefix, line: Line):
    folder = trajectory_folder(root, "ID")
    for loop in range(2):
        write_bytes(record_path(folder, loop), b"record")
        write_bytes(query_path(folder, loop), b"query")
    Store(prefix).put("models/KEY/weights.pt", b"large")
    Store(prefix).put("trajectories/ID/labels.zarr/case/0", b"a view")
    Store(prefix).put("stray", b"somebody else's")
    node = another(prefix, root)
    own = trajectory_folder(node, "ID")
    for path in (record_path(own, 7), query_path(own, 0)):
        path.parent.mkdir(parents=True)
        path.write_bytes(b"old")
    mirror_at(node).fetch()
    found = {p.relative_to(node).as_posix(): p.read_bytes() for p in own.rglob("*") if p.is_file()}
    assert found == {
        f"trajectories/ID/{name}/loop_00{loop}.json": name.replace("ies", "y")
        .removesuffix("s")
        .encode()
        for name in ("records", "queries")
        for loop in range(2)
    }
    assert {path.name for path in node.iterdir()} == {".alsweep.mirror", "trajectories"}
    line.asked.clear()
    mirror_at(node).fetch()
    assert [method for method, _ in line.asked] == ["GET"]  # a listing, since nothing is new


def test_half_an_object_is_never_read(root, prefix, line: Line, monkeypatch):
    monkeypatch.setenv("ALSWEEP_STORE_SECONDS", "0")
    folder = trajectory_folder(root, "ID")
    write_bytes(record_path(folder, 0), b"0123456789")
    node = another(prefix, root)
    line.disturb = lambda method, path: "cut" if "records" in path and "list" not in path else None
    with pytest.raises(StoreAwayError):
        mirror_at(node).fetch()
    assert not record_path(trajectory_folder(node, "ID"), 0).exists()
    assert [path.name for path in node.rglob("*") if path.is_file()] == [".alsweep.mirror"]


def test_keys_that_lead_elsewhere_are_refused_before_anything_is_fetched(root, prefix, s3):
    folder = prefix.removeprefix(f"s3://{BUCKET}/")
    s3.put_object(Bucket=BUCKET, Key=f"{folder}/records/../../../evil", Body=b"x")
    s3.put_object(Bucket=BUCKET, Key=f"{folder}/sweep.yaml", Body=b"x")
    with pytest.raises(StoreError, match="no plain path"):
        mirror_at(root).fetch()
    assert not space_path(root).exists()
    assert not (root.parent / "evil").exists()


def test_a_reader_writes_nothing_there_but_what_it_sends(prefix, s3):
    Store(prefix).put("sweep.yaml", b"name: tiny\n")
    with to_read(Path(prefix)) as run:
        assert space_path(run).read_bytes() == b"name: tiny\n"
        write_bytes(decisions_path(run), b"{}")
        assert keys_of(s3, prefix).keys() == {"sweep.yaml"}
        assert known_as(report_folder(run)) == f"{prefix}/report"
        assert shown(run) == prefix
        Store(prefix).put("sweep.yaml", b"name: other\n")
        refresh(run)
        assert space_path(run).read_bytes() == b"name: other\n"
        with pytest.raises(RunFolderError, match=f"^{prefix}: no"), to_read(Path(prefix)) as run:
            raise RunFolderError(f"{run}: no")


def test_a_run_that_was_removed_there_leaves_nothing_here(prefix, tmp_path):
    store = Store(prefix)
    store.put("sweep.yaml", b"name: tiny\n")
    with to_read(Path(prefix)) as run:
        write_bytes(report_folder(run) / "index.html", b"of the old one")
    store.delete(["sweep.yaml"])
    with to_read(Path(prefix)) as run:
        assert [path.name for path in run.iterdir()] == [".alsweep.mirror"]


def test_tables_and_report_follow_at_the_end_and_what_is_of_this_machine_does_not(root, prefix, s3):
    report = report_folder(root)
    own = [root / "results.parquet", report / "index.html", report / "queries" / "a.png"]
    others = [wandb_folder(root) / "x", report / ".x.tmp" / "y", root / ".starts" / "z"]
    of_workers = [
        log_path(trajectory_folder(root, "ID")),
        progress_path(trajectory_folder(root, "ID")),
    ]
    for path in (*own, *others, *of_workers):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(path.name.encode())
    Store(prefix).put("report/old.csv", b"of an earlier report")
    mirror_at(root).publish_rest()
    assert keys_of(s3, prefix) == {p.relative_to(root).as_posix(): p.name.encode() for p in own}


def members(root: Path) -> ModelStore:
    return ModelStore(models_folder(root), 1 << 30)


def weights(value: float) -> dict[str, torch.Tensor]:
    return {"w": torch.full((3,), value)}


def test_a_network_is_there_for_every_node_and_the_first_counts(root, prefix, line: Line, s3):
    here, there = members(root), members(another(prefix, root))
    assert here.meta(KEY) is None
    here.publish(KEY, {"owner": "a"}, weights(1.0))
    puts = [path for method, path in line.asked if method == "PUT"]
    assert [path.split("?")[0].rpartition("/")[2] for path in puts] == ["weights.pt", "meta.json"]
    there.publish(KEY, {"owner": "b"}, weights(2.0))
    for store in (here, there):
        assert torch.equal(store.weights(KEY)["w"], torch.ones(3))
        assert store.meta(KEY) == {"owner": "a"}
    third = members(another(prefix, root / "x"))
    assert third.meta(KEY) == {"owner": "a"}
    assert torch.equal(third.weights(KEY)["w"], torch.ones(3))


def test_nodes_share_their_networks_among_drivers_but_not_their_trajectories(prefix):
    first = to_train_in(prefix, 1)
    assert to_train_in(prefix, 1) == first
    members(first).publish(KEY, {"owner": "a"}, weights(1.0))
    second = to_train_in(prefix, 2)
    assert (second != first, first.exists()) == (True, False)
    assert meta_path(models_folder(second) / KEY).exists()
    assert to_train_in(prefix, 1).exists()
    assert second.exists()


def test_a_training_goes_on_on_another_node(root, prefix, s3):
    here, there = members(root), members(another(prefix, root))
    state = {"epoch": 3, "w": torch.ones(2)}
    TrainingFile(here.training_file(KEY), 0).save(state)
    found = TrainingFile(there.training_file(KEY), 0).load()
    assert found["epoch"] == 3
    assert torch.equal(found["w"], torch.ones(2))
    assert keys_of(s3, prefix).keys() == {f"models/.training/{KEY}.pt"}
    there.publish(KEY, {"owner": "a"}, weights(1.0))
    assert keys_of(s3, prefix).keys() == {f"models/{KEY}/{n}" for n in ("weights.pt", "meta.json")}
    Store(prefix).put(f"models/.training/{KEY}.pt", b"torn")
    third = members(another(prefix, root / "x"))
    assert TrainingFile(third.training_file(KEY), 0).load() is None
    assert f"models/.training/{KEY}.pt" not in keys_of(s3, prefix)


class Bomb:
    def __reduce__(self):
        return os.mkdir, (str(Path(os.environ["ALSWEEP_CACHE"]).with_name("exploded")),)


def test_a_pickle_in_the_place_of_weights_is_never_run(root, prefix, s3, tmp_path, caplog):
    store = Store(prefix)
    store.put(f"models/{KEY}/weights.pt", pickle.dumps(Bomb(), protocol=2))
    store.put(f"models/{KEY}/meta.json", b'{"owner": "evil", "seconds": 1}')
    assert members(root).meta(KEY) == {"owner": "evil", "seconds": 1}
    assert members(root).weights(KEY) is None
    assert not (tmp_path / "exploded").exists()
    assert "counts as absent" in caplog.text
    assert keys_of(s3, prefix) == {}
    members(root).publish(KEY, {"owner": "a"}, weights(1.0))
    mended = members(another(prefix, root))
    assert mended.meta(KEY) == {"owner": "a"}
    assert torch.equal(mended.weights(KEY)["w"], torch.ones(3))


def test_networks_are_weighed_without_being_fetched(root, prefix, s3, line: Line):
    content = os.urandom(100_000)
    store = Store(prefix)
    store.put(f"models/{KEY}/weights.pt", content)
    store.put(f"models/{KEY}/meta.json", b"{}")
    entry = models_folder(root) / KEY
    with with_networks(root) as gone:
        assert weights_path(entry).stat().st_size == 100_000
        assert meta_path(entry).read_bytes() == b"{}"
        weights_path(entry).unlink()
        gone([weights_path(entry)])
    assert keys_of(s3, prefix) == {f"models/{KEY}/meta.json": b"{}"}
    asked = [path for method, path in line.asked if method == "GET" and "weights" in path]
    assert asked == []


def test_views_are_stepped_over_in_a_listing(root, prefix, monkeypatch):
    monkeypatch.setattr("alsweep.storage.client._PAGE", 3)
    folder, store = trajectory_folder(root, "ID"), mirror_at(root).store
    for number in range(9):
        store.put(mirror_at(root).key(labels_folder(folder) / f"{number}"), b"x")
    write_bytes(query_path(folder, 0), b"{}")
    assert [one.key for one in mirror_at(root).listed()] == [
        "trajectories/ID/queries/loop_000.json"
    ]
    assert store.traffic.requests["LIST"] == 2
    digest = hashlib.md5(b"{}").hexdigest()
    assert next(iter(mirror_at(root).listed())).etag.strip('"') == digest
