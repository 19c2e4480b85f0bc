"""A whole search on a real Ray, with table-lookup trajectories: killed, and taken up again."""

import signal
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from alsweep.data.case import Dataset
from alsweep.layout import best_path, journal_path
from alsweep.results.decisions import read_decisions
from alsweep.results.searched import read_search
from alsweep.sweep.space_file import to_yaml
from alsweep.sweep.status import read_status
from tests.sweep.conftest import sweep_of
from tests.sweep.test_driver import Driver, driver, wait_for

__all__ = ["driver"]

pytestmark = pytest.mark.ray

SEARCH = {
    "over": {
        "strategy": ["random", {"name": "power_bald", "beta": "auto"}],
        "query.patches": {"low": 6, "high": 8},
    },
    "configurations": 4,
}


def searching(driver: Driver, dataset: Dataset) -> Driver:
    """The same driver over a search, one configuration at a time."""
    sweep = sweep_of(dataset, seeds=[0], grid={}, search=SEARCH, resources={"cpus": 2})
    driver.space.write_text(to_yaml(sweep))
    return driver


def told(run: Path) -> list[tuple[Any, ...]]:
    found = read_search(run)
    assert found is not None
    return [(one.number, one.parameters, one.values) for one in found.tried]


def test_a_killed_search_goes_on_as_if_nothing_had_been(driver: Driver, dataset: Dataset) -> None:
    searching(driver, dataset)
    process = driver.start_run(seconds=0.5)
    wait_for(lambda: len(read_decisions(driver.run)) >= 2)
    process.send_signal(signal.SIGKILL)
    driver.finish(process)
    assert read_status(driver.run).counts["waiting"] >= 1
    code, out, err = driver.resume()
    assert code == 0, err
    assert "report: " in out
    assert len(told(driver.run)) == 4
    assert best_path(driver.run).exists()
    counts = Counter(read_status(driver.run).counts)
    suggested = {decision.trajectory for decision in read_decisions(driver.run)}
    assert counts["done"] == sum(counts.values()) == len(suggested)
    # Its memory lost, it suggests the same again, and all answers are in the records.
    before, size = told(driver.run), journal_path(driver.run).stat().st_size
    journal_path(driver.run).unlink()
    code, _, err = driver.complete()
    assert code == 0, err
    assert "Dice" not in err
    assert told(driver.run) == before
    assert journal_path(driver.run).stat().st_size == pytest.approx(size, rel=0.1)
