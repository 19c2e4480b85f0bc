"""What `gc` removes of a run, and that all that is left works on."""

import shutil
from pathlib import Path

import pytest
from typer.testing import CliRunner

from alsweep import Trajectory
from alsweep.cli.main import app
from alsweep.data.case import Dataset
from alsweep.errors import RunFolderError
from alsweep.layout import (
    models_folder,
    query_path,
    record_path,
    space_path,
    training_folder,
    trajectory_folder,
    weights_path,
)
from alsweep.results.load import load_results
from alsweep.results.records import TrajectoryFolder, read_run
from alsweep.sweep.keep import Keep
from alsweep.sweep.plan import Plan, make_plan
from alsweep.sweep.planning import plan_of
from alsweep.sweep.retention import collect, garbage
from alsweep.sweep.run_folder import driver_lock, write_space
from alsweep.sweep.space_file import resolved_sweep
from tests.sweep.conftest import sweep_of
from tests.trajectory.conftest import log_bytes

TINY = {
    "epochs": 1,
    "iterations_per_epoch": 2,
    "members": 1,
    "ensemble": "seeds",
    "features": [4, 4, 4],
    "patch_size": [16, 16, 16],
}
BASE = {
    "query": {"patches": 6, "loops": 3, "patch_size": [8, 8, 8], "stride": 4},
    "training": TINY,
    "starting_budget": {"strategy": "random"},
}


def step(run: Path, dataset: Dataset, trajectory: TrajectoryFolder) -> None:
    assert trajectory.config is not None
    models = models_folder(run)
    Trajectory(trajectory.config, trajectory.folder, dataset=dataset, models=models).run()


@pytest.fixture(scope="module")
def plan(dataset: Dataset) -> Plan:
    grid = {"strategy": ["random", "predictive_entropy"]}
    return make_plan(sweep_of(dataset, base=BASE, grid=grid, seeds=[0]), dataset)


@pytest.fixture(scope="module")
def finished(plan: Plan, dataset: Dataset, tmp_path_factory: pytest.TempPathFactory) -> Path:
    run = tmp_path_factory.mktemp("finished") / "run"
    with driver_lock(run):
        write_space(run, plan)
    for one in plan.trajectories:
        folder = trajectory_folder(run, one.id)
        Trajectory(one.config, folder, dataset=dataset, models=models_folder(run)).run()
    return run


@pytest.fixture
def run(finished: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(finished, tmp_path / "run"))


def stored(run: Path) -> set[str]:
    return {f.name for f in models_folder(run).glob("*") if weights_path(f).exists()}


def members(run: Path, *loops: int) -> set[str]:
    return {
        key
        for trajectory in read_run(run).trajectories
        for loop in loops
        for key in trajectory.records[loop].members
    }


def test_of_a_finished_run_the_last_networks_stay(run: Path) -> None:
    before, table = stored(run), load_results(run)
    assert before == members(run, 0, 1, 2)
    told = collect(run)
    assert stored(run) == members(run, 2)
    assert (len(told.weights), told.kept) == (len(before) - 2, 2)
    assert told.bytes > 0
    assert load_results(run).equals(table)
    assert collect(run).weights == ()


def test_policies_are_what_they_say(run: Path) -> None:
    everything = stored(run)
    collect(run, Keep.all)
    assert stored(run) == everything
    collect(run, Keep.none)
    assert stored(run) == set()


def test_what_is_not_finished_goes_on_as_if_nothing_were_gone(run: Path, dataset: Dataset) -> None:
    _, going = read_run(run).trajectories
    log, whole = log_bytes(going.folder), read_run(run).trajectories[1].records
    # As a kill leaves it: the next training is done, its loop is not.
    record_path(going.folder, 2).unlink()
    collect(run)
    assert set(whole[2].members) <= stored(run)
    assert {key for record in whole for key in record.members} <= stored(run)
    step(run, dataset, going)
    again = read_run(run).trajectories[1].records
    assert log_bytes(going.folder) == log
    assert [one.mean_dice for one in again] == [one.mean_dice for one in whole]


def test_a_start_stays_for_those_who_have_not_begun(run: Path) -> None:
    _, waiting = read_run(run).trajectories
    start = set(waiting.records[0].members)
    shutil.rmtree(waiting.folder)
    for key in start:
        meta = models_folder(run) / key / "meta.json"
        meta.write_text(meta.read_text().replace('"owner": "', '"owner": "start-'))
    (other, _) = read_run(run).trajectories
    # Nobody's record names it: neither that of the trajectory that shared it.
    for loop in range(3):
        record_path(other.folder, loop).unlink()
    collect(run)
    assert start <= stored(run)


def test_checkpoints_go_once_their_training_is_over(run: Path) -> None:
    folder = training_folder(models_folder(run))
    folder.mkdir(exist_ok=True)
    (folder / "left.pt").write_bytes(b"x" * 100)
    assert [path.name for path in garbage(run, Keep.all).remains] == ["left.pt"]
    first, _ = read_run(run).trajectories
    query_path(first.folder, 2).unlink()
    record_path(first.folder, 2).unlink()
    assert garbage(run, Keep.all).remains == ()


def test_a_dry_run_only_tells(run: Path) -> None:
    before = stored(run)
    told = CliRunner().invoke(app, ["gc", str(run), "--dry-run"])
    assert told.exit_code == 0
    assert f"{len(before) - 2} networks" in told.output
    assert "would go" in told.output
    assert "2 networks stay" in told.output
    assert stored(run) == before


def test_nothing_goes_while_somebody_is_at_work(run: Path) -> None:
    before = stored(run)
    with driver_lock(run), pytest.raises(RunFolderError, match="at work"):
        collect(run)
    assert stored(run) == before


def test_a_folder_that_is_no_run_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RunFolderError, match=r"sweep\.yaml"):
        collect(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_sweep_tidies_up_once_it_is_done(run: Path, plan: Plan) -> None:
    from alsweep.sweep.running import _tidy_up

    asked = resolved_sweep(plan)
    for keep, left in ((None, members(run, 0, 1, 2)), ("last", members(run, 2))):
        resources = asked.resources.model_copy(update={"keep": keep})
        sweep = asked.model_copy(update={"resources": resources})
        _tidy_up(run, plan_of(sweep, str(space_path(run)), run))
        assert stored(run) == left
