"""Schedules on a real Ray, with table-lookup trajectories, and kills of driver and workers."""

import os
import signal
from pathlib import Path
from typing import Any

import pytest

from alsweep.data.case import Dataset
from alsweep.layout import trajectory_folder
from alsweep.results.decisions import read_decisions
from alsweep.results.load import load_results
from alsweep.sweep.plan import make_plan
from alsweep.sweep.run_folder import write_space
from alsweep.sweep.space_file import to_yaml
from tests.sweep.conftest import sweep_of
from tests.sweep.fakes import KILL, plant_fault
from tests.sweep.test_driver import Driver, queries_of, records_of, wait_for

pytestmark = [pytest.mark.ray, pytest.mark.slow]

LABELS = ("at90a", "at90b", "at30")


class ScheduledDriver(Driver):
    """Three strategies and four seeds under a schedule."""

    def __init__(self, dataset: Dataset, folder: Path, **schedule: Any) -> None:
        folder.mkdir()
        super().__init__(dataset, folder)
        strategies = [{"name": "power_pe", "beta": n + 1, "label": x} for n, x in enumerate(LABELS)]
        sweep = sweep_of(
            dataset, grid={"strategy": strategies}, seeds=[0, 1, 2, 3], schedule=schedule
        )
        self.plan = make_plan(sweep, dataset)
        self.space.write_text(to_yaml(sweep))


@pytest.fixture(scope="module")
def calm(dataset: Dataset, tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = ScheduledDriver(dataset, tmp_path_factory.mktemp("race") / "calm", kind="race")
    code, _, err = made.complete()
    assert code == 0, err
    assert err.count("stopped: at30 seed") == 2
    return made.run


def test_a_race_stops_what_is_decided(calm: Path) -> None:
    assert {d.by for d in read_decisions(calm)} == {"race"}
    table = load_results(calm)
    assert set(table["status"]) == {"done"}
    assert table.groupby("strategy")["seed"].nunique().to_dict() == {
        "at30": 2,
        "at90a": 4,
        "at90b": 4,
    }


def test_a_race_goes_on_after_kills_as_if_there_were_none(
    dataset: Dataset, tmp_path: Path, calm: Path
) -> None:
    driver = ScheduledDriver(dataset, tmp_path / "killed", kind="race")
    write_space(driver.run, driver.plan)
    plant_fault(trajectory_folder(driver.run, driver.plan.ids[0]), KILL, loop=1)
    for loops in (4, 20):
        process = driver.start_run(seconds=0.05)
        wait_for(lambda loops=loops: len(records_of(driver.run)) >= loops, of=process)
        os.kill(process.pid, signal.SIGKILL)
        process.communicate()
    assert driver.resume()[0] == 0
    assert read_decisions(driver.run) == read_decisions(calm)
    assert queries_of(driver.run) == queries_of(calm)
    driver.stop_all()


def test_halving_leaves_out_loops_and_a_resume_follows_the_log(
    dataset: Dataset, tmp_path: Path
) -> None:
    driver = ScheduledDriver(dataset, tmp_path / "halved", kind="asha")
    code, _, err = driver.complete()
    assert code == 0, err
    decided = read_decisions(driver.run)
    stopped = {d.trajectory for d in decided}
    assert stopped
    table = load_results(driver.run)
    assert set(table.loc[table["status"] == "truncated", "trajectory"]) == stopped
    assert table.groupby("trajectory").size()[list(stopped)].max() < 3
    assert driver.resume()[0] == 0
    assert read_decisions(driver.run) == decided
    assert load_results(driver.run).equals(table)
    driver.stop_all()
