"""One line of a grid replays a whole run, each strategy and seed its own trajectory."""

import shutil
from pathlib import Path

import pytest

from alsweep import Trajectory
from alsweep.config.load import load_sweep
from alsweep.data.case import Dataset
from alsweep.errors import ConfigError, StrategyError
from alsweep.geometry import QueriedPatch
from alsweep.layout import query_path, trajectory_folder
from alsweep.results.loops import read_query, write_query
from alsweep.sweep.counting import count
from alsweep.sweep.plan import Plan, make_plan
from alsweep.sweep.run_folder import driver_lock, write_space
from alsweep.sweep.space_file import resolved_sweep, to_yaml
from alsweep.trajectory.budget import draw_start
from alsweep.trajectory.replay import find_source
from tests.sweep.conftest import sweep_of
from tests.trajectory.conftest import log_bytes

TINY = {
    "epochs": 1,
    "iterations_per_epoch": 2,
    "members": 2,
    "folds": 2,
    "features": [4, 4, 4],
    "patch_size": [16, 16, 16],
}
BASE = {
    "query": {"patches": 6, "loops": 2, "patch_size": [8, 8, 8], "stride": 4},
    "training": TINY,
    "starting_budget": {"strategy": "random"},
}
NAMES = ["random_fg66", {"name": "power_pe", "beta": 5}]
LABELS = ["random_fg66", "power_pe[beta=5]"]


def plan_on(dataset: Dataset, **changes: object) -> Plan:
    grid = {"strategy": NAMES}
    return make_plan(sweep_of(dataset, **{"base": BASE, "grid": grid, **changes}), dataset)


def make(run: Path, plan: Plan, dataset: Dataset) -> Path:
    """Run every trajectory of a plan here, without Ray."""
    with driver_lock(run):
        write_space(run, plan)
    for one in plan.trajectories:
        Trajectory(one.config, trajectory_folder(run, one.id), dataset=dataset).run()
    return run


@pytest.fixture(scope="module")
def study(dataset: Dataset, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two strategies and two seeds, with two patch sizes."""
    run = tmp_path_factory.mktemp("study") / "run"
    sizes = {"query.patch_size": [[8, 8, 8], [6, 6, 6]]}
    return make(run, plan_on(dataset, grid={"strategy": NAMES, **sizes}), dataset)


def longer(dataset: Dataset, run: Path, *replays: dict, **changes: object) -> Plan:
    base = {**BASE, "training": {**TINY, "epochs": 2}}
    grid = {"strategy": replays or ({"name": "replay", "run": str(run)},)}
    return plan_on(dataset, **{"base": base, "grid": grid, **changes})


def test_one_line_replays_every_strategy_with_its_own_seeds(
    dataset: Dataset, study: Path, tmp_path: Path
) -> None:
    plan = longer(dataset, study)
    found = [(one.label, one.config.seed) for one in plan.trajectories]
    assert found == [(f"replay[{label}]", seed) for label in LABELS for seed in (0, 1)]
    run = make(tmp_path / "run", plan, dataset)
    sources = plan_on(dataset).trajectories
    for one, source in zip(plan.trajectories, sources, strict=True):
        theirs = log_bytes(trajectory_folder(study, source.id))
        assert log_bytes(trajectory_folder(run, one.id)) == theirs
    assert len({str(log_bytes(trajectory_folder(run, i))) for i in plan.ids}) == 4


def test_a_replayed_run_counts_as_the_trajectories_that_it_stands_for(
    dataset: Dataset, study: Path, tmp_path: Path
) -> None:
    replay = {"name": "replay", "run": str(study)}
    for grid, base in (
        ({"strategy": [replay, "random"]}, BASE),
        ({}, {**BASE, "strategy": replay}),
    ):
        sweep = sweep_of(dataset, base=base, grid=grid)
        plan = make_plan(sweep, dataset)
        assert count(sweep).trajectories == len(plan.trajectories) in (6, 4)
        assert count(sweep).unshared_trainings == 4 * len(plan.trajectories)
    # Where neither dataset nor run is there, it is one strategy.
    gone = sweep_of(dataset, base=BASE, grid={"strategy": [{**replay, "run": str(tmp_path)}]})
    assert count(gone).trajectories == 2


def test_what_is_stored_means_the_same_wherever_it_is_read(
    dataset: Dataset, study: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(study.parent)
    plan = longer(dataset, Path(study.name))
    path = tmp_path / "sweep.yaml"
    path.write_text(to_yaml(resolved_sweep(plan)))
    monkeypatch.chdir(tmp_path)
    again = make_plan(load_sweep(path), dataset)
    assert [one.config for one in again.trajectories] == [one.config for one in plan.trajectories]
    assert again.ids == plan.ids == longer(dataset, study).ids


def test_a_strategy_may_be_named_and_a_label_given(dataset: Dataset, study: Path) -> None:
    replay = {"name": "replay", "run": str(study)}
    (one, *_) = longer(dataset, study, {**replay, "strategy": "random_fg66"}, seeds=[1]).own
    assert (one.label, one.config.seed) == ("replay[random_fg66]", 1)
    mine = longer(dataset, study, "random", {**replay, "label": "long"}, seeds=[0])
    assert [one.label for one in mine.own] == ["random", *(f"long[{label}]" for label in LABELS)]


def test_a_replay_in_base_stands_for_each_strategy_too(dataset: Dataset, study: Path) -> None:
    base = {**BASE, "training": {**TINY, "epochs": 2}, "strategy": {"name": "replay"}}
    base["strategy"]["run"] = str(study)
    assert plan_on(dataset, base=base, grid={}).ids == longer(dataset, study).ids


def test_the_trajectory_of_the_same_setting_is_taken(dataset: Dataset, study: Path) -> None:
    sizes = {"query.patch_size": [[6, 6, 6], [8, 8, 8]]}
    both = longer(
        dataset, study, grid={"strategy": [{"name": "replay", "run": str(study)}], **sizes}
    )
    assert len(both.own) == 8


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"seeds": [0, 7]}, "has no trajectory with seed 7 to replay; seeds there: 0, 1"),
        (
            {"base": {**BASE, "query": {**BASE["query"], "patches": 7}}},
            "was made with patches 6, but here it is 7",
        ),
        (
            {"grid": {"strategy": [{"name": "replay", "run": "RUN", "strategy": "bald"}]}},
            "has no strategy 'bald' with seed 0; it has random_fg66, power_pe[beta=5]",
        ),
        (
            {"grid": {"strategy": [{"name": "replay", "run": "nowhere"}]}},
            "nowhere: no sweep.yaml in it",
        ),
        (
            {"grid": {"strategy": [{"name": "replay", "run": "RUN", "source": "x"}]}},
            "exclude each other",
        ),
        ({"grid": {"strategy": [{"name": "replay"}]}}, "'source' is missing"),
    ],
    ids=str,
)
def test_what_cannot_be_replayed_is_refused_in_one_line(
    dataset: Dataset, study: Path, changes: dict, words: str
) -> None:
    if "grid" in changes:
        (value,) = changes["grid"]["strategy"]
        own = {k: str(study) if v == "RUN" else v for k, v in value.items()}
        changes = {"grid": {"strategy": [own]}}
    with pytest.raises(ConfigError) as told:
        longer(dataset, study, **changes)
    assert words in str(told.value)
    assert str(told.value).startswith("grid.strategy: ")
    assert "\n" not in str(told.value)


def test_two_that_would_do_are_not_chosen_between(
    dataset: Dataset, study: Path, tmp_path: Path
) -> None:
    epochs = {"strategy": ["random"], "training.epochs": [1, 2]}
    run = make(tmp_path / "run", plan_on(dataset, grid=epochs, seeds=[0]), dataset)
    with pytest.raises(ConfigError, match="has 2 trajectories of seed 0 that could be replayed"):
        longer(dataset, run, seeds=[0])


def test_of_several_datasets_a_replay_takes_its_own(
    dataset: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = plan_on(dataset).trajectories[0].config
    begun = {tmp_path / n: config.model_copy(update={"dataset": tmp_path / n}) for n in "ab"}
    monkeypatch.setattr("alsweep.trajectory.replay.begun_in", lambda _: begun)
    for folder, theirs in begun.items():
        assert find_source(tmp_path, config.strategy.shown, theirs) == folder
    with pytest.raises(StrategyError, match="2 trajectories of seed 0"):
        find_source(tmp_path, config.strategy.shown, config)


def test_a_start_of_a_run_is_that_of_the_same_seed(
    dataset: Dataset, study: Path, tmp_path: Path
) -> None:
    start = {"strategy": {"name": "replay", "run": str(study)}}
    plan = plan_on(dataset, base={**BASE, "starting_budget": start}, grid={"strategy": ["margin"]})
    sources = plan_on(dataset).trajectories[:2]
    for one, source in zip(plan.trajectories, sources, strict=True):
        theirs = read_query(query_path(trajectory_folder(study, source.id), 0))
        assert draw_start(one.config, dataset) == theirs
    assert make_plan(resolved_sweep(plan), dataset).ids == plan.ids
    # Where strategies began differently, which start is meant has to be said.
    other = Path(shutil.copytree(study, tmp_path / "other"))
    path = query_path(trajectory_folder(other, sources[0].id), 0)
    moved = [QueriedPatch(q.patch) for q in read_query(path)][:-1]
    path.unlink()
    write_query(path, 0, moved)
    start = {"strategy": {"name": "replay", "run": str(other)}}
    with pytest.raises(ConfigError, match=r"2 trajectories of seed 0 .* say which by strategy"):
        plan_on(dataset, base={**BASE, "starting_budget": start}, grid={"strategy": ["margin"]})
