import logging
import threading
import time

import pytest

from alsweep.tracking.base import BackgroundTracker, NullTracker, Tracked
from tests.tracking.conftest import TrackedOf


class Recorder:
    def __init__(self) -> None:
        self.updates: list[tuple[str, int]] = []
        self.closed = False
        self.thread = threading.current_thread()

    def update(self, tracked: Tracked, records: object) -> None:
        self.updates.append((tracked.id, len(records)))  # type: ignore[arg-type]

    def alert(self, sweep: str, title: str, text: str, level: str) -> None:
        self.updates.append((f"{sweep}, {title}: {text} ({level})", 0))

    def close(self) -> None:
        self.closed = True


class Broken(NullTracker):
    def update(self, tracked: Tracked, records: object) -> None:
        raise ConnectionError("no route")


def test_updates_arrive_in_order_in_another_thread(tracked_of: TrackedOf) -> None:
    made: list[Recorder] = []
    tracker = BackgroundTracker(lambda: made.append(Recorder()) or made[0])  # type: ignore[func-returns-value]
    tracked, records = tracked_of(seed=0)
    for count in (1, 2, 3):
        tracker.update(tracked, records[:count])
    tracker.alert("tiny", "done", "all", "INFO")
    tracker.close()
    shown = [(tracked.id, 1), (tracked.id, 2), (tracked.id, 3), ("tiny, done: all (INFO)", 0)]
    assert made[0].updates == shown
    assert made[0].closed
    assert made[0].thread is not threading.main_thread()


def test_a_broken_mirror_warns_once_and_stops_nothing(
    tracked_of: TrackedOf, caplog: pytest.LogCaptureFixture
) -> None:
    tracker = BackgroundTracker(Broken)
    tracked, records = tracked_of(seed=0)
    with caplog.at_level(logging.WARNING):
        for _ in range(3):
            tracker.update(tracked, records)
        tracker.close()
    (line,) = caplog.messages
    assert "warning: metrics are mirrored no more (ConnectionError: no route)" in line


def test_closing_waits_no_longer_than_told(tracked_of: TrackedOf) -> None:
    go_on, began, ended = threading.Event(), threading.Event(), threading.Event()

    class Stuck(NullTracker):
        def update(self, tracked: Tracked, records: object) -> None:
            began.set()
            go_on.wait(60)

        def close(self) -> None:
            ended.set()

    tracker = BackgroundTracker(Stuck)
    tracker.update(*tracked_of(seed=0))
    assert began.wait(30)
    start = time.monotonic()
    tracker.close(patience=0.05)
    waited = time.monotonic() - start
    assert 0.05 <= waited < 20
    assert not ended.is_set()
    go_on.set()
    tracker.close()
    assert ended.is_set()
