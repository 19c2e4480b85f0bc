"""Every sink keeps the contract; and a search space gets those that it names."""

import logging
import struct
from collections import defaultdict
from collections.abc import Callable
from importlib.metadata import EntryPoint
from pathlib import Path

import pytest
import wandb

from alsweep.config.base import STORED
from alsweep.config.sweep import SweepConfig, WandbConfig
from alsweep.errors import ConfigError
from alsweep.sweep.environment import sinks_of
from alsweep.sweep.running import _trackers
from alsweep.testing.sink_contract import CHECKS, Bench, Logged, example
from alsweep.tracking import sinks
from alsweep.tracking.base import BackgroundTracker, NullTracker
from alsweep.tracking.tensorboard import TensorBoardTracker
from alsweep.tracking.trackio import TrackioTracker
from alsweep.tracking.wandb import WandbTracker
from tests.tracking.wandb_files import read_offline_run


def of_wandb(run: Path) -> Logged:
    """What a first sync of all folders would send."""
    wandb.teardown()
    found = defaultdict(list)
    for folder in sorted((run / "wandb").glob("offline-run-*")):
        one = read_offline_run(folder)
        found[one.name] += [(step, one.history[step]) for step in one.steps]
    return found


def of_tensorboard(run: Path) -> Logged:
    from tensorboardX.proto.event_pb2 import Event

    found = {}
    for folder in (run / "tensorboard").iterdir():
        steps: dict[int, list[tuple[str, float]]] = defaultdict(list)
        for path in folder.glob("events.*"):
            content, at = path.read_bytes(), 0
            while at < len(content):
                (length,) = struct.unpack_from("<Q", content, at)
                event = Event.FromString(content[at + 12 : at + 12 + length])
                at += length + 16
                for value in event.summary.value:
                    if value.tag.startswith("al/"):
                        steps[event.step].append((value.tag, value.simple_value))
        if folder.name != "mirrored":
            for pairs in steps.values():
                assert len({tag for tag, _ in pairs}) == len(pairs)  # no step twice
            found[folder.name] = [(step, dict(steps[step])) for step in sorted(steps)]
    return found


def of_trackio(_: Path) -> Logged:
    from trackio.sqlite_storage import SQLiteStorage

    found = defaultdict(list)
    for run in SQLiteStorage.get_run_records("contract"):
        logs = SQLiteStorage.get_logs("contract", run_id=run["id"])
        found[run["name"]] += [(one["step"], one) for one in logs]
    return found


def make_trackio(run: Path) -> TrackioTracker:
    return TrackioTracker(run, "contract")


def make_wandb(run: Path) -> WandbTracker:
    return WandbTracker(run, WandbConfig(mode="offline", project="contract"))


KINDS = {
    "tensorboard": (TensorBoardTracker, of_tensorboard),
    "trackio": (make_trackio, of_trackio),
    "wandb": (make_wandb, of_wandb),
}


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
@pytest.mark.parametrize("kind", KINDS)
def test_it_keeps_the_contract(
    kind: str, check: Callable[[Bench], None], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if kind == "trackio":
        storage = pytest.importorskip("trackio.sqlite_storage")
        monkeypatch.setattr(storage, "TRACKIO_DIR", tmp_path)
    make, read = KINDS[kind]
    bench = Bench(lambda: make(tmp_path), lambda: read(tmp_path), wandb.teardown)
    check(bench)


def test_a_search_space_names_its_sinks() -> None:
    assert sinks.sink("tensorboard") is TensorBoardTracker
    with pytest.raises(ConfigError, match="unknown sink 'tensorbord'; did you mean 'tensorboard'"):
        sinks.sink("tensorbord")


def test_a_sweep_feeds_the_sinks_that_it_names_and_its_file_keeps_them(tmp_path: Path) -> None:
    raw = {"name": "x", "dataset": "/data/phantom", "sinks": ["tensorboard"]}
    sweep = SweepConfig.model_validate(raw)
    assert SweepConfig.model_validate(sweep.plain(), context=STORED).sinks == ("tensorboard",)
    trackers = _trackers(WandbConfig(mode="disabled"), sinks_of(sweep), tmp_path)
    tracked, records = example()
    trackers.update(tracked, records)
    trackers.close()
    assert [step for step, _ in of_tensorboard(tmp_path)[tracked.id]] == [0, 1, 2]
    assert not (tmp_path / "wandb").exists()
    with pytest.raises(ConfigError, match="unknown sink 'mlflow'; known: tensorboard, trackio"):
        sinks_of(sweep.model_copy(update={"sinks": ("mlflow",)}))


def test_a_missing_package_is_named_before_anything_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sinks, "find_spec", lambda package: None)
    with pytest.raises(ConfigError, match=r"trackio needs the package trackio; .*alsweep\[sinks\]"):
        sinks.sink("trackio")


def test_other_packages_offer_sinks(monkeypatch: pytest.MonkeyPatch) -> None:
    points = {
        "theirs": EntryPoint("theirs", "alsweep.tracking.base:NullTracker", sinks.GROUP),
        "gone": EntryPoint("gone", "alsweep.tracking.nowhere:Sink", sinks.GROUP),
    }
    monkeypatch.setattr(sinks, "_points", lambda: points)
    assert sinks.sink("theirs") is NullTracker
    with pytest.raises(ConfigError, match=r"gone .* cannot be loaded"):
        sinks.sink("gone")


def test_one_that_breaks_stops_no_other(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    class Broken(NullTracker):
        def update(self, *_: object) -> None:
            raise ConnectionError("no route")

    both = sinks.Several(
        [BackgroundTracker(Broken), BackgroundTracker(lambda: TensorBoardTracker(tmp_path))]
    )
    tracked, records = example()
    with caplog.at_level(logging.WARNING):
        both.update(tracked, records)
        both.close()
    assert "no route" in caplog.text
    assert [step for step, _ in of_tensorboard(tmp_path)[tracked.id]] == [0, 1, 2]
