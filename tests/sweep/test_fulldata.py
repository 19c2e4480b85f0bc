"""References on a real Ray, with table look-ups in place of training."""

from collections.abc import Iterator
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path

import pytest

from alsweep.data.case import Dataset
from alsweep.sweep.beside import make_beside
from alsweep.sweep.fulldata import Reference, missing_references, references
from alsweep.sweep.run_folder import write_space
from alsweep.sweep.tasks import Ended
from tests.sweep.conftest import MakePlan
from tests.sweep.fakes import ERROR, TableWork, plant_fault, table_reference
from tests.sweep.test_driver import Driver, driver

__all__ = ["driver"]


def test_strategies_share_a_reference_and_recipes_do_not(plan_of: MakePlan, run: Path) -> None:
    grid = {"strategy": ["random", "margin"], "training.epochs": [1, 2]}
    plan = plan_of(grid=grid)
    found = references(plan)
    assert [(ref.name, ref.sharers) for ref in found] == [
        ("training.epochs=1, seed 0", 2),
        ("training.epochs=1, seed 1", 2),
        ("training.epochs=2, seed 0", 2),
        ("training.epochs=2, seed 1", 2),
    ]
    table_reference(found[1].example.config, found[1].key).write(run)
    assert [ref.key for ref in missing_references(run, plan)] == [found[i].key for i in (0, 2, 3)]


def test_each_end_is_told_and_failures_are_returned_by_name(
    run: Path, plan_of: MakePlan, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan = plan_of()
    first, second = missing = references(plan)
    told, sessions, looked = [], [], []

    def session(resources: object, address: str | None) -> AbstractContextManager[None]:
        sessions.append((resources, address))
        return nullcontext()

    def tasks(tasks: dict[str, object], *_: object) -> Iterator[Ended]:
        assert list(tasks) == [first.key, second.key]
        yield Ended(second.key, "no room", 0.0)
        yield Ended(first.key, None, 1.0)

    monkeypatch.setattr("alsweep.sweep.ray_session.ray_session", session)
    monkeypatch.setattr("alsweep.sweep.tasks.run_tasks", tasks)
    monkeypatch.setattr("alsweep.sweep.nodes.check_nodes", lambda *what: looked.append(what))

    def hear(reference: Reference, error: str | None) -> None:
        told.append((reference.key, error))

    failed = make_beside(missing, run, TableWork(run), plan, hear, "a:1")
    assert failed == {second.name: "no room"}
    assert told == [(second.key, "no room"), (first.key, None)]
    assert sessions == [(plan.sweep.resources, "a:1")]
    assert looked == [(run, plan)], "before anything is trained"
    make_beside(missing, run, TableWork(run), plan, hear)
    assert looked == [(run, plan)], "on this machine there is nothing to ask"


@pytest.mark.ray
@pytest.mark.slow  # the README's test calls the command, too
def test_what_is_missing_is_made_and_a_failure_is_tried_again(
    driver: Driver, plan_of: MakePlan
) -> None:
    plant_fault(driver.run / "fulldata-s1", ERROR, 0)
    write_space(driver.run, plan_of(seeds=[0]))
    begun = (driver.run / "sweep.yaml").read_text()
    command = ("fulldata", str(driver.space), "--out", str(driver.run), "--set", "seeds=[0,1]")
    code, out, err = driver.finish(driver.start(*command))
    assert code == 3
    assert "full data, seed 0: Dice 0.900" in err
    assert "failed: full data, seed 1: the pool is empty" in err
    assert "1 of 2 full-data references failed" in err.splitlines()[-1]
    assert "seed 0" in out
    assert "train [s]" in out
    assert "seed 1" not in out
    assert not (driver.run / ".starts").exists()
    assert (driver.run / "sweep.yaml").read_text() == begun

    (first,) = (driver.run / "fulldata").iterdir()
    before = first.stat().st_mtime_ns
    code, out, err = driver.finish(driver.start(*command))
    assert code == 0, err
    assert "seed 1" in out
    assert first.stat().st_mtime_ns == before
    made = sorted(path.stem for path in (driver.run / "fulldata").iterdir())
    assert made == sorted(ref.key for ref in references(plan_of()))


def test_a_dry_run_tells_and_writes_nothing(driver: Driver, dataset: Dataset) -> None:
    command = ("fulldata", str(driver.space), "--out", str(driver.run), "--dry-run")
    code, out, err = driver.finish(driver.start(*command))
    assert code == 0, err
    assert "full-data references: 0 of 1 done, 1 to do" in out
    assert not driver.run.exists()
