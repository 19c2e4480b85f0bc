"""Claims: one holder at a time, and none that is dead for ever."""

import json
import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from alsweep.layout import claim_path, claims_folder
from alsweep.sweep import claims
from alsweep.sweep.claims import Claims, Holder, at_work


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


def of_another_machine(run: Path, name: str, number: int = 1) -> Path:
    """A claim as a process on another machine would have made it."""
    path = claim_path(run, name, number)
    path.parent.mkdir(parents=True, exist_ok=True)
    holder = Holder(host="far", machine="far 1", pid=7, started=7, token="t")
    path.write_text(holder.model_dump_json())
    return path


def dead_process() -> int:
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    return process.pid


def test_a_claim_is_had_once_and_numbers_grow(run: Path) -> None:
    one, other = Claims(run), Claims(run)
    with one.taken("t") as first:
        assert first is not None
        assert other.take("t") is None
        assert not other.unsure("t"), "its holder is alive"
        assert at_work(run) == [f"process {os.getpid()} on {first.holder.host}"]
    assert at_work(run) == []
    with other.taken("t") as second:
        assert second is not None
        assert second.path == claim_path(run, "t", 2)


def test_of_many_that_try_at_once_one_has_it(run: Path) -> None:
    barrier, had = threading.Barrier(8), []

    def try_it() -> None:
        own = Claims(run)
        barrier.wait()
        if own.take("t") is not None:
            had.append(own)

    threads = [threading.Thread(target=try_it) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(had) == 1
    assert [path.name for path in (claims_folder(run) / "t").iterdir()] == ["000001.json"]


def test_a_process_of_this_machine_that_is_gone_holds_nothing(run: Path) -> None:
    claim = Claims(run).take("t")
    assert claim is not None
    gone = claim.holder.model_copy(update={"pid": dead_process()})
    claim.path.write_text(gone.model_dump_json())
    assert at_work(run) == []
    assert Claims(run).take("t") is not None


def test_a_number_that_another_process_has_by_now_is_another(run: Path) -> None:
    claim = Claims(run).take("t")
    assert claim is not None
    assert claim.holder.started is not None
    earlier = claim.holder.model_copy(update={"started": claim.holder.started - 1})
    claim.path.write_text(earlier.model_dump_json())
    assert Claims(run).take("t") is not None


def test_a_copied_claim_of_a_process_that_lives_is_free_once_nobody_touches_it(
    run: Path, clock: Clock
) -> None:
    claim = Claims(run).take("t")
    assert claim is not None
    mine = Claims(run, clock)
    assert mine.take("t") is None
    clock.now = 61.0
    assert mine.take("t") is not None
    assert mine.take("t") is None
    claim.beat()
    assert claim.lost


def test_times_of_a_clock_that_was_set_back_hold_nothing_for_ever(run: Path, clock: Clock) -> None:
    path, mine = of_another_machine(run, "t"), Claims(run, clock)
    tomorrow = time.time() + 86400
    os.utime(path, (tomorrow, tomorrow))
    assert at_work(run) == []
    assert mine.take("t") is None
    clock.now = 61.0
    assert mine.take("t") is not None


def test_who_takes_over_from_the_dead_knows_it(run: Path) -> None:
    claim = Claims(run).take("t")
    assert claim is not None
    assert claim.inherited is None
    dead = dead_process()
    claim.path.write_text(claim.holder.model_copy(update={"pid": dead}).model_dump_json())
    after = Claims(run).take("t")
    assert after is not None
    assert after.inherited == f"process {dead} on {claim.holder.host}"
    after.release()
    last = Claims(run).take("t")
    assert last is not None
    assert last.inherited is None


def test_another_machine_keeps_a_claim_as_long_as_it_touches_it(run: Path, clock: Clock) -> None:
    path, mine = of_another_machine(run, "t"), Claims(run, clock)
    os.utime(path, ns=(0, 0))  # whatever its clock says
    assert mine.take("t") is None
    assert mine.unsure("t"), "nobody knows yet whether it lives"
    for beat in range(1, 30):
        clock.now += 10
        os.utime(path, ns=(0, beat))
        assert mine.take("t") is None
        assert not mine.unsure("t")


def test_another_machine_loses_a_claim_that_it_does_not_touch(run: Path, clock: Clock) -> None:
    of_another_machine(run, "t", 3)
    mine = Claims(run, clock)
    assert mine.take("t") is None
    clock.now = 60.0
    assert mine.take("t") is None
    clock.now = 60.1
    taken = mine.take("t")
    assert taken is not None
    assert taken.path == claim_path(run, "t", 4)


def test_who_was_held_for_dead_finds_out(run: Path) -> None:
    path = of_another_machine(run, "t")
    lost = claims.Claim(path, Holder.model_validate_json(path.read_text()))
    lost.beat()
    assert not lost.lost
    of_another_machine(run, "t", 2)
    lost.beat()
    assert lost.lost
    before = path.read_text()
    lost.release()
    assert path.read_text() == before


def test_a_holder_gives_signs_of_life(run: Path) -> None:
    mine = Claims(run, beat=0.01)
    with mine.taken("t") as claim:
        assert claim is not None
        os.utime(claim.path, (0, 0))
        for _ in range(500):
            if claim.path.stat().st_mtime > 0:
                break
            threading.Event().wait(0.01)
        assert claim.path.stat().st_mtime > 0
    assert json.loads(claim.path.read_text())["released"]


def test_storage_without_links_will_do(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(claims.os, "link", refuse)
    assert Claims(run).take("t") is not None
    assert Claims(run).take("t") is None


def test_a_lost_answer_to_a_link_that_was_made_is_no_refusal(
    run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    link = os.link

    def made_and_lost(source: Path, target: Path) -> None:
        link(source, target)
        raise FileExistsError(17, "File exists")

    monkeypatch.setattr(claims.os, "link", made_and_lost)
    assert Claims(run).take("t") is not None


def test_a_claim_that_cannot_be_read_is_somebody_s_until_the_lease_ends(
    run: Path, clock: Clock
) -> None:
    path = claim_path(run, "t", 1)
    path.parent.mkdir(parents=True)
    path.write_text("{")
    mine = Claims(run, clock)
    assert mine.take("t") is None
    clock.now = 61.0
    assert mine.take("t") is not None
