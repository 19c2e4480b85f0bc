"""Whoever is told of events: a user's program, whatever it does, and the tracker."""

import json
import logging
import sys
import time
from pathlib import Path
from typing import Any

import psutil
import pytest

from alsweep.data.case import Dataset
from alsweep.sweep.events import Command, Told
from tests.sweep.conftest import sweep_of


class Alerts:
    def __init__(self) -> None:
        self.heard: list[tuple[str, ...]] = []

    def alert(self, *what: str) -> None:
        self.heard.append(what)


def test_a_program_has_each_event_on_its_stdin_and_no_shell_between(
    dataset: Dataset, tmp_path: Path
) -> None:
    out = tmp_path / "told $(touch broken); here"
    program = "import sys; open(sys.argv[1], 'a').write(sys.stdin.read())"
    sweep = sweep_of(dataset, on_event=[sys.executable, "-c", program, str(out)])
    alerts: Any = Alerts()
    told = Told(sweep, tmp_path / "run", alerts)
    told.tell("trajectory_failed", "random-s0: no room", trajectory="random-s0", error="no room")
    told.tell("all_done", "trajectories: 1 done, 1 failed", done=1, failed=1)
    told.close()
    first, last = map(json.loads, out.read_text().splitlines())
    assert (first["event"], first["error"], first["sweep"]) == (
        "trajectory_failed",
        "no room",
        "tiny",
    )
    assert first["run"] == str(tmp_path / "run")
    assert (last["event"], last["failed"]) == ("all_done", 1)
    assert [path.name for path in tmp_path.iterdir()] == [out.name]
    assert alerts.heard == [
        ("tiny", "tiny: trajectory failed", "random-s0: no room", "ERROR"),
        ("tiny", "tiny: all done", "trajectories: 1 done, 1 failed", "INFO"),
    ]


def test_without_a_program_the_tracker_alone_is_told(dataset: Dataset, tmp_path: Path) -> None:
    alerts: Any = Alerts()
    told = Told(sweep_of(dataset), tmp_path, alerts)
    told.tell("cap_near", "caps.hours: 0.9 of 1 are used", cap="caps.hours")
    told.close()
    assert [level for *_, level in alerts.heard] == ["WARN"]


@pytest.mark.parametrize(
    ("words", "wrong"),
    [
        (["no-such-program"], "no-such-program cannot be run (No such file or directory)"),
        (["sh", "-c", "echo bad >&2; exit 3"], "sh failed with exit code 3 (bad)"),
        (["sh", "-c", "exec <&-; exit 1"], "sh failed with exit code 1 (no word)"),
    ],
)
def test_what_goes_wrong_is_one_warning(
    words: list[str], wrong: str, caplog: pytest.LogCaptureFixture
) -> None:
    command = Command(words)
    with caplog.at_level(logging.WARNING):
        for _ in range(2):
            command.give({"event": "all_done", "text": "x" * 200_000})
        command.close()
    assert caplog.messages == [
        f"warning: on_event: {wrong}; the sweep goes on, and this is not told again"
    ]


def test_a_program_that_hangs_is_killed_with_all_that_it_started(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    pids = tmp_path / "pids"
    command = Command(["sh", "-c", f"sleep 60 & echo $! > {pids}; wait"], seconds=1.0)
    began = time.monotonic()
    command.give({"event": "all_done"})
    assert time.monotonic() - began < 0.5
    command.close()
    assert time.monotonic() - began < 30
    assert "took more than 1 s and was killed" in caplog.text
    end = time.monotonic() + 10
    while psutil.pid_exists(int(pids.read_text())) and time.monotonic() < end:
        if psutil.Process(int(pids.read_text())).status() == psutil.STATUS_ZOMBIE:
            break
        time.sleep(0.05)
    else:
        assert not psutil.pid_exists(int(pids.read_text()))


def test_all_that_is_left_to_tell_has_one_patience(caplog: pytest.LogCaptureFixture) -> None:
    command = Command(["sh", "-c", "sleep 60; :"], seconds=50.0)
    for _ in range(4):
        command.give({"event": "trajectory_failed"})
    began = time.monotonic()
    command.close(patience=0.5)
    assert time.monotonic() - began < 8
    (text,) = caplog.messages
    assert text == (
        "warning: on_event: sh had not ended 0.5 s after the sweep and was killed; events that "
        "nobody was told of after that: 3"
    )
