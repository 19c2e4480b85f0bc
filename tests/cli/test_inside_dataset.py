"""A Dataset is shared and never changes: no command writes into one."""

import pytest

from alsweep import Dataset
from alsweep.data.exchange import write_loops
from alsweep.geometry import Patch, QueriedPatch
from alsweep.testing.runs import write_run, write_sweep
from alsweep.trajectory.query_log import QueryLog
from alsweep.trajectory.resolving import resolve
from tests.cli.test_run import SPACE, call
from tests.data.raws import nnunet
from tests.report.pages import undrawn
from tests.trajectory.conftest import make_config


@pytest.fixture(autouse=True)
def quick_pictures(monkeypatch: pytest.MonkeyPatch) -> None:
    undrawn(monkeypatch)


@pytest.fixture(scope="module")
def place(dataset, tmp_path_factory):
    """What the commands take: a search space, runs, a raw dataset, loop files."""
    place, opened = tmp_path_factory.mktemp("inside"), Dataset.open(dataset)
    (place / "space.yaml").write_text(SPACE.format(dataset=dataset))
    write_run(place / "finished", loops=2)
    config = resolve(make_config(opened, starting_budget={"strategy": "random"}), opened)
    name = config.trajectory_id(opened.fingerprint)
    log = QueryLog(place / "begun" / "trajectories" / name)
    log.claim(config)
    log.commit(0, [QueriedPatch(Patch(opened.pool[0], (0, 0, 0), (8, 8, 8)))])
    write_sweep(place / "begun", dataset, [name], opened.fingerprint)
    nnunet(place / "raw")
    write_loops(place / "loops", [[Patch(opened.pool[0], (0, 0, 0), (8, 8, 8))]], opened.cases)
    (place / "link").symlink_to(dataset)
    return place


COMMANDS = {
    "run": "run space.yaml",
    "dry run": "run space.yaml --dry-run",
    "demo": "demo",
    "report": "report finished",
    "queries": "queries begun --trajectory predictive --loop 0",
    "nnunet": "export begun --trajectory predictive --loop 0 --to nnunet",
    "nnactive": "export begun --trajectory predictive --loop 0 --to nnactive",
    "ingest": "ingest raw",
    "phantom": "phantom",
    "import": "import loops --dataset link",
}


def snapshot(folder):
    return {path: path.lstat().st_mtime_ns for path in (folder, *folder.rglob("*"))}


@pytest.mark.parametrize("inside", ["new", "cases/new", "link"])
@pytest.mark.parametrize("command", COMMANDS)
def test_no_command_writes_into_a_dataset(place, dataset, monkeypatch, capsys, command, inside):
    out = place / "link" / "deeper" if inside == "link" else dataset / inside
    before = snapshot(dataset)
    monkeypatch.chdir(place)
    assert call(monkeypatch, *COMMANDS[command].split(), "--out", out) == 2
    told = capsys.readouterr().err.splitlines()[-1]
    assert f"{out}: lies in the Dataset {dataset}" in told
    assert snapshot(dataset) == before


@pytest.mark.parametrize("command", ["report finished", "run space.yaml"])
def test_nor_does_one_replace_it(place, dataset, monkeypatch, capsys, command):
    monkeypatch.chdir(place)
    before = snapshot(dataset)
    assert call(monkeypatch, *command.split(), "--out", dataset) == 2
    assert "lies in the Dataset" in capsys.readouterr().err
    assert snapshot(dataset) == before


def test_a_folder_that_merely_holds_a_dataset_may_be_written(place, dataset, monkeypatch):
    monkeypatch.chdir(place)
    assert call(monkeypatch, "report", "finished", "--out", dataset.parent / "beside") == 0


@pytest.mark.parametrize("text", ["{", "[]", "[" * 100_000, '{"format": "other"}'])
def test_other_files_of_that_name_are_in_nobodys_way(place, monkeypatch, tmp_path, text):
    (tmp_path / "dataset.json").write_text(text)
    monkeypatch.chdir(place)
    assert call(monkeypatch, "report", "finished", "--out", tmp_path / "beside") == 0
