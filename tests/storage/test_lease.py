"""One driver at a time, by a lock that must be renewed; each has a number of its own."""

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from alsweep.errors import RunFolderError
from alsweep.files import write_bytes
from alsweep.layout import decisions_path, query_path, space_path, trajectory_folder
from alsweep.storage.client import Store
from alsweep.storage.holder import LEASE, Holder
from alsweep.storage.lease import Renewal, Times, acquire, leased, seen_at_work
from alsweep.storage.mirror import mark
from alsweep.storage.rooms import to_work_in
from tests.storage.conftest import Clock, Line, keys_of

LOCK = ".alsweep.lock"


@pytest.fixture
def store(prefix: str) -> Store:
    return Store(prefix)


def elsewhere(number: int, beat: int = 0) -> Holder:
    return Holder("another-host", "another-boot", 7, "1", number, beat)


def times(clock: Clock) -> Times:
    return Times(clock, clock.sleep)


def gone() -> Holder:
    """A process of this machine that has ended."""
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    return replace(Holder.here(3), process=ended.pid)


def test_the_first_driver_has_the_run_and_the_next_of_this_machine_is_refused(store, clock):
    mine, _ = acquire(store, times(clock))
    assert mine.number == 1
    with pytest.raises(RunFolderError, match=rf"process {os.getpid()} on .* is at work"):
        acquire(store, times(clock))
    assert clock.now == 0
    assert seen_at_work(store) == mine.told


def test_one_that_is_gone_from_this_machine_is_followed_at_once(store, clock):
    store.put(LOCK, gone().content)
    assert seen_at_work(store) is None
    mine, _ = acquire(store, times(clock))
    assert (mine.number, clock.now) == (4, 0)


def test_a_process_id_that_another_process_has_now_is_not_taken_for_the_driver(store, clock):
    store.put(LOCK, replace(Holder.here(3), began="1").content)
    assert acquire(store, times(clock))[0].number == 4


def test_one_that_has_let_go_is_followed_at_once(store, clock):
    store.put(LOCK, replace(elsewhere(5), released=True).content)
    assert acquire(store, times(clock))[0].number == 6
    assert clock.now == 0


def test_of_one_elsewhere_it_is_waited_as_long_as_its_lock_is_believed(store, clock, caplog):
    store.put(LOCK, elsewhere(5).content)
    mine, _ = acquire(store, times(clock))
    assert mine.number == 6
    assert LEASE <= clock.now < LEASE + 3
    assert "process 7 on another-host held it last; waiting" in caplog.text


def test_people_are_told_of_one_elsewhere_until_it_has_been_silent_for_long(store, monkeypatch):
    store.put(LOCK, elsewhere(5).content)
    assert seen_at_work(store) == "process 7 on another-host"
    monkeypatch.setattr("alsweep.storage.lease._SECONDS_OF_SILENCE", -60.0)
    assert seen_at_work(store) is None


def test_one_elsewhere_that_renews_its_lock_is_at_work(store):
    store.put(LOCK, elsewhere(5).content)
    clock = Clock()

    def sleep(seconds: float) -> None:
        clock.sleep(seconds)
        store.put(LOCK, elsewhere(5, beat=1).content)

    with pytest.raises(RunFolderError, match="process 7 on another-host"):
        acquire(store, Times(clock, sleep))
    assert clock.now < LEASE


def test_of_two_that_wait_for_the_same_lock_one_gets_it(store):
    store.put(LOCK, elsewhere(5).content)
    clock = Clock()

    def sleep(seconds: float) -> None:
        clock.sleep(seconds)
        if clock.now >= LEASE:
            store.put(LOCK, elsewhere(6).content)

    with pytest.raises(RunFolderError, match="another-host"):
        acquire(store, Times(clock, sleep))


def test_a_write_whose_answer_is_lost_has_been_done(prefix, line: Line, clock):
    faults = {"PUT": iter(["deaf"])}
    line.disturb = lambda method, _: next(faults.get(method, iter(())), None)
    store = Store(prefix, clock.patience(), seconds=0.5)
    mine, etag = acquire(store, times(clock))
    assert Holder.read(store) == (mine, etag)


def test_a_lock_is_renewed_until_it_is_released_or_lost(store):
    mine, etag = acquire(store)
    renewal = Renewal(store, mine, etag)
    assert renewal.renew()
    assert json.loads(store.get(LOCK)[0])["beat"] == 1
    store.put(LOCK, elsewhere(2).content)
    assert not renewal.renew()
    renewal.release()
    assert Holder.read(store)[0] == elsewhere(2)  # which is not ours to let go of


def test_writes_of_an_older_driver_are_refused(store, prefix, s3, tmp_path: Path):
    root = tmp_path / "mirror"
    mark(root, prefix, 1)
    store.put(LOCK, elsewhere(1).content)
    write_bytes(decisions_path(root), b"1")
    store.put(LOCK, elsewhere(2).content)
    query = query_path(trajectory_folder(root, "ID"), 1)
    for path in (decisions_path(root), query):
        with pytest.raises(RunFolderError, match=r"another-host.* has taken the run over"):
            write_bytes(path, b"2")
    there = keys_of(s3, prefix)
    assert there.pop(LOCK)
    assert there == {"decisions.jsonl": b"1"}


def test_a_driver_holds_its_run_and_brings_what_it_made_there(prefix, s3):
    with to_work_in(Path(prefix)) as run, leased(run):
        write_bytes(space_path(run), b"name: tiny\n")
        assert keys_of(s3, prefix)["sweep.yaml"] == b"name: tiny\n"
        (run / "results.parquet").write_bytes(b"table")
        with pytest.raises(RunFolderError, match="at work"), to_work_in(Path(prefix)):
            pass
    there = keys_of(s3, prefix)
    assert there["results.parquet"] == b"table"
    assert json.loads(there[LOCK])["released"] is True
    with to_work_in(Path(prefix)) as run, leased(run):
        assert json.loads(keys_of(s3, prefix)[LOCK])["number"] == 2


def test_what_alsweep_did_not_begin_is_left_alone(store, prefix):
    store.put("thesis.tex", b"years of work")
    with (
        to_work_in(Path(prefix)) as run,
        pytest.raises(RunFolderError, match=r"thesis.tex.* and no sweep.yaml"),
        leased(run),
    ):
        pass
