"""A whole search on a real Ray, with table-lookup trajectories: killed, and taken up again."""

import signal
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from alsweep.cli.run import INTERRUPTED
from alsweep.data.case import Dataset
from alsweep.layout import best_path, trajectory_folder
from alsweep.results.decisions import read_decisions
from alsweep.results.searched import read_search
from alsweep.sweep.space_file import to_yaml
from alsweep.sweep.status import read_status
from tests.sweep.conftest import sweep_of
from tests.sweep.fakes import KILL, plant_fault
from tests.sweep.test_driver import Driver, driver, wait_for
from tests.sweep.test_search import Bench

__all__ = ["driver"]

pytestmark = pytest.mark.ray

SEARCH: dict[str, Any] = {
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


def test_a_killed_search_goes_on_as_if_nothing_had_been(
    driver: Driver, dataset: Dataset, tmp_path: Path
) -> None:
    searching(driver, dataset)
    for asked, sign, code in ((1, signal.SIGTERM, INTERRUPTED), (2, signal.SIGKILL, -9)):
        process = driver.start_run(seconds=0.5)
        wait_for(lambda asked=asked: len(read_decisions(driver.run)) >= asked)
        process.send_signal(sign)
        ended, _, err = driver.finish(process)
        assert ended == code, err
        assert read_status(driver.run).counts["waiting"] >= 1
        assert not read_status(driver.run).over
    # A worker, too.
    last = trajectory_folder(driver.run, read_decisions(driver.run)[-1].trajectory)
    plant_fault(last, KILL, loop=2)
    code, out, err = driver.resume()
    assert code == 0, err
    assert "is tried again" in err
    assert "report: " in out
    assert len(told(driver.run)) == 4
    assert best_path(driver.run).exists()
    counts = Counter(read_status(driver.run).counts)
    suggested = {decision.trajectory for decision in read_decisions(driver.run)}
    assert counts["done"] == sum(counts.values()) == len(suggested)
    calm = Bench(dataset, tmp_path / "calm", seeds=[0], resources={"cpus": 2}, **SEARCH)
    calm.go(at_once=1)
    assert told(driver.run) == told(calm.run)
    assert best_path(driver.run).read_text() == best_path(calm.run).read_text()
