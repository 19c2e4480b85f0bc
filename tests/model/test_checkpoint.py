import errno
import os
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
import torch

from alsweep.model.checkpoint import ModelStore


@pytest.fixture
def store(tmp_path):
    return ModelStore(tmp_path / "models", most_bytes=1 << 30)


def weights(value):
    return {"layer": torch.full((100,), float(value))}


def test_what_is_published_comes_back(store):
    assert store.meta("k") is None
    assert store.weights("k") is None
    store.publish("k", {"owner": "a"}, weights(3))
    assert store.meta("k") == {"owner": "a"}
    loaded = store.weights("k")
    assert loaded is not None
    assert torch.equal(loaded["layer"], torch.full((100,), 3.0))


def test_the_first_publication_wins(store):
    store.publish("k", {"owner": "first"}, weights(1))
    store.publish("k", {"owner": "second"}, weights(2))
    assert store.meta("k") == {"owner": "first"}
    assert store.weights("k")["layer"][0] == 1
    assert sorted(path.name for path in store.root.iterdir()) == ["k"]


def test_entries_longest_unused_make_room(tmp_path):
    store = ModelStore(tmp_path / "models", most_bytes=6000)
    for index, key in enumerate("abc"):
        store.publish(key, {"owner": key}, weights(index))
        old = time.time() - 100 + index
        os.utime(store.root / key / "meta.json", (old, old))
    assert store.weights("a") is not None  # used again: now "b" is the oldest
    store.publish("d", {"owner": "d"}, weights(4))
    assert store.meta("b") is None
    assert store.meta("a") is not None
    assert store.meta("d") is not None


def test_the_remains_of_killed_writers_go_when_they_are_old(store):
    store.publish("k", {"owner": "a"}, weights(1))
    for name in ("old", "fresh"):
        (store.root / f".new-{name}").mkdir()
    long_ago = time.time() - 2 * 24 * 3600
    os.utime(store.root / ".new-old", (long_ago, long_ago))
    store.publish("other", {"owner": "a"})
    assert sorted(path.name for path in store.root.iterdir()) == [".new-fresh", "k", "other"]


@pytest.mark.parametrize("torn", ["weights.pt", "meta.json"])
def test_a_torn_entry_counts_as_absent_and_can_be_made_again(store, torn, caplog):
    store.publish("k", {"owner": "a"}, weights(1))
    path = store.root / "k" / torn
    path.write_bytes(path.read_bytes()[:8])
    assert (store.weights("k") if torn == "weights.pt" else store.meta("k")) is None
    assert "cannot be read" in caplog.text
    store.publish("k", {"owner": "b"}, weights(2))
    assert store.meta("k") == {"owner": "b"}
    assert store.weights("k")["layer"][0] == 2


def test_an_entry_without_meta_is_not_given_an_empty_one(store):
    store.publish("k", {"owner": "a"}, weights(1))
    (store.root / "k" / "meta.json").unlink()
    assert store.weights("k") is None
    assert store.meta("k") is None
    assert not (store.root / "k" / "meta.json").exists()
    store.publish("k", {"owner": "b"}, weights(2))
    assert store.meta("k") == {"owner": "b"}


def test_many_writers_in_a_full_store_meet_no_error(tmp_path):
    store = ModelStore(tmp_path / "models", most_bytes=5000)

    def publish(writer):
        for index in range(25):
            store.publish(f"{writer}-{index}", {"owner": str(writer)}, weights(index))

    with ThreadPoolExecutor(3) as threads:
        list(threads.map(publish, range(3)))
    assert not list(store.root.glob(".new-*"))


def test_an_entry_without_weights_is_given_them(store):
    store.publish("k", {"owner": "a"}, weights(1))
    (store.root / "k" / "weights.pt").unlink()
    store.publish("k", {"owner": "b"}, weights(2))
    assert store.meta("k") == {"owner": "b"}
    assert store.weights("k")["layer"][0] == 2


@pytest.mark.parametrize("kind", [errno.EROFS, errno.EPERM, errno.EACCES])
def test_a_store_that_cannot_be_written_can_be_read(store, monkeypatch, kind):
    def refuse(*_, **__):
        raise OSError(kind, "cannot be written")

    store.publish("k", {"owner": "a"}, weights(3))
    store.publish("torn", {"owner": "a"}, weights(3))
    (store.root / "torn" / "weights.pt").write_bytes(b"no weights")
    monkeypatch.setattr(os, "utime", refuse)
    monkeypatch.setattr("tempfile.mkdtemp", refuse)
    assert store.weights("k")["layer"][0] == 3
    assert store.weights("torn") is None


def test_a_stray_file_beside_the_entries_is_left_alone(tmp_path):
    store = ModelStore(tmp_path / "models", most_bytes=1)
    store.publish("a", {"owner": "a"}, weights(1))
    (store.root / ".DS_Store").write_text("")
    store.publish("b", {"owner": "b"}, weights(2))
    assert sorted(path.name for path in store.root.iterdir()) == [".DS_Store", "b"]
