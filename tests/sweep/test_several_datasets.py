"""A sweep over several datasets: planned, stored, moved, extended, read and reported."""

import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from alsweep.cli.main import _exit_code
from alsweep.config.load import load_sweep
from alsweep.config.sweep import SweepConfig
from alsweep.config.validation import validated
from alsweep.data import phantom
from alsweep.data.case import Dataset
from alsweep.data.phantom import write_phantom
from alsweep.errors import DatasetError, RunFolderError
from alsweep.layout import trajectory_folder
from alsweep.report import write_report
from alsweep.report.queries import open_query
from alsweep.report.section import Material
from alsweep.report.sections import classes, datasets
from alsweep.report.sections.datasets import datasets_of
from alsweep.report.study import read_study
from alsweep.results.begun import begun_as, read_begun
from alsweep.results.decisions import Decision, append_decisions
from alsweep.results.load import load_results
from alsweep.results.records import read_run
from alsweep.results.table import write_results
from alsweep.sweep.deciding import extended
from alsweep.sweep.plan import Plan
from alsweep.sweep.planning import plan_of, plan_read, stored_plan
from alsweep.sweep.run_folder import check_same_sweep, left_out, stored_sweep, write_space
from alsweep.sweep.running import training_in
from alsweep.sweep.status import read_status
from tests.report.pages import undrawn

SPACE = Path(__file__).parents[2] / "search_spaces" / "phantom-query-size.yaml"
NAMES = ["single", "half", "other phantom"]
DATASETS = {"single": "one", "half": "one", "other phantom": "two"}


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two phantoms whose classes differ but for one."""
    folder = tmp_path_factory.mktemp("several")
    write_phantom(folder / "one", cases=4, shape=(20, 20, 20))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(phantom, "_HEAD", replace(phantom._HEAD, name="liver"))
        patch.setattr(phantom, "CLASSES", ("background", "liver", "lesion"))
        write_phantom(folder / "two", cases=4, shape=(20, 20, 20), seed=1)
    return folder


def space(place: Path, **changes: Any) -> SweepConfig:
    """A search space that comes with alsweep, on these phantoms."""
    told = [f"settings.{name}.dataset={place / DATASETS[name]}" for name in NAMES]
    raw = load_sweep(SPACE, told).plain()
    return validated(SweepConfig, {k: v for k, v in (raw | changes).items() if v is not None}, {})


@pytest.fixture(scope="module")
def plan(place: Path) -> Plan:
    return plan_of(space(place), "several.yaml")


@pytest.fixture(scope="module")
def made(place: Path, plan: Plan) -> Path:
    """The search space, trained in this process."""
    run = place / "run"
    write_space(run, plan)
    work = training_in(run, plan)
    for planned in plan.trajectories:
        folder = trajectory_folder(run, planned.id)
        trajectory = work.trajectory(planned.config, folder, lambda progress: None)
        while not trajectory.finished:
            trajectory.step()
    write_results(run)
    return run


@pytest.fixture
def run(made: Path, tmp_path: Path) -> Path:
    return shutil.copytree(made, tmp_path / "run")


def test_each_trajectory_is_on_the_dataset_of_its_setting(place: Path, plan: Plan) -> None:
    prints = {name: Dataset.open(place / name).fingerprint for name in ("one", "two")}
    of_setting = {name: prints[dataset] for name, dataset in DATASETS.items()}
    assert [one.setting for one in plan.trajectories] == [name for name in NAMES for _ in range(2)]
    assert plan.trajectories[0].shown == "single: random_fg66"
    for one in plan.trajectories:
        assert one.dataset_fingerprint == of_setting[str(one.setting)]
        assert one.id == one.config.trajectory_id(one.dataset_fingerprint)
    assert plan.datasets == {prints["one"]: "phantom", prints["two"]: "liver"}


def test_the_stored_sweep_says_what_is_on_which_dataset(made: Path, plan: Plan) -> None:
    found = read_run(made)
    assert tuple(one.id for one in found.trajectories) == plan.ids
    for planned, folder in zip(plan.trajectories, found.trajectories, strict=True):
        ground = found.ground(folder)
        assert ground.setting == planned.setting
        assert ground.dataset == planned.config.dataset
        assert ground.dataset_fingerprint == planned.dataset_fingerprint
    assert stored_plan(made).ids == plan.ids
    status = read_status(made)
    assert [one.state for one in status.trajectories] == 6 * ["done"]
    names = [one.setting_name for one in status.trajectories]
    assert names == [name for name in NAMES for _ in range(2)]


def test_ids_are_those_of_a_sweep_on_one_of_the_datasets(place: Path, plan: Plan) -> None:
    assert plan_of(alone(place, "two"), "alone.yaml").ids == plan.ids[4:]


def alone(place: Path, dataset: str) -> SweepConfig:
    """The same on one dataset, without settings."""
    base = space(place).base
    base["query"] |= {"patches": 6, "loops": 2}
    return space(place, settings=None, base=base, dataset=str(place / dataset))


def test_the_table_has_all_classes_and_none_that_is_not_the_dataset_s(made: Path) -> None:
    table = load_results(made)
    assert [c for c in table if c.startswith("dice_")] == [
        "dice_organ",
        "dice_lesion",
        "dice_liver",
    ]
    on_two = table["dataset"] == "liver"
    assert on_two.tolist() == 10 * [False] + 4 * [True]
    assert table.loc[on_two, "dice_organ"].isna().all()
    assert table.loc[~on_two, "dice_liver"].isna().all()
    assert table.loc[on_two, "dice_liver"].notna().all()
    assert list(table["setting_name"].unique()) == NAMES


def test_readers_open_the_dataset_of_the_trajectory(run: Path, plan: Plan, tmp_path: Path) -> None:
    for planned in (plan.trajectories[0], plan.trajectories[5]):
        query = open_query(run, planned.id, 1)
        assert query.dataset.fingerprint == planned.dataset_fingerprint
        words = ["export", str(run), "--trajectory", planned.id, "--to", "nnunet"]
        assert _exit_code([*words, "--out", str(tmp_path / planned.id)], debug=False) == 0


@pytest.fixture
def moved(place: Path, run: Path, tmp_path: Path) -> Path:
    """The second dataset, which lies elsewhere than sweep.yaml says."""
    text = (run / "sweep.yaml").read_text()
    (run / "sweep.yaml").write_text(text.replace(str(place / "two"), str(tmp_path / "gone")))
    return shutil.copytree(place / "two", tmp_path / "elsewhere")


def test_one_of_the_datasets_may_be_moved(run: Path, moved: Path, plan: Plan) -> None:
    told = "--set 'settings.other phantom.dataset=PATH'"
    with pytest.raises(DatasetError, match=told):
        stored_plan(run)
    overrides = [f"settings.other phantom.dataset={moved}"]
    sweep = load_sweep(run / "sweep.yaml", overrides)
    again = plan_read(sweep, run / "sweep.yaml", run, overrides)
    check_same_sweep(run, again)
    assert again.ids == plan.ids
    assert again.trajectories[4].config.dataset == moved
    moved.rename(run / "gone")
    assert stored_plan(run).trajectories[4].config.dataset == run / "gone"


def test_a_setting_stays_on_its_data_and_others_may_join(
    place: Path, run: Path, plan: Plan
) -> None:
    raw = space(place).plain()["settings"]
    more = [
        *raw,
        {"name": "new", "dataset": str(place / "two"), "query.patches": 6, "query.loops": 3},
    ]
    check_same_sweep(run, plan_of(space(place, settings=more), "s"))
    fewer = plan_of(space(place, settings=raw[1:]), "s")
    check_same_sweep(run, fewer)
    assert left_out(run, fewer) == list(plan.ids[:2])
    other = [raw[0] | {"dataset": str(place / "two")}]
    with pytest.raises(RunFolderError, match=r"setting 'single' of it was begun on a dataset"):
        check_same_sweep(run, plan_of(space(place, settings=other), "s"))


def test_what_is_added_while_a_sweep_runs_is_on_one_of_its_datasets(run: Path, plan: Plan) -> None:
    last = plan.trajectories[-1]
    more = last.config.model_copy(update={"seed": 7})
    id_ = more.trajectory_id(last.dataset_fingerprint)
    added = Decision(action="added", trajectory=id_, by="search", why="is new", config=more)
    append_decisions(run, [added])
    found = extended(plan, run).trajectories[-1]
    assert (found.id, found.dataset_fingerprint) == (id_, last.dataset_fingerprint)
    folder = read_run(run).trajectories[-1]
    assert folder.id == id_
    assert read_status(run).trajectories[-1].id == id_


def test_a_sweep_on_one_dataset_may_get_settings_but_no_dataset_in_its_place(
    place: Path, tmp_path: Path
) -> None:
    run = tmp_path / "run"
    write_space(run, plan_of(alone(place, "one"), "s"))
    check_same_sweep(run, plan_of(space(place), "s"))
    only = space(place).plain()["settings"][2]
    with pytest.raises(RunFolderError, match="was begun on a dataset with fingerprint"):
        check_same_sweep(run, plan_of(space(place, settings=[only]), "s"))


def test_a_report_mixes_no_classes_and_ranks_each_dataset(
    made: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    undrawn(monkeypatch)
    study = read_study([made])
    found = {name: [study.settings[s] for s in one] for name, one in datasets_of(study).items()}
    assert found == {"phantom": ["single", "half"], "liver": ["other phantom"]}
    (tables, _) = classes.SECTION.blocks(Material(study, {}))
    heads = {name: table.columns[1:3] for name, table in tables.named}
    assert heads == {
        "single": ("organ [%]", "lesion [%]"),
        "half": ("organ [%]", "lesion [%]"),
        "other phantom": ("liver [%]", "lesion [%]"),
    }
    (each, _) = datasets.SECTION.blocks(Material(study, {}))
    assert [name for name, _ in each.named] == ["phantom, 2 settings", "liver, 1 setting"]
    assert [[row[-1] for row in table.rows] for _, table in each.named] == [["2", "2"], ["1", "1"]]
    page = write_report([made], made / "report").read_text()
    assert all(name in page for name in NAMES)
    ranks = pd.read_csv(made / "report" / "ranking_by_dataset.csv")
    assert ranks["dataset"].tolist() == ["phantom", "phantom", "liver", "liver"]


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"grid": {"strategy": ["random"], "query.overlap": [0, 0.25]}},
        {"grid": {}, "points": [{"query.overlap": 0.25}, {"query": {"stride": 2}}]},
        {"sample": {"n": 2, "seed": 1, "over": {"query.overlap": {"low": 0.0, "high": 0.3}}}},
        {
            "search": {
                "configurations": 2,
                "over": {"query.overlap": {"low": 0.0, "high": 0.3}},
            }
        },
    ],
)
@pytest.mark.parametrize("named", [True, False])
def test_who_has_validated_a_stored_sweep_knows_what_readers_read(
    place: Path, tmp_path: Path, changes: dict[str, Any], named: bool
) -> None:
    single = {} if named else {"settings": None, "dataset": str(place / "one")}
    query = {"patches": 6, "loops": 2, "patch_size": [8, 8, 8]}
    write_space(
        tmp_path, plan_of(space(place, **(single | {"base": {"query": query}} | changes)), "x")
    )
    sweep = stored_sweep(tmp_path)
    assert sweep.provenance is not None
    assert begun_as(sweep, sweep.provenance) == read_begun(tmp_path)
