"""References on a real Ray, with table look-ups in place of training."""

import json
from pathlib import Path

import pytest

from alsweep.data.case import Dataset
from alsweep.results import full_dice
from alsweep.sweep.fulldata import missing_references, references
from tests.sweep.conftest import MakePlan
from tests.sweep.fakes import ERROR, plant_fault, table_reference
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


@pytest.mark.ray
def test_what_is_missing_is_made_and_a_failure_is_tried_again(driver: Driver) -> None:
    command = ("fulldata", str(driver.space), "--out", str(driver.run), "--set", "seeds=[0,1]")
    code, out, err = driver.finish(driver.start(*command))
    assert code == 0, err
    assert err.count("Dice 0.900") == 2
    assert out.count("seed ") == 2
    written = sorted((driver.run / "fulldata").iterdir())
    assert [json.loads(path.read_text())["mean_dice"] for path in written] == [0.9, 0.9]
    assert not (driver.run / ".starts").exists()

    # A second call makes nothing; a lost record is made again, and a failure is told.
    before = written[0].stat().st_mtime_ns
    lost = json.loads(written[1].read_text())["seed"]
    written[1].unlink()
    plant_fault(driver.run / f"fulldata-s{lost}", ERROR, 0)
    code, _, err = driver.finish(driver.start(*command))
    assert code == 3
    assert f"failed: full data, seed {lost}: the pool is empty" in err
    assert "1 of 2 full-data references failed" in err.splitlines()[-1]
    code, _, err = driver.finish(driver.start(*command))
    assert code == 0, err
    assert written[0].stat().st_mtime_ns == before
    assert written[1].exists()

    # The run goes on in the same folder, and its table finds the references.
    assert driver.complete()[0] == 0
    assert list(full_dice(driver.run).values()) == [0.9]


def test_a_dry_run_tells_and_writes_nothing(driver: Driver, dataset: Dataset) -> None:
    command = ("fulldata", str(driver.space), "--out", str(driver.run), "--dry-run")
    code, out, err = driver.finish(driver.start(*command))
    assert code == 0, err
    assert "1 full-data references, 0 done, 1 to do" in out
    assert not driver.run.exists()
