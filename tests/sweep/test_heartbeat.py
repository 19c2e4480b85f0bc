from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from alsweep.sweep.heartbeat import Heartbeat, SignOfLife, read_sign_of_life, silent_seconds
from alsweep.trajectory.progress import Progress

NAIVE = '{"loop": 1, "phase": "train", "done": 0, "total": 1, "time": "2026-01-31T12:00:00"}'


def test_a_beat_within_half_a_second_is_dropped_unless_its_phase_is_new(tmp_path: Path) -> None:
    now = 0.0
    beat = Heartbeat(tmp_path, clock=lambda: now)
    seen = []
    for time, progress in [
        (0.0, Progress(0, "train", 0, 9)),
        (0.3, Progress(0, "train", 1, 9)),
        (0.6, Progress(0, "train", 2, 9)),
        (0.7, Progress(0, "evaluate", 0, 4)),
        (0.8, Progress(1, "evaluate", 0, 4)),
    ]:
        now = time
        beat(progress)
        found = read_sign_of_life(tmp_path)
        assert found is not None
        seen.append((found.loop, found.phase, found.done))
    train, evaluate = (0, "train"), (0, "evaluate")
    assert seen == [(*train, 0), (*train, 0), (*train, 2), (*evaluate, 0), (1, "evaluate", 0)]


def test_a_beat_that_cannot_be_written_does_not_stop_the_work() -> None:
    Heartbeat(Path("/proc/nowhere"))(Progress(0, "train", 0, 1))


@pytest.mark.parametrize("content", [None, "", "{", '{"loop": 1}', NAIVE])
def test_what_is_no_sign_of_life_reads_as_none(tmp_path: Path, content: str | None) -> None:
    if content is not None:
        (tmp_path / "progress.json").write_text(content)
    assert read_sign_of_life(tmp_path) is None


def test_a_fresh_beat_is_not_silent(tmp_path: Path) -> None:
    Heartbeat(tmp_path)(Progress(0, "train", 0, 1))
    beat = read_sign_of_life(tmp_path)
    assert beat is not None
    assert 0 <= silent_seconds(beat) < 5


def test_a_beat_from_a_clock_that_is_ahead_is_fresh() -> None:
    ahead = datetime.now(UTC) + timedelta(days=1)
    assert silent_seconds(SignOfLife(loop=0, phase="train", done=0, total=1, time=ahead)) == 0
