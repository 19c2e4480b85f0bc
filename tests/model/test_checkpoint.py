import os
import time

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


def test_a_killed_writer_leaves_no_entry(store):
    store.publish("k", {"owner": "a"}, weights(1))
    (store.root / ".new-killed").mkdir()
    assert store.meta(".new-killed") is None
    assert store.weights("other") is None
