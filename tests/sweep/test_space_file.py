import dataclasses
import json
from pathlib import Path

import pytest

from alsweep import __version__
from alsweep.config.load import load_sweep
from alsweep.config.trajectory import FIRST_PRESETS, PRESETS
from alsweep.data.case import Dataset
from alsweep.errors import ConfigError
from alsweep.query.noise import Power
from alsweep.query.presets.bald import PowerBald
from alsweep.sweep.changed_defaults import changed_defaults
from alsweep.sweep.plan import Plan, make_plan
from alsweep.sweep.run_folder import write_space
from alsweep.sweep.space_file import resolved_sweep, to_yaml
from alsweep.sweep.status import read_status
from tests.sweep.conftest import MakePlan

GRIDS = [
    {},
    {"strategy": ["random", {"name": "random_fg66", "label": "mine"}]},
    {"query.patch_size": [[8, 8, 8], [6, 7, 8]], "strategy": ["random"]},
    {"query.patches": [6, 7]},
    {"training": [{"preset": "small", "members": 1}, {"epochs": 2}]},
    {"training.epochs": [1, 2], "training.members": [1, 3]},
    {"training.preset": ["small", "nnunet"]},
    {"training.preset": ["small", "nnunet"], "evaluation.tta": [False, True]},
    {"training": [{"preset": "nnunet", "members": 2}, {"epochs": 2}], "evaluation.step": [0.5, 1]},
    {"training.preset": ["small", "onecycle"], "training.augmentation": ["none", "nnunet"]},
    # What a value means may depend on another axis.
    {
        "starting_budget": [{"strategy": "random"}, {"strategy": "random_fg33_all_classes"}],
        "query.patches": [6, 8],
    },
    {"starting_budget.patches": [None, 9], "query.patches": [6, 8]},
    {"training": [{"epochs": 2}, {"epochs": 3}], "training.preset": ["small", "onecycle"]},
    {"strategy": [{"name": "power_bald"}, {"name": "softrank_bald"}], "strategy.beta": [2, 5]},
    {"strategy": [{"stages": {"map": "margin"}}], "strategy.stages.noise": ["none", "power"]},
    {"starting_budget.strategy": ["random_all_classes", "random_fg33_all_classes"]},
    {"starting_budget.strategy.name": ["random_all_classes", "random_fg33_all_classes"]},
]


SPACES = {
    "settings": {
        "settings": [
            {"name": "few", "query.patches": 7},
            {"name": "many", "query.patches": 8, "training": {"preset": "onecycle"}},
            {"name": "as base"},
        ],
    },
    "points": {"points": [{"strategy": "random"}, {"query.loops": 3}, {"training.epochs": 2}, {}]},
    "points beside a grid": {
        "points": [{"strategy": {"name": "power_bald"}, "training.preset": "nnunet"}],
        "grid": {"strategy": ["random", "margin"], "query.patches": [6, 7]},
    },
    "a learner in one point": {"points": [{"training.learner.name": "monai"}, {"query.loops": 3}]},
    "sample": {
        "sample": {
            "n": 3,
            "over": {
                "training.learning_rate": {"low": 1e-4, "high": 1e-2, "log": True},
                "training.preset": {"choices": ["small", "onecycle"]},
                "strategy": ["margin", {"name": "power_bald", "beta": {"low": 1.0, "high": 9.0}}],
            },
        },
    },
    "all of them": {
        "settings": [
            {"name": "a", "query.patches": 6},
            {"name": "b", "query.patch_size": [6, 6, 6]},
        ],
        "grid": {"strategy": ["random", {"name": "power_bald", "label": "noisy"}]},
        "points": [{"strategy": "margin", "training.epochs": 3}],
        "sample": {"n": 2, "seed": 4, "over": {"inference.step": {"low": 0.25, "high": 1.0}}},
    },
}


@pytest.mark.parametrize("name", SPACES)
def test_a_stored_space_means_the_same_and_no_default_of_tomorrow(
    plan_of: MakePlan,
    dataset: Dataset,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    name: str,
) -> None:
    space = {"grid": {}, "base": BASE} | SPACES[name]
    plan = plan_of(**space)
    run = reloaded_run(plan, tmp_path)
    assert tuple(one.id for one in read_status(run).trajectories) == plan.ids
    with_other_presets(monkeypatch, learning_rate=0.25, foreground_share=0.125)
    again = reloaded(plan, dataset, tmp_path)
    assert [one.config for one in again.trajectories] == [one.config for one in plan.trajectories]
    assert [one.setting for one in again.trajectories] == [one.setting for one in plan.trajectories]
    assert to_yaml(resolved_sweep(again)) == to_yaml(resolved_sweep(plan))
    # The file of a user takes the presets of today.
    assert plan_of(**space).ids != plan.ids
    assert changed_defaults(resolved_sweep(plan), plan) == {}


def test_a_base_that_only_some_settings_overrule_stays_in_base(plan_of: MakePlan) -> None:
    written = resolved_sweep(plan_of(**SPACES["settings"], base=BASE)).base
    assert written["query"]["patches"] == 6
    assert written["training"]["preset"] == "small"
    assert "learning_rate" not in written["training"]


def test_a_longer_sample_keeps_the_draws_that_a_run_was_begun_with(
    plan_of: MakePlan, dataset: Dataset, tmp_path: Path
) -> None:
    plan = plan_of(base=BASE, grid={}, **SPACES["sample"])
    path = tmp_path / "sweep.yaml"
    path.write_text(to_yaml(resolved_sweep(plan)))
    longer = make_plan(load_sweep(path, ["sample.n=5"]), dataset)
    assert longer.ids[: len(plan.ids)] == plan.ids
    assert len(set(longer.ids)) == 5 * 2
    assert make_plan(load_sweep(path, ["sample.n=2"]), dataset).ids == plan.ids[:4]


SAMPLE = {"n": 2, "over": {"training.epochs": {"low": 1, "high": 9}}}
TWO_PRESETS = {"training.preset": ["small", "onecycle"]}


@pytest.mark.parametrize(
    ("space", "change", "why"),
    [
        ({"sample": SAMPLE}, "sample.over={training.epochs: {low: 50, high: 90}}", "the draws"),
        ({"sample": SAMPLE}, "sample.over.training={epochs: {low: 50, high: 90}}", "the draws"),
        ({"sample": SAMPLE}, "sample.seed=7", "the draws"),
        ({"sample": SAMPLE}, "sample={n: 2, over: {inference.step: {choices: [1]}}}", "the draws"),
        ({"grid": TWO_PRESETS}, "base.training.learning_rate=0.5", "each point of the grid"),
        ({"grid": TWO_PRESETS}, "base.training={learning_rate: 0.5}", "each point of the grid"),
        ({}, "base.training.preset=onecycle", "the preset of before"),
        ({}, "base.training={preset: onecycle}", "the preset of before"),
        ({"grid": TWO_PRESETS}, "grid.training.preset=[small, nnunet]", "the preset of before"),
        (SPACES["settings"], "settings.few.training.preset=nnunet", "the preset of before"),
        (SPACES["points"], "points=[{training.preset: onecycle}]", "the preset of before"),
    ],
)
def test_what_is_written_out_in_full_is_not_changed_in_words_alone(
    plan_of: MakePlan, tmp_path: Path, space: dict, change: str, why: str
) -> None:
    path = tmp_path / "sweep.yaml"
    path.write_text(to_yaml(resolved_sweep(plan_of(**{"base": BASE, "grid": {}} | space))))
    with pytest.raises(ConfigError, match=rf"does not mean here .*{why}.*your own search space"):
        load_sweep(path, [change])


def test_what_follows_from_nothing_else_is_still_set_on_a_resolved_sweep(
    plan_of: MakePlan, dataset: Dataset, tmp_path: Path
) -> None:
    plan = plan_of(base=BASE, grid=TWO_PRESETS)
    path = tmp_path / "sweep.yaml"
    path.write_text(to_yaml(resolved_sweep(plan)))
    fewer = make_plan(load_sweep(path, ["grid.training.preset=[onecycle]"]), dataset)
    assert fewer.ids == plan.ids[2:]
    shorter = make_plan(load_sweep(path, ["base.query.loops=1"]), dataset)
    assert {one.config.query.loops for one in shorter.trajectories} == {1}
    assert load_sweep(path, ["grid.training.preset=[onecycle, small]"])


def test_a_section_in_the_grid_keeps_what_it_does_not_name_of_base(plan_of: MakePlan) -> None:
    base = {**BASE, "training": {"epochs": 1, "iterations_per_epoch": 5, "members": 1}}
    section = {"preset": "small", "epochs": 2}
    in_grid = plan_of(base=base, grid={"training": [section]})
    assert in_grid.ids == plan_of(base=base, grid={}, points=[{"training": section}]).ids
    assert in_grid.trajectories[0].config.training.iterations_per_epoch == 5
    assert in_grid.trajectories[0].config.training.members == 1


def reloaded(plan: Plan, dataset: Dataset, folder: Path) -> Plan:
    path = folder / "sweep.yaml"
    path.write_text(to_yaml(resolved_sweep(plan)))
    return make_plan(load_sweep(path), dataset)


def test_controls_are_written_out(plan_of: MakePlan, dataset: Dataset, tmp_path: Path) -> None:
    plan = plan_of(grid=GRIDS[1])
    assert resolved_sweep(plan).report.controls == ("mine", "random")
    assert reloaded(plan, dataset, tmp_path).sweep.report.controls == ("mine", "random")
    none = plan_of(grid=GRIDS[1], report={"controls": [], "rope": 0.01})
    assert to_yaml(resolved_sweep(none)).count("controls: []") == 1


@pytest.mark.parametrize("grid", GRIDS, ids=lambda grid: "+".join(grid) or "none")
def test_resolved_sweep_means_the_same_trajectories(
    plan_of: MakePlan, dataset: Dataset, tmp_path: Path, grid: dict
) -> None:
    plan = plan_of(grid=grid, base={**BASE, "starting_budget": {"strategy": START}})
    again = reloaded(plan, dataset, tmp_path)
    assert [one.config for one in again.trajectories] == [one.config for one in plan.trajectories]
    assert again.ids == plan.ids
    assert tuple(one.id for one in read_status(reloaded_run(plan, tmp_path)).trajectories) == (
        plan.ids
    )


def reloaded_run(plan: Plan, folder: Path) -> Path:
    run = folder / "run"
    write_space(run, plan)
    return run


BASE = {"query": {"patches": 6, "loops": 2, "patch_size": [8, 8, 8]}}
START = {"name": "random_all_classes"}


def test_resolving_a_resolved_sweep_changes_no_byte(
    plan_of: MakePlan, dataset: Dataset, tmp_path: Path
) -> None:
    plan = plan_of()
    text = to_yaml(resolved_sweep(plan))
    assert to_yaml(resolved_sweep(reloaded(plan, dataset, tmp_path))) == text


def test_defaults_and_provenance_are_written_out(plan_of: MakePlan, dataset: Dataset) -> None:
    plan = plan_of()
    written = resolved_sweep(plan).plain()
    assert written["base"]["training"]["learning_rate"] == PRESETS["small"]["learning_rate"]
    assert written["base"]["starting_budget"]["patches"] == 6
    assert (
        written["base"]["evaluation"] | {"tta": False, "step": 0.5} == written["base"]["evaluation"]
    )
    assert written["resources"]["retries"] == 1
    assert written["grid"]["strategy"][0] == {"name": "random", "label": "random"}
    assert written["provenance"] == {
        "version": __version__,
        "schema_version": 3,
        "dataset_fingerprint": dataset.fingerprint,
        "trajectories": list(plan.ids),
        "implied": [],
        "settings": [],
        "draws": [],
        "study": None,
    }


def test_what_differs_between_trajectories_is_not_in_base(plan_of: MakePlan) -> None:
    plan = plan_of(grid={"training.preset": ["small", "nnunet"]})
    training = resolved_sweep(plan).base["training"]
    assert "features" not in training
    assert "preset" not in training
    assert training["members"] == 2


def test_each_point_of_a_grid_over_presets_is_judged_as_its_preset_does(plan_of: MakePlan) -> None:
    plan = plan_of(grid={"training.preset": ["small", "nnunet", "onecycle"]}, seeds=[0])
    found = [(o.config.evaluation.tta, o.config.evaluation.grid) for o in plan.own]
    assert found == [(False, "resampled"), (True, "original"), (False, "resampled")]
    written = {**BASE, "evaluation": {"grid": "resampled"}}
    (one,) = plan_of(
        base=written, grid={"training.preset": ["nnunet"], "strategy": ["random"]}, seeds=[0]
    ).own
    assert (one.config.evaluation.tta, one.config.evaluation.grid) == (True, "resampled")


def with_other_presets(monkeypatch: pytest.MonkeyPatch, **changes: object) -> None:
    better = {name: preset | changes for name, preset in PRESETS.items()}
    monkeypatch.setattr("alsweep.config.trajectory.PRESETS", better)


@pytest.mark.parametrize(
    "grid",
    [
        {},
        {"training.preset": ["small", "onecycle"], "strategy": ["random", "margin"]},
        {"training": [{"preset": "small", "members": 1}, {"epochs": 2}]},
        {"training.preset": ["small", "nnunet"], "training.augmentation": ["none", "nnunet"]},
        {"training": [{"epochs": 2}, {"epochs": 3}], "training.preset": ["small", "onecycle"]},
    ],
    ids=str,
)
def test_a_stored_sweep_means_the_same_under_other_presets(
    plan_of: MakePlan, dataset: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, grid: dict
) -> None:
    plan = plan_of(grid=grid)
    path = tmp_path / "sweep.yaml"
    path.write_text(to_yaml(resolved_sweep(plan)))
    with_other_presets(monkeypatch, learning_rate=0.25, foreground_share=0.125)
    assert make_plan(load_sweep(path), dataset).ids == plan.ids
    # The file of a user takes the presets of today.
    assert not set(plan_of(grid=grid).ids) & set(plan.ids)


def test_a_stored_sweep_of_schema_1_means_the_presets_of_then(
    plan_of: MakePlan, dataset: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("alsweep.config.trajectory.PRESETS", FIRST_PRESETS)
    judged = {"tta": False, "grid": "resampled"}
    plan = plan_of(
        base={**BASE, "evaluation": judged}, grid={"training.preset": ["small", "nnunet"]}
    )
    written = resolved_sweep(plan).plain()
    for later in ("schema_version", "implied"):
        del written["provenance"][later]
    path = tmp_path / "sweep.yaml"
    path.write_text(json.dumps(written))
    with_other_presets(monkeypatch, learning_rate=0.25)
    assert make_plan(load_sweep(path), dataset).ids == plan.ids


def test_a_default_that_changed_is_named_unless_the_user_wrote_it(
    plan_of: MakePlan, monkeypatch: pytest.MonkeyPatch
) -> None:
    stored, then = resolved_sweep(plan_of()), PRESETS["small"]["learning_rate"]
    assert changed_defaults(stored, plan_of()) == {}
    with_other_presets(monkeypatch, learning_rate=0.25)
    assert changed_defaults(stored, plan_of()) == {"training.learning_rate": (then, 0.25)}
    written = {**BASE, "training": {"members": 2, "learning_rate": 0.5}}
    assert changed_defaults(stored, plan_of(base=written)) == {}


def before_presets_judged(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("alsweep.config.trajectory.JUDGED_BY_PRESET", {})


@pytest.mark.parametrize("presets", [["nnunet"], ["small", "nnunet"]], ids=str)
def test_runs_from_before_presets_judged_go_on_and_their_search_spaces_are_told(
    plan_of: MakePlan, dataset: Dataset, tmp_path: Path, presets: list[str]
) -> None:
    grid = {"training.preset": presets, "strategy": ["random"]}
    with pytest.MonkeyPatch.context() as patching:
        before_presets_judged(patching)
        plan = plan_of(grid=grid)
        stored = resolved_sweep(plan)
    written = stored.plain()
    assert written["base"]["evaluation"].pop("grid") == "resampled"
    path = tmp_path / "sweep.yaml"
    path.write_text(json.dumps(written))
    assert make_plan(load_sweep(path), dataset).ids == plan.ids
    changed = {"evaluation.tta": (False, True), "evaluation.grid": ("resampled", "original")}
    where = " (where training.preset is nnunet)" if len(presets) > 1 else ""
    assert changed_defaults(stored, plan_of(grid=grid)) == {
        f"{key}{where}": pair for key, pair in changed.items()
    }


def test_a_section_that_was_none_is_named(plan_of: MakePlan) -> None:
    stored = resolved_sweep(plan_of())
    written = {**plan_of().sweep.base, "evaluation": {"surface": {"tolerance_mm": 2.0}}}
    judged = plan_of(base=written)
    by_default = dataclasses.replace(judged, sweep=plan_of().sweep)
    assert changed_defaults(stored, judged) == {}
    assert changed_defaults(stored, by_default) == {"evaluation.surface.tolerance_mm": (None, 2.0)}


def test_a_parameter_whose_default_changed_is_named_unless_the_user_wrote_it(
    plan_of: MakePlan, monkeypatch: pytest.MonkeyPatch
) -> None:
    composed = {"stages": {"map": "margin", "noise": "power"}, "label": "mine"}
    grid = {"strategy": ["random", "power_bald", composed]}
    stored = resolved_sweep(plan_of(grid=grid))
    assert changed_defaults(stored, plan_of(grid=grid)) == {}
    for owner in (PowerBald, Power):
        made = owner.__init__
        monkeypatch.setattr(made, "__defaults__", (7.0, *(made.__defaults__ or ())[1:]))
        monkeypatch.setattr(owner.__dataclass_fields__["beta"], "default", 7.0)
    assert changed_defaults(stored, plan_of(grid=grid)) == {
        "strategy 'power_bald'.beta": (1.0, 7.0),
        "strategy 'mine'.stages.noise.beta": (1.0, 7.0),
    }
    spelled = {**composed, "stages": {"map": "margin", "noise": {"name": "power", "beta": 7.0}}}
    assert changed_defaults(stored, plan_of(grid={"strategy": ["random", spelled]})) == {}
