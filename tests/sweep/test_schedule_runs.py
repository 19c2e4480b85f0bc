"""Schedules on a real Ray, with table-lookup trajectories, and kills of driver and workers."""

import os
import signal
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from alsweep.data.case import Dataset
from alsweep.data.phantom import write_phantom
from alsweep.layout import trajectory_folder
from alsweep.results.decisions import read_decisions
from alsweep.results.load import load_results
from alsweep.results.records import read_run
from alsweep.results.stopping import stopping
from alsweep.sweep.plan import make_plan
from alsweep.sweep.run_folder import write_space
from alsweep.sweep.space_file import to_yaml
from tests.sweep.conftest import sweep_of
from tests.sweep.fakes import KILL, plant_fault
from tests.sweep.test_driver import Driver, queries_of, records_of, wait_for

pytestmark = [pytest.mark.ray, pytest.mark.slow]

LABELS = ("at90a", "at90b", "at30", "at30to90")


class ScheduledDriver(Driver):
    """Four strategies and four seeds in two settings, each on its own dataset, under a schedule.

    One of the strategies is bad in the first setting, and good in the second.
    """

    def __init__(self, datasets: Sequence[Dataset], folder: Path, **schedule: Any) -> None:
        folder.mkdir()
        super().__init__(datasets[0], folder)
        strategies = [{"name": "power_pe", "beta": n + 1, "label": x} for n, x in enumerate(LABELS)]
        settings = [
            {"name": "few", "query.patches": 6},
            {"name": "many", "query.patches": 8, "dataset": str(datasets[1].path)},
        ]
        sweep = sweep_of(
            datasets[0],
            grid={"strategy": strategies},
            seeds=[0, 1, 2, 3],
            schedule=schedule,
            settings=settings,
        )
        self.plan = make_plan(sweep, {one.path: one for one in datasets})
        self.space.write_text(to_yaml(sweep))


@pytest.fixture(scope="module")
def datasets(dataset: Dataset, tmp_path_factory: pytest.TempPathFactory) -> tuple[Dataset, Dataset]:
    out = tmp_path_factory.mktemp("other") / "dataset"
    return dataset, write_phantom(out, cases=4, shape=(24, 24, 24), seed=1)


@pytest.fixture(scope="module")
def calm(
    datasets: tuple[Dataset, Dataset], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Path]:
    made = ScheduledDriver(datasets, tmp_path_factory.mktemp("race") / "calm", kind="race")
    code, _, err = made.complete()
    assert code == 0, err
    assert err.count("stopped: few: at30 seed") == err.count("stopped: many: at30 seed") == 2
    yield made.run
    made.stop_all()


def test_a_race_stops_what_is_decided(calm: Path) -> None:
    assert {d.by for d in read_decisions(calm)} == {"race"}
    table = load_results(calm)
    assert set(table["status"]) == {"done"}
    assert seeds_made(table) == {
        ("few", "at30"): 2,
        ("few", "at30to90"): 2,
        ("few", "at90a"): 4,
        ("few", "at90b"): 4,
        ("many", "at30"): 2,
        ("many", "at30to90"): 4,
        ("many", "at90a"): 4,
        ("many", "at90b"): 4,
    }


def seeds_made(table: pd.DataFrame) -> dict[Any, int]:
    return table.groupby(["setting_name", "strategy"])["seed"].nunique().to_dict()


def test_what_a_race_left_out_is_told_setting_by_setting(calm: Path) -> None:
    cells = stopping([read_run(calm)])
    stopped = cells[cells["status"] == "not_run"]
    assert stopped.groupby(["setting", "strategy"]).size().tolist() == [2, 2, 2]
    assert len(cells) == 32
    assert stopped["against"].isin(["at90a", "at90b", "at30to90"]).all()


def test_a_race_goes_on_after_kills_as_if_there_were_none(
    datasets: tuple[Dataset, Dataset], tmp_path: Path, calm: Path
) -> None:
    driver = ScheduledDriver(datasets, tmp_path / "killed", kind="race")
    write_space(driver.run, driver.plan)
    plant_fault(trajectory_folder(driver.run, driver.plan.ids[0]), KILL, loop=1)
    for loops in (4, 40):
        process = driver.start_run(seconds=0.05)
        wait_for(lambda loops=loops: len(records_of(driver.run)) >= loops, of=process)
        os.kill(process.pid, signal.SIGKILL)
        process.communicate()
    assert driver.resume()[0] == 0
    assert read_decisions(driver.run) == read_decisions(calm)
    assert queries_of(driver.run) == queries_of(calm)
    driver.stop_all()


def test_halving_leaves_out_loops_and_a_resume_follows_the_log(
    datasets: tuple[Dataset, Dataset], tmp_path: Path
) -> None:
    driver = ScheduledDriver(datasets, tmp_path / "halved", kind="asha")
    code, _, err = driver.complete()
    assert code == 0, err
    decided = read_decisions(driver.run)
    stopped = {d.trajectory for d in decided}
    assert stopped
    table = load_results(driver.run)
    assert set(table.loc[table["status"] == "truncated", "trajectory"]) == stopped
    assert table.groupby("trajectory").size()[list(stopped)].max() < 3
    for _, rows in table.groupby("setting_name"):
        assert set(rows["status"]) == {"done", "truncated"}
        # Halving never cuts the best of its own setting.
        assert rows.loc[rows.groupby("loop")["mean_dice"].idxmax(), "status"].iloc[0] == "done"
    assert driver.resume()[0] == 0
    assert read_decisions(driver.run) == decided
    assert load_results(driver.run).equals(table)
    driver.stop_all()
