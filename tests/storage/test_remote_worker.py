"""Workers without a driver over a run in a store: the same as on a disk, whoever is killed."""

import multiprocessing
import os
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from alsweep.data.case import Dataset
from alsweep.data.phantom import write_phantom
from alsweep.data.remote import upload
from alsweep.errors import RunFolderError
from alsweep.layout import error_path, trajectory_folder
from alsweep.results.mishaps import Counts, read_mishaps
from alsweep.results.records import read_records
from alsweep.storage.client import Store
from alsweep.storage.holder import Holder
from alsweep.storage.lease import leased
from alsweep.storage.mirror import mirror_at
from alsweep.storage.rooms import refresh, to_read, to_share, to_train_in, to_work_in
from alsweep.sweep.audience import Listener
from alsweep.sweep.plan import Plan, make_plan
from alsweep.sweep.running import write_plan
from alsweep.sweep.tries import Setback, Tries
from alsweep.sweep.worker import Shift, run_worker
from tests.cli.test_run import call
from tests.storage.conftest import SECRET, keys_of
from tests.sweep.conftest import sweep_of
from tests.sweep.fakes import BUG, ERROR, KILL, TableWork, plant_fault, table_record


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    return write_phantom(tmp_path_factory.mktemp("d") / "d", cases=4, shape=(24, 24, 24))


@pytest.fixture(autouse=True)
def _short_page(monkeypatch: pytest.MonkeyPatch) -> None:
    def page(run: Path) -> None:
        (run / "report").mkdir(exist_ok=True)
        (run / "report" / "index.html").write_text("a page")

    monkeypatch.setattr("alsweep.sweep.running.write_report", page)


def planned(place: str, dataset: Dataset, **changes: object) -> Plan:
    plan = make_plan(sweep_of(dataset, **changes), dataset)
    with to_work_in(Path(place)) as run:
        assert write_plan(plan, run, Listener(None)) == len(plan.ids)
    return plan


def nobody(id_: str, record: object) -> None:
    """Hear of a loop."""


def work_in(place: str, **options: object) -> Shift:
    with to_share(Path(place)) as run:
        return run_worker(run, nobody, work=TableWork(run), **options)  # type: ignore[arg-type]


def records_of(place: str, plan: Plan) -> list[list[object]]:
    with to_read(Path(place)) as run:
        return [list(read_records(trajectory_folder(run, id_))) for id_ in plan.ids]


def expected(plan: Plan) -> list[list[object]]:
    return [[table_record(p.config, loop) for loop in range(3)] for p in plan.trajectories]


def test_a_worker_does_all_that_a_run_would_and_brings_the_results_there(dataset, prefix, s3):
    plan = planned(prefix, upload(dataset.path, Path(f"{prefix}-data")))
    assert work_in(prefix, most=4) == Shift(loops=4, done=1, failed={}, left=3)
    assert "results.parquet" not in keys_of(s3, prefix)
    assert work_in(prefix) == Shift(loops=8, done=4, failed={}, left=0)
    assert records_of(prefix, plan) == expected(plan)
    there = keys_of(s3, prefix)
    assert there["report/index.html"] == b"a page"
    assert "results.parquet" in there
    for key, content in there.items():
        assert SECRET.encode() not in content, key
    # A driver takes over, and finds nothing left.
    with to_work_in(Path(prefix)) as run, leased(run):
        assert not any(error_path(trajectory_folder(run, id_)).exists() for id_ in plan.ids)


def beside(place: str, cache: str) -> None:
    """A worker on a node of its own."""
    os.environ["ALSWEEP_CACHE"] = cache
    sys.modules["alsweep.sweep.running"].write_report = lambda run: None  # type: ignore[attr-defined]
    with to_share(Path(place)) as run:
        run_worker(run, nobody, work=TableWork(run, seconds=0.02))


def test_another_node_goes_on_after_the_last_loop_of_one_that_is_gone(
    dataset, prefix, tmp_path, monkeypatch
):
    plan = planned(prefix, dataset, seeds=[0])
    assert work_in(prefix, most=2).loops == 2
    begun = next(
        id_ for id_, found in zip(plan.ids, records_of(prefix, plan), strict=True) if found
    )
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    gone = replace(Holder.here(9), process=ended.pid)
    Store(prefix).put(f".claims/{begun}.json", gone.content)
    monkeypatch.setenv("ALSWEEP_CACHE", str(tmp_path / "another node"))
    assert work_in(prefix).loops == 4
    assert records_of(prefix, plan) == expected(plan)
    assert Holder.read(Store(prefix), f".claims/{begun}.json")[0].number == 10


@pytest.mark.slow
def test_several_processes_share_a_run_though_one_is_killed(dataset, prefix, tmp_path):
    plan = planned(prefix, dataset)
    caches = [str(tmp_path / name) for name in ("one", "two")]
    for cache in caches:  # whoever comes to it first is killed, on whichever node
        os.environ["ALSWEEP_CACHE"] = cache
        plant_fault(trajectory_folder(to_train_in(prefix, 1), plan.ids[1]), KILL, 1)
    spawn = multiprocessing.get_context("spawn")
    workers = [spawn.Process(target=beside, args=(prefix, cache)) for cache in caches]
    for process in workers:
        process.start()
    for process in workers:
        process.join()
    codes = sorted(process.exitcode or 0 for process in workers)
    assert -signal.SIGKILL in codes
    if codes != [-signal.SIGKILL, 0]:  # each found its own fault, the other one's being free again
        assert work_in(prefix).left == 0
    assert records_of(prefix, plan) == expected(plan)


def test_no_worker_loses_what_went_wrong_with_another(dataset, prefix, s3, capsys, monkeypatch):
    plan, lost = planned(prefix, dataset, seeds=[0]), Setback("its node died", 1, "train")
    with to_share(Path(prefix)) as one, to_share(Path(prefix)) as other:
        workers = {one: Tries(), other: Tries()}
        for run in (one, other, one, other):
            workers[run].again(run, plan.ids[0], lost, 1)
            refresh(run)  # what is not in the store is gone here
    # A machine that was here comes again, with another process.
    buggy = plan.ids[1]
    plant_fault(trajectory_folder(to_train_in(prefix, 1), buggy), BUG, 1, times=2)
    (error,) = work_in(prefix).failed.values()
    log = f"trajectories/{buggy}/log.txt"
    assert error == f"ZeroDivisionError: a bug; the traceback is in {prefix}/{log}"
    assert keys_of(s3, prefix)[log].count(b"\nZeroDivisionError: a bug\n") == 2
    assert call(monkeypatch, "status", prefix) == 0
    assert "mishaps: 4 workers or machines lost, 2 errors raised" in capsys.readouterr().out
    with to_read(Path(prefix)) as run:
        assert Counts.of(read_mishaps(run)) == Counts(lost=4, errors=2)


def test_what_fails_is_told_there_and_to_a_command(dataset, prefix, s3, tmp_path):
    heard = tmp_path / "heard"
    script = f"import sys; open({str(heard)!r}, 'a').write(sys.stdin.read())"
    plan = planned(prefix, dataset, on_event=[sys.executable, "-c", script], seeds=[0])
    plant_fault(trajectory_folder(to_train_in(prefix, 1), plan.ids[1]), ERROR, 1)
    error = "the pool is empty; lower query.patches"
    assert work_in(prefix) == Shift(4, 1, {plan.ids[1]: error}, 0)
    assert error.encode() in keys_of(s3, prefix)[f"trajectories/{plan.ids[1]}/error.json"]
    events = heard.read_text().splitlines()
    assert len(events) == 2
    assert '"event": "trajectory_failed"' in events[0]
    assert '"event": "all_done", "text": "trajectories: 1 done, 1 failed, 0 left"' in events[1]
    assert work_in(prefix).loops == 0
    assert len(heard.read_text().splitlines()) == 2, "nothing has happened since"


def test_a_worker_and_a_driver_keep_out_of_each_other_s_way(dataset, prefix, monkeypatch, capsys):
    plan = planned(prefix, dataset)
    with (
        to_work_in(Path(prefix)) as run,
        leased(run),
        pytest.raises(RunFolderError, match="is at work in it"),
    ):
        work_in(prefix)
    before = Holder.read(Store(prefix))[0]

    def drive(id_: str, record: object) -> None:
        with (
            to_work_in(Path(prefix)) as run,
            pytest.raises(RunFolderError, match=rf"process {os.getpid()} on"),
            leased(run),
        ):
            pass
        # One that comes nevertheless, because it has seen no worker, ends its writing.
        Store(prefix).put(".alsweep.lock", Holder.here(before.number + 1).content)

    with to_share(Path(prefix)) as run:
        with pytest.raises(RunFolderError, match="has taken the run over; nothing more is written"):
            run_worker(run, drive, work=TableWork(run))
        assert mirror_at(run).number == before.number
    assert [len(found) for found in records_of(prefix, plan)] == [1, 0, 0, 0]
    assert call(monkeypatch, "worker", prefix) == 2
    assert capsys.readouterr().err.startswith(f"alsweep: error: {prefix}: another alsweep")


def test_a_place_without_a_plan_is_told(prefix, monkeypatch, capsys):
    assert call(monkeypatch, "worker", f"{prefix}/none") == 2
    assert capsys.readouterr().err == (
        f"alsweep: error: {prefix}/none: no sweep.yaml in it; plan the run first: alsweep run "
        f"SPACE.yaml --out {prefix}/none --plan-only\n"
    )
