"""Claims in a store: one holder at a time, and none that is dead for ever."""

import os
import subprocess
import sys
import threading
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from alsweep.errors import RunFolderError
from alsweep.storage.claims import ObjectClaims, workers_at
from alsweep.storage.client import Store
from alsweep.storage.holder import Holder
from alsweep.storage.lease import Times, acquire, last_number, leased, seen_at_work
from alsweep.storage.rooms import to_work_in
from tests.storage.conftest import Clock, Line, keys_of

KEY = ".claims/t.json"


@pytest.fixture
def store(prefix: str) -> Store:
    return Store(prefix)


def far(beat: int = 0, number: int = 1) -> Holder:
    return Holder("another-host", "another-boot", 7, "1", number, beat)


def test_a_claim_is_had_once_and_numbers_grow(store):
    one, other = ObjectClaims(store), ObjectClaims(store)
    with one.taken("t") as first:
        assert first.holder.number == 1
        assert other.take("t") is None
        assert not other.unsure("t"), "its holder is alive"
        assert workers_at(store) == [f"process {os.getpid()} on {first.holder.host}"]
    assert workers_at(store) == []
    with other.taken("t") as second:
        assert (second.holder.number, second.inherited) == (2, None)


def test_of_many_that_try_at_once_one_has_it(store):
    barrier, had = threading.Barrier(6), []

    def try_it(process: int) -> None:
        own, there = replace(Holder.here(1), process=process), Store(store.url)
        barrier.wait()
        had.append(own.written(there, KEY, ""))

    threads = [threading.Thread(target=try_it, args=(number,)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len([one for one in had if one is not None]) == 1


def test_a_process_of_this_machine_that_is_gone_holds_nothing(store):
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    store.put(KEY, replace(Holder.here(4), process=ended.pid).content)
    assert workers_at(store) == []
    taken = ObjectClaims(store).take("t")
    assert taken.holder.number == 5
    assert taken.inherited.startswith(f"process {ended.pid} on ")


def test_another_machine_keeps_a_claim_as_long_as_it_gives_signs_of_life(store, clock: Clock):
    store.put(KEY, far().content)
    mine = ObjectClaims(store, clock)
    assert mine.take("t") is None
    assert mine.unsure("t"), "nobody knows yet whether it lives"
    for beat in range(1, 5):
        clock.now += 50
        store.put(KEY, far(beat).content)
        assert mine.take("t") is None
        assert not mine.unsure("t")


def test_another_machine_loses_a_claim_of_which_nothing_is_heard(store, clock: Clock):
    store.put(KEY, far(number=3).content)
    mine = ObjectClaims(store, clock)
    assert mine.take("t") is None
    clock.now = 60.0
    assert mine.take("t") is None
    clock.now = 60.1
    taken = mine.take("t")
    assert (taken.holder.number, taken.inherited) == (4, "process 7 on another-host")


def test_who_was_held_for_dead_finds_out_and_leaves_it(store, s3, prefix):
    mine = ObjectClaims(store).take("t")
    mine.beat()
    assert (mine.holder.beat, mine.lost) == (1, False)
    store.put(KEY, far(number=2).content)
    mine.beat()
    assert mine.lost
    mine.release()
    assert keys_of(s3, prefix)[KEY] == far(number=2).content


def test_a_holder_gives_signs_of_life(store):
    mine = ObjectClaims(store, beat=0.01)
    with mine.taken("t"):
        for _ in range(500):
            if Holder.read(store, KEY)[0].beat > 1:
                break
            threading.Event().wait(0.01)
        assert Holder.read(store, KEY)[0].beat > 1
    assert Holder.read(store, KEY)[0].released


def test_answers_that_are_lost_are_no_refusals(prefix, line: Line, clock: Clock):
    mine = ObjectClaims(Store(prefix, clock.patience()))
    puts = iter(range(9))
    line.disturb = lambda method, _: "gone" if method == "PUT" and next(puts) in (0, 2) else None
    claim = mine.take("t")
    assert claim is not None
    claim.beat()  # the second write; its answer comes
    claim.beat()  # of the third it does not, and nobody asks again
    line.disturb = lambda *_: None
    claim.beat()
    assert not claim.lost, "its own write, of which it heard nothing, is no one else's"


def test_a_claim_that_cannot_be_read_is_somebody_s_until_the_lease_ends(store, clock: Clock):
    store.put(KEY, b"{")
    mine = ObjectClaims(store, clock)
    assert mine.take("t") is None
    clock.now = 61.0
    assert mine.take("t") is not None


def test_a_driver_keeps_out_while_workers_are_there_and_they_while_it_is(store, prefix, clock):
    store.put("sweep.yaml", b"")
    with to_work_in(Path(store.url)) as run, ObjectClaims(store).taken("t"):
        with (
            pytest.raises(RunFolderError, match=rf"process {os.getpid()} on .* is at work in it"),
            leased(run),
        ):
            pass
        assert ".alsweep.lock" not in {one.key for one in store.objects()}
        assert seen_at_work(store) is not None
    assert last_number(store) == 0
    acquire(store)
    with pytest.raises(RunFolderError, match="is at work in it"):
        last_number(store)
    # Of a driver elsewhere it is waited whether it renews its lock.
    store.put(".alsweep.lock", far(number=6).content)
    assert last_number(store, Times(clock, clock.sleep)) == 6
    assert clock.now >= 30


def test_who_was_silent_for_a_minute_by_the_store_s_clock_is_not_at_work(store):
    store.put(KEY, far().content)
    assert workers_at(store) == ["process 7 on another-host"]
    assert workers_at(store, datetime.now(UTC) + timedelta(seconds=61)) == []
