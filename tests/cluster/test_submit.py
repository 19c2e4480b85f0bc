"""A small sweep through `alsweep submit`, on a real head that has another alsweep."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from alsweep.data.phantom import write_phantom
from alsweep.results import load_results
from tests.cluster.heads import Head, joined_node, running_head

pytestmark = [pytest.mark.ray, pytest.mark.timeout(600)]

SPACE = """
name: far
dataset: dataset
base:
  query: {patches: 6, loops: 2, patch_size: [8, 8, 8]}
  training: {members: 1, epochs: 1, iterations_per_epoch: 2, patch_size: [8, 8, 8], batch_size: 2}
grid: {strategy: [random, broken]}
plugins: [mine.py]
wandb: {mode: disabled}
"""
PLUGIN = """
from dataclasses import dataclass

import alsweep
from alsweep.errors import StrategyError
from alsweep.query import Strategy, strategy


@strategy("broken")
@dataclass(frozen=True)
class Broken(Strategy):
    \"\"\"Fails, and says which alsweep the worker has.\"\"\"

    def query(self, pool, request, rng):
        raise StrategyError(f"broken by alsweep {alsweep.__version__}")
"""


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A working directory with a dataset, a search space and its plug-in."""
    place = tmp_path_factory.mktemp("far")
    write_phantom(place / "dataset", cases=4, shape=(24, 24, 24))
    (place / "space.yaml").write_text(SPACE)
    (place / "mine.py").write_text(PLUGIN)
    other = place / "other" / "alsweep"
    other.mkdir(parents=True)
    (other / "__init__.py").write_text('__version__ = "0.0.1"\n')
    return place


@pytest.fixture(scope="module")
def head(place: Path) -> Iterator[Head]:
    with running_head(python_path(place)) as head:
        yield head


def python_path(place: Path) -> str:
    """What the cluster's processes import from: another alsweep comes first."""
    return os.pathsep.join([str(place / "other"), os.environ.get("PYTHONPATH", "")])


def submit(
    place: Path, head: Head, *words: str, token: str | None = None
) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, **head.environment, "WANDB_MODE": "disabled"}
    if token is not None:
        environment["RAY_AUTH_TOKEN"] = token
    return subprocess.run(
        [sys.executable, "-m", "alsweep", "submit", *words, "--address", head.address],
        cwd=place,
        env=environment,
        capture_output=True,
        text=True,
        timeout=500,
        check=False,
    )


def test_a_sweep_goes_its_way_on_a_cluster(place: Path, head: Head) -> None:
    words = ["space.yaml", "--out", "run", "--env", "SOME_KEY=hush", "--env", "OMP_NUM_THREADS=7"]
    job = submit(place, head, *words)
    # The exit code is the sweep's own: some failed, the rest is done. Ray's client says 1.
    assert job.returncode == 3, job.stderr
    (id_,) = job.stdout.splitlines()
    assert id_.startswith("far-")
    assert "random seed 0 loop 2/2" in job.stderr
    assert "broken by alsweep 0.0.1" not in job.stderr
    assert "broken by alsweep" in job.stderr
    assert job.stderr.splitlines()[-1].startswith("alsweep: error: 1 of 2 trajectories failed")
    assert "hush" not in job.stderr
    table = load_results(place / "run")
    assert list(table["loop"]) == [0, 1]
    (threads,) = set(table["threads"])
    assert threads == 1, "the search space's, whatever the job's environment says"


def test_places_are_looked_at_before_anything_is_trained(place: Path, head: Head) -> None:
    words = ["space.yaml", "--set", "dataset=/no/such/set", "--out", "other-run"]
    job = submit(place, head, *words)
    assert job.returncode == 2, job.stderr
    assert job.stderr.splitlines()[-1].startswith(
        "alsweep: error: space.yaml: dataset: /no/such/set: no such Dataset"
    )
    assert not (place / "other-run").exists()


def test_who_has_not_the_token_is_turned_away_in_one_line(place: Path, head: Head) -> None:
    job = submit(place, head, "space.yaml", token="wrong")
    assert (job.returncode, job.stdout) == (2, "")
    assert job.stderr.splitlines()[-1].startswith(
        f"alsweep: error: --address {head.address}: the cluster asks for its token; export RAY_AUTH"
    )
    assert "Traceback" not in job.stderr


@pytest.mark.slow
def test_a_sweep_over_three_nodes(place: Path, head: Head) -> None:
    plain = (place / "space.yaml").read_text().replace("[random, broken]", "[random]")
    (place / "plain.yaml").write_text(plain.replace("plugins: [mine.py]", "seeds: [0, 1, 2, 3]"))
    with (
        joined_node(head, python_path(place)),
        joined_node(head, python_path(place)),
    ):
        job = submit(place, head, "plain.yaml", "--out", "three")
    assert job.returncode == 0, job.stderr
    assert len(load_results(place / "three")) == 8
