import logging
import os

import pytest
import torch

from alsweep.model.checkpoint import ModelStore
from alsweep.model.resuming import TrainingFile

STATE = {"layer": torch.arange(100.0), "epochs": 3, "nested": {"rate": 0.1, "flags": [None, True]}}


@pytest.fixture
def path(tmp_path):
    return tmp_path / "models" / ".training" / "k.pt"


def test_what_was_saved_last_comes_back(path):
    assert TrainingFile(path, 0).load() is None
    file = TrainingFile(path, 0)
    file.save({"epochs": 1})
    file.save(STATE)
    loaded = TrainingFile(path, 0).load()
    assert torch.equal(loaded.pop("layer"), STATE["layer"])
    assert loaded == {"epochs": 3, "nested": {"rate": 0.1, "flags": [None, True]}}
    assert [file.name for file in path.parent.iterdir()] == ["k.pt"]


def test_seconds_go_on_from_those_that_were_saved(path, monkeypatch):
    clock = [100.0]
    monkeypatch.setattr("time.monotonic", lambda: clock[0])
    first = TrainingFile(path, 0)
    clock[0] += 7
    first.save(STATE)
    clock[0] += 50  # lost with the process: nobody knows how long it lived
    second = TrainingFile(path, 0)
    second.load()
    clock[0] += 3
    assert second.seconds == 10


def test_a_checkpoint_is_due_after_so_many_minutes(path, monkeypatch):
    clock = [0.0]
    monkeypatch.setattr("time.monotonic", lambda: clock[0])
    file, always = TrainingFile(path, 5), TrainingFile(path, 0)
    assert (file.due(), always.due()) == (False, True)
    clock[0] = 300
    assert file.due()
    file.save(STATE)
    assert (file.due(), always.due()) == (False, True)
    clock[0] = 599
    assert not file.due()


@pytest.mark.parametrize("damage", [lambda b: b[:-1], lambda b: b[:40], lambda b: b"", bytes.upper])
def test_a_damaged_file_is_discarded_with_a_warning(path, damage, caplog):
    file = TrainingFile(path, 0)
    file.save(STATE)
    path.write_bytes(damage(path.read_bytes()))
    with caplog.at_level(logging.WARNING):
        assert TrainingFile(path, 0).load() is None
    assert caplog.text.count("warning: ") == 1
    assert not path.exists()


def test_a_file_of_another_torch_is_discarded(path, monkeypatch):
    TrainingFile(path, 0).save(STATE)
    monkeypatch.setattr(torch, "__version__", "1.0")
    assert TrainingFile(path, 0).load() is None


def test_a_publication_ends_its_training_and_no_other(tmp_path):
    store = ModelStore(tmp_path / "models", most_bytes=1)
    for key in "ab":
        TrainingFile(store.training_file(key), 0).save(STATE)
    store.publish("a", {"owner": "me"}, {"layer": torch.ones(2)})
    assert store.meta("a") is not None
    assert not store.training_file("a").exists()
    assert store.training_file("b").exists()  # trainings take no room from entries, nor they theirs


def test_a_training_that_nobody_goes_on_with_is_cleaned_away(tmp_path):
    store = ModelStore(tmp_path / "models", most_bytes=1 << 30)
    for key, days in (("old", 15), ("recent", 13)):
        file = store.training_file(key)
        TrainingFile(file, 0).save(STATE)
        then = file.stat().st_mtime - days * 24 * 3600
        os.utime(file, (then, then))
    store.publish("k", {"owner": "me"})
    assert [file.name for file in (store.root / ".training").iterdir()] == ["recent.pt"]
