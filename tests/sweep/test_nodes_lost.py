"""Nodes of a cluster that are lost under a sweep: one with workers alone, and all with the head."""

import subprocess
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import psutil
import pytest

from alsweep.data.case import Dataset
from alsweep.results.mishaps import Counts, read_mishaps
from alsweep.sweep.space_file import to_yaml
from tests.cluster.heads import Head, joined_node, running_head
from tests.sweep.conftest import sweep_of
from tests.sweep.test_driver import REPOSITORY, Driver, assert_equal_runs, records_of, wait_for

pytestmark = [pytest.mark.ray, pytest.mark.slow, pytest.mark.timeout(900)]


@pytest.fixture
def driver(dataset: Dataset, tmp_path: Path) -> Iterator[Driver]:
    made = Driver(dataset, tmp_path)
    made.space.write_text(to_yaml(sweep_of(dataset, seeds=[0, 1])))
    yield made
    made.stop_all()


@pytest.fixture
def calm(dataset: Dataset, tmp_path: Path) -> Path:
    (tmp_path / "calm").mkdir()
    made = Driver(dataset, tmp_path / "calm")
    made.space.write_text(to_yaml(sweep_of(dataset, seeds=[0, 1])))
    assert made.complete()[0] == 0
    return made.run


def on(head: Head, driver: Driver, *verb: str) -> subprocess.Popen[str]:
    return driver.start(*verb, "--address", head.gcs, seconds=2.0, more=head.environment)


def run_on(head: Head, driver: Driver) -> subprocess.Popen[str]:
    return on(head, driver, "run", str(driver.space), "--out", str(driver.run))


def part_of(node: subprocess.Popen[bytes], name: str) -> psutil.Process:
    found: list[psutil.Process] = []

    def is_there() -> bool:
        children = psutil.Process(node.pid).children(recursive=True)
        found[:] = [one for one in children if one.name() == name]
        return bool(found)

    wait_for(is_there)
    return found[0]


def test_a_node_that_is_lost_costs_the_loops_at_hand_alone(driver: Driver, calm: Path) -> None:
    with running_head(str(REPOSITORY)) as head, ExitStack() as nodes:
        joined = [nodes.enter_context(joined_node(head, str(REPOSITORY))) for _ in range(2)]
        process = run_on(head, driver)
        wait_for(lambda: len(records_of(driver.run)) >= 3, of=process)
        part_of(joined[0], "raylet").kill()
        code, _, err = driver.finish(process)
        if code:  # Ray has put the driver on that node
            assert "the Ray on this machine is gone (its raylet does not answer)" in err
            code, _, err = driver.finish(on(head, driver, "resume", str(driver.run)))
    assert code == 0, err
    assert_equal_runs(driver.run, calm)
    assert Counts.of(read_mishaps(driver.run)).errors == 0


def test_a_lost_head_ends_the_driver_and_another_cluster_goes_on(
    driver: Driver, calm: Path
) -> None:
    with running_head(str(REPOSITORY), cpus=2) as head:
        process = run_on(head, driver)
        wait_for(lambda: len(records_of(driver.run)) >= 2, of=process)
        for name in ("gcs_server", "raylet"):
            part_of(head.process, name).kill()
        code, _, err = driver.finish(process)
        assert code == 1
        last = err.splitlines()[-1]
        assert "the Ray on this machine is gone (its raylet does not answer)" in last
        assert "finished loops are safe" in last
    with running_head(str(REPOSITORY), cpus=2) as other:
        code, _, err = driver.finish(on(other, driver, "resume", str(driver.run)))
    assert code == 0, err
    assert_equal_runs(driver.run, calm)
