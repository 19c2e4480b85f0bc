"""Signals that stop a sweep, mostly in processes of their own."""

import os
import pty
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import optuna
import pytest

from alsweep.errors import ConfigError, DiskFullError
from alsweep.layout import journal_path
from alsweep.results.studies import open_storage
from alsweep.sweep import stops

WAITS = """
import sys, time
from pathlib import Path
from alsweep.sweep.stops import ignore, listen, stops_raise

ready, told, seconds = Path(sys.argv[1]), Path(sys.argv[2]), float(sys.argv[3])
with stops_raise():
    ignore()
    listen()
    try:
        ready.touch()
        time.sleep(seconds)
        told.write_text("slept")
    except KeyboardInterrupt:
        ignore()
        print("a last word", flush=True)
        print("a last word", file=sys.stderr, flush=True)
        told.write_text("stopped")
"""


def command(folder: Path, seconds: float) -> list[str]:
    return [sys.executable, "-c", WAITS, f"{folder}/ready", f"{folder}/told", str(seconds)]


def wait_for(path: Path, seconds: float = 60) -> None:
    end = time.monotonic() + seconds
    while not path.exists():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.02)


@pytest.fixture(autouse=True)
def heeding_terminals() -> Iterator[None]:
    """Whoever runs the tests may ignore SIGHUP, as nohup does; children would inherit that."""
    before = signal.signal(signal.SIGHUP, signal.SIG_DFL)
    yield
    signal.signal(signal.SIGHUP, before)


@pytest.mark.parametrize(
    "stop", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1], ids=lambda one: one.name
)
def test_each_signal_stops_tidily(tmp_path: Path, stop: signal.Signals) -> None:
    with subprocess.Popen(command(tmp_path, 60), stdout=subprocess.PIPE) as process:
        wait_for(tmp_path / "ready")
        process.send_signal(stop)
        assert process.communicate(timeout=60) == (b"a last word\n", None)
    assert (tmp_path / "told").read_text() == "stopped"
    assert process.returncode == 0


def test_under_nohup_the_end_of_the_terminal_changes_nothing(tmp_path: Path) -> None:
    with subprocess.Popen(["nohup", *command(tmp_path, 1)]) as process:
        wait_for(tmp_path / "ready")
        process.send_signal(signal.SIGHUP)
        assert process.wait(timeout=60) == 0
    assert (tmp_path / "told").read_text() == "slept"


def test_a_terminal_that_is_closed_spoils_no_last_word(tmp_path: Path) -> None:
    child, terminal = pty.fork()
    if not child:
        os.execv(sys.executable, command(tmp_path, 60))
    wait_for(tmp_path / "ready")
    os.close(terminal)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert (tmp_path / "told").read_text() == "stopped"


def test_another_thread_leaves_signals_to_the_main_one():
    before = signal.getsignal(signal.SIGTERM)
    with ThreadPoolExecutor(1) as pool:
        assert pool.submit(signal_within_a_sweep).result() == before
    assert signal.getsignal(signal.SIGTERM) == before


def signal_within_a_sweep() -> object:
    with stops.stops_raise():
        return signal.getsignal(signal.SIGTERM)


@pytest.mark.parametrize("stop", [signal.SIGINT, signal.SIGTERM])
def test_a_stop_is_heard_within_the_block_alone_and_a_second_is_not(stop: signal.Signals) -> None:
    before = [signal.getsignal(number) for number in stops._STOPS]
    with stops.stops_raise():
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(stop)
        stops.ignore()
        signal.raise_signal(stop)
        stops.listen()
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(stop)
    assert [signal.getsignal(number) for number in stops._STOPS] == before


def test_a_hang_up_that_is_ignored_stays_so_and_another_stops() -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with stops.stops_raise():
            assert signal.getsignal(signal.SIGHUP) == signal.SIG_IGN
        signal.signal(signal.SIGHUP, signal.SIG_DFL)
        with stops.stops_raise(), pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGHUP)
    finally:
        signal.signal(signal.SIGHUP, before)


def test_streams_of_a_dead_terminal_go_nowhere_and_others_stay(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    written, led = [], []

    def write(stream: int, text: bytes) -> None:
        written.append(stream)
        if stream == 2:
            raise OSError

    monkeypatch.setattr(stops.os, "write", write)
    monkeypatch.setattr(stops.os, "dup2", lambda nothing, stream: led.append(stream))
    stops._leave_dead_terminal()
    assert (written, led) == ([1, 2], [2])


def test_what_is_held_is_finished_before_a_signal_is_heeded() -> None:
    done: list[str] = []

    def work() -> None:
        with stops.held(), stops.held():
            os.kill(os.getpid(), signal.SIGTERM)
            time.sleep(0)
            done.append("inner")
        done.append("never")

    with stops.stops_raise(), pytest.raises(KeyboardInterrupt):
        work()
    assert done == ["inner"]


def test_a_stop_after_which_tidying_up_fails_is_a_stop_all_the_same() -> None:
    def tidied_up_badly(error: Exception) -> None:
        with stops.stops_raise():
            try:
                signal.raise_signal(signal.SIGTERM)
            finally:
                raise error

    for error in (FileNotFoundError("gone already"), RuntimeError("not mine"), ConfigError("so")):
        with pytest.raises(KeyboardInterrupt) as raised:
            tidied_up_badly(error)
        assert raised.value.__cause__ is error
    with pytest.raises(DiskFullError):
        tidied_up_badly(DiskFullError("no room to tidy up in"))
    with pytest.raises(ConfigError), stops.stops_raise():
        raise ConfigError("nobody has stopped anything")


@pytest.mark.parametrize("call", ["symlink", "fsync", "rename", "unlink"])
def test_a_signal_amid_the_writing_of_a_journal_leaves_it_whole_and_is_a_stop(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: str
) -> None:
    storage = open_storage(tmp_path, None)
    study = optuna.create_study(storage=storage)
    real = getattr(os, call)

    def interrupted(*arguments: Any) -> Any:
        result = real(*arguments)
        signal.raise_signal(signal.SIGTERM)
        return result

    with monkeypatch.context() as patched, stops.stops_raise():
        patched.setattr(f"optuna.storages.journal._file.os.{call}", interrupted)
        with pytest.raises(KeyboardInterrupt), stops.held():
            study.set_user_attr("told", "whole")
    again = optuna.load_study(study_name=study.study_name, storage=open_storage(tmp_path, None))
    assert again.user_attrs == {"told": "whole"}
    assert [path.name for path in journal_path(tmp_path).parent.iterdir()] == ["journal.log"]
