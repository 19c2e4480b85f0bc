from pathlib import Path

import pytest

from alsweep.errors import DiskFullError
from alsweep.files import write_bytes
from alsweep.layout import mishaps_folder, mishaps_path, old_mishaps_path
from alsweep.results.mishaps import Counts, counts_by_name, read_mishaps
from alsweep.sweep.tries import Setback, Tries

LOST = Setback("its node died", 1, "train")


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def tries(clock: Clock) -> Tries:
    return Tries(clock)


def test_what_is_lost_is_tried_again_without_limit_and_waits_longer_each_time(
    tries: Tries, clock: Clock, tmp_path: Path
) -> None:
    pauses = []
    for _ in range(12):
        assert tries.again(tmp_path, "a", LOST, retries=0) is not None
        pauses.append(tries.seconds_left("a"))
        clock.now += pauses[-1]
        assert tries.seconds_left("a") == 0
    assert pauses == [0, 2, 4, 8, 16, 32, 64, 128, 256, 300, 300, 300]
    assert tries.seconds_left("b") == 0
    told = tries.again(tmp_path, "a", LOST, 0)
    assert told == "its node died; that makes 13 times in one loop; it is tried again in 300 s"


def test_a_finished_loop_ends_the_pauses(tries: Tries, tmp_path: Path) -> None:
    for _ in range(5):
        tries.again(tmp_path, "a", LOST, 1)
    tries.went_on("a")
    assert tries.seconds_left("a") == 0
    assert tries.again(tmp_path, "a", LOST, 1) == "its node died; it is tried again"


@pytest.mark.parametrize(
    ("second", "again"),
    [
        (Setback("a bug in process 2", 1, "train", "bug:7"), False),
        (Setback("a bug in process 1", 1, "query", "bug:7"), True),
        (Setback("a bug in process 1", 2, "train", "bug:7"), True),
        (Setback("another", 1, "train", "bug:8"), True),
    ],
)
def test_the_same_error_twice_in_the_same_phase_is_enough(
    tries: Tries, tmp_path: Path, second: Setback, again: bool
) -> None:
    first = Setback("a bug in process 1", 1, "train", "bug:7")
    assert tries.again(tmp_path, "a", first, 1) == "a bug in process 1; it is tried again"
    assert tries.seconds_left("a") == 0
    assert tries.again(tmp_path, "b", second, 1) is not None, "of another trajectory"
    tries.again(tmp_path, "a", LOST, 1)
    assert (tries.again(tmp_path, "a", second, 1) is not None) == again


def test_both_counts_are_written_down_each_for_itself(tries: Tries, tmp_path: Path) -> None:
    tries.again(tmp_path, "a", LOST, 1)
    tries.again(tmp_path, "a", LOST, 1)
    tries.again(tmp_path, "b", Setback("a bug", 0, "query", "bug:7"), 1)
    (mine,) = mishaps_folder(tmp_path).iterdir()
    with mine.open("a") as file:
        file.write('{"kind": "lost"}\nnot even JSON\n{"torn')
    Tries().again(tmp_path, "b", LOST, 1)
    found = read_mishaps(tmp_path)
    assert [(one.kind, one.name, one.loop, one.phase, one.what) for one in found] == [
        ("lost", "a", 1, "train", "its node died"),
        ("lost", "a", 1, "train", "its node died"),
        ("error", "b", 0, "query", "a bug"),
        ("lost", "b", 1, "train", "its node died"),
    ]
    assert counts_by_name(found) == {"a": Counts(lost=2), "b": Counts(1, 1)}
    assert str(Counts.of(found)) == "3 workers or machines lost, 1 error raised"
    assert read_mishaps(tmp_path / "nowhere") == ()


def test_what_several_processes_note_down_is_read_together_in_the_order_of_time(
    tmp_path: Path,
) -> None:
    one, other = Tries(), Tries()
    for tries, name in ((one, "a"), (other, "b"), (one, "c"), (other, "d")):
        tries.again(tmp_path, name, LOST, 1)
    # A run of before: one file for all, beside which others may come now.
    _, second = sorted(mishaps_folder(tmp_path).iterdir())
    old_mishaps_path(tmp_path).write_bytes(second.read_bytes())
    second.unlink()
    mishaps_path(tmp_path, "a-folder").mkdir()
    assert [found.name for found in read_mishaps(tmp_path)] == ["a", "b", "c", "d"]


def test_what_could_not_be_written_is_written_with_the_next(
    tries: Tries, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(path: Path, content: bytes) -> None:
        raise DiskFullError("full")

    monkeypatch.setattr("alsweep.results.mishaps.write_bytes", full)
    tries.again(tmp_path, "a", LOST, 1)
    assert read_mishaps(tmp_path) == ()
    monkeypatch.setattr("alsweep.results.mishaps.write_bytes", write_bytes)
    tries.again(tmp_path, "b", LOST, 1)
    assert [found.name for found in read_mishaps(tmp_path)] == ["a", "b"]
