"""A whole search on a real Ray, with table-lookup trajectories: killed, and taken up again."""

import signal
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from alsweep.cli.run import INTERRUPTED
from alsweep.data.case import Dataset
from alsweep.data.phantom import write_phantom
from alsweep.layout import best_path, trajectory_folder
from alsweep.results.decisions import read_decisions
from alsweep.results.load import load_results
from alsweep.results.searched import read_search
from alsweep.sweep.space_file import to_yaml
from alsweep.sweep.status import read_status
from tests.sweep.conftest import sweep_of
from tests.sweep.fakes import KILL, plant_fault
from tests.sweep.test_driver import Driver, driver, records_of, wait_for
from tests.sweep.test_search import BASE, Bench

__all__ = ["driver"]

pytestmark = pytest.mark.ray

SEARCH: dict[str, Any] = {
    "over": {
        "strategy": ["random", {"name": "power_bald", "beta": "auto"}],
        "query.patches": {"low": 6, "high": 8},
    },
    "configurations": 4,
}


SECONDS_OF_A_LOOP = 0.5


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Any]]:
    """Two, the second on a dataset of its own; the table's records do not know of datasets."""
    out = tmp_path_factory.mktemp("other") / "dataset"
    other = write_phantom(out, cases=4, shape=(24, 24, 24), seed=1)
    return [{"name": "first"}, {"name": "other", "dataset": str(other.path), "query.stride": 2}]


def told(run: Path) -> list[tuple[Any, ...]]:
    found = read_search(run)
    assert found is not None
    return [(one.number, one.parameters, one.values) for one in found.tried]


def goes_on(driver: Driver, decisions: int, records: int) -> bool:
    enough = len(read_decisions(driver.run)) >= decisions
    return enough and len(records_of(driver.run)) >= records


# As soon as the first configuration is decided on, and amid the second.
STOPPED = (1, 0, signal.SIGTERM, INTERRUPTED)
KILLED = (3, 7, signal.SIGKILL, -9)


@pytest.mark.parametrize(
    "stops",
    [
        pytest.param((KILLED,), id="killed"),
        pytest.param((STOPPED, KILLED), id="stopped and killed", marks=pytest.mark.slow),
    ],
)
def test_a_killed_search_over_two_datasets_goes_on_as_if_nothing_had_been(
    driver: Driver, dataset: Dataset, settings: list[dict[str, Any]], tmp_path: Path, stops: Any
) -> None:
    sweep = sweep_of(dataset, seeds=[0], grid={}, base=BASE, search=SEARCH, settings=settings)
    driver.space.write_text(to_yaml(sweep))
    for decisions, records, sign, code in stops:
        process = driver.start_run(seconds=SECONDS_OF_A_LOOP)
        wait_for(lambda least=(decisions, records): goes_on(driver, *least), of=process)
        process.send_signal(sign)
        ended, _, err = driver.finish(process)
        assert ended == code, err
        assert not read_status(driver.run).over
    # A worker, too.
    last = trajectory_folder(driver.run, read_decisions(driver.run)[-1].trajectory)
    plant_fault(last, KILL, loop=2)
    code, out, err = driver.resume()
    assert code == 0, err
    assert "is tried again" in err
    assert "other: " in err
    assert "report: " in out
    assert len(told(driver.run)) == 4
    counts = Counter(read_status(driver.run).counts)
    suggested = {decision.trajectory for decision in read_decisions(driver.run)}
    assert counts["done"] == sum(counts.values()) == len(suggested)
    table = load_results(driver.run)
    assert {name.split(" · ")[0] for name in table["setting_name"]} == {"first", "other"}
    calm = Bench(dataset, tmp_path / "calm", seeds=[0], settings=settings, **SEARCH)
    calm.go(at_once=2)
    assert told(driver.run) == told(calm.run)
    assert best_path(driver.run).read_text() == best_path(calm.run).read_text()
