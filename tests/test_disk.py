"""Full disks: told in one line, by whoever meets them first, and nothing is lost."""

import errno
import sys
from collections.abc import Iterator
from pathlib import Path
from pickle import UnpicklingError

import pytest
import torch
import zarr

from alsweep.cli import main as cli
from alsweep.disk import (
    RESERVE,
    full_disk,
    full_disk_told,
    in_words,
    mount_point,
    require_room,
)
from alsweep.errors import DiskFullError
from alsweep.files import read_json, write_json
from alsweep.model.checkpoint import ModelStore
from alsweep.model.nnunet_state import write_state
from alsweep.model.resuming import TrainingFile
from tests.small_disk import fill, small_disk

MIB = 1 << 20


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    with small_disk(tmp_path / "disk", 20) as folder:
        yield folder


def weights(mib: int) -> dict[str, torch.Tensor]:
    return {"layer": torch.zeros(mib * MIB // 4)}


def test_what_was_there_stays_and_the_disk_is_named(disk: Path) -> None:
    path = disk / "folder" / "value.json"
    write_json(path, [1, 2])
    filler = fill(disk)
    with pytest.raises(DiskFullError) as told:
        write_json(path, list(range(10_000)))
    line = str(told.value)
    assert f"the disk {disk} is full, with 0.0 MiB of 20 MiB free" in line
    assert "free space on it, choose an --out on another disk" in line
    assert "\n" not in line
    assert read_json(path) == [1, 2]
    assert list(path.parent.iterdir()) == [path]
    filler.unlink()
    write_json(path, [3])
    assert read_json(path) == [3]


def test_a_reserve_is_kept(disk: Path) -> None:
    fill(disk, left=RESERVE + 2 * MIB)
    require_room(disk / "not" / "there" / "yet", MIB)
    with pytest.raises(DiskFullError, match=r"19 MiB are needed"):
        require_room(disk, 3 * MIB)


def test_of_a_disk_that_is_too_small_altogether_no_room_can_be_made(disk: Path) -> None:
    with pytest.raises(DiskFullError) as told:
        require_room(disk, 8 * MIB)
    assert str(told.value).endswith(
        "24 MiB are needed; choose an --out in a folder on a larger disk"
    )
    fill(disk, left=RESERVE)
    with pytest.raises(DiskFullError, match="free space on it, choose an --out on another disk"):
        require_room(disk, MIB)


def test_a_member_without_room_is_not_begun_to_be_written(disk: Path) -> None:
    store = ModelStore(disk / "models", most_bytes=1 << 30)
    store.publish("small", {"owner": "a"}, weights(1))
    training = TrainingFile(store.training_file("large"), minutes=0)
    training.save({"epoch": torch.zeros(3)})
    with pytest.raises(DiskFullError, match="are needed"):
        store.publish("large", {"owner": "a"}, weights(8))
    assert sorted(path.name for path in store.root.iterdir()) == [".training", "small"]
    assert store.weights("small") is not None
    assert TrainingFile(store.training_file("large"), minutes=0).load() is not None


def test_a_checkpoint_without_room_leaves_the_one_before(disk: Path) -> None:
    training = TrainingFile(disk / "training.pt", minutes=0)
    training.save({"epoch": 1})
    with pytest.raises(DiskFullError):
        training.save({"epoch": 2, **weights(8)})
    assert TrainingFile(disk / "training.pt", minutes=0).load() == {"epoch": 1}


def test_a_disk_that_fills_behind_the_guards_back_leaves_no_half_entry(
    disk: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = ModelStore(disk / "models", most_bytes=1 << 30)
    store.publish("small", {"owner": "a"}, weights(1))
    monkeypatch.setattr("alsweep.model.checkpoint.require_room", lambda folder, size: None)
    fill(disk, left=2 * MIB)
    with pytest.raises(DiskFullError, match=f"the disk {disk} is full"):
        store.publish("large", {"owner": "a"}, weights(8))
    assert [path.name for path in store.root.iterdir()] == ["small"]


def write_with_torch(folder: Path) -> None:
    torch.save(weights(1), folder / "weights.pt")


def write_with_zarr(folder: Path) -> None:
    made = zarr.create_array(folder / "a.zarr", shape=(100_000,), dtype="int64", compressors=None)
    made[:] = 7


def make_folders(folder: Path) -> None:
    for index in range(100_000):
        (folder / f"{index}").mkdir()
        (folder / f"{index}" / "file").write_text("x")


def write_a_state(folder: Path) -> None:
    write_state(folder, weights(1))


@pytest.mark.parametrize("write", [write_with_torch, write_with_zarr, write_a_state, make_folders])
def test_whoever_meets_it_a_full_disk_is_told_as_such(disk: Path, write) -> None:
    fill(disk)
    with pytest.raises(DiskFullError, match=f"the disk {disk} is full"), full_disk_told(disk):
        write(disk)


def test_what_comes_back_torn_from_a_full_disk_is_told_as_such(disk: Path) -> None:
    assert full_disk(EOFError("Ran out of input"), disk) is None
    fill(disk)
    for torn in (EOFError("Ran out of input"), UnpicklingError("pickle data was truncated")):
        assert "is full" in str(full_disk(torn, disk))
    assert full_disk(ValueError("no"), disk) is None


def test_a_quota_and_a_cause_are_recognised(tmp_path: Path) -> None:
    error = RuntimeError("wrapped")
    error.__cause__ = OSError(errno.EDQUOT, "Disk quota exceeded", str(tmp_path / "x"))
    told = str(full_disk(error, Path("/proc")))
    assert told.startswith(f"the disk {mount_point(tmp_path)} is full")
    assert "your quota on it is used up" in told


def test_other_errors_pass_untouched(tmp_path: Path) -> None:
    error = PermissionError(errno.EACCES, "no", "x")
    with pytest.raises(PermissionError) as caught, full_disk_told(tmp_path):
        raise error
    assert caught.value is error


@pytest.mark.parametrize(
    ("error", "code", "said"),
    [
        (OSError(errno.ENOSPC, "No space left on device"), 1, "is full"),
        (EOFError("Ran out of input"), 1, "EOFError: Ran out of input; run again with --debug"),
    ],
)
def test_every_verb_tells_it_in_one_line(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture,
    error: BaseException,
    code: int,
    said: str,
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr("alsweep.query.strategies", fail)
    monkeypatch.setattr(sys, "argv", ["alsweep", "strategies"])
    with pytest.raises(SystemExit) as stop:
        cli.main()
    assert stop.value.code == code
    last = capsys.readouterr().err.strip().splitlines()[-1]
    assert last.startswith("alsweep: error: ")
    assert said in last


def test_bytes_in_words() -> None:
    sizes = (0, 3.4 * MIB, 9.99 * MIB, 999 * MIB, 12 * 1024 * MIB, 2**41)
    assert [in_words(size) for size in sizes] == [
        "0.0 MiB",
        "3.4 MiB",
        "10 MiB",
        "999 MiB",
        "12 GiB",
        "2.0 TiB",
    ]
