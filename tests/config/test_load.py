from pathlib import Path

import pytest

from alsweep.config.load import load_sweep
from alsweep.errors import ConfigError

SPACE = """
name: demo
dataset: data/demo
base:
  query: {patches: 6, patch_size: [20, 20, 20]}
  training: {learning_rate: 5e-3}
seeds: [0, 1]
grid:
  strategy: [random, {name: predictive_entropy, label: pe}]
  query.patches: [6, 12]
"""


@pytest.fixture
def space(tmp_path: Path) -> Path:
    path = tmp_path / "space.yaml"
    path.write_text(SPACE)
    return path


def failure(space: Path, *overrides: str) -> str:
    with pytest.raises(ConfigError) as caught:
        load_sweep(space, overrides)
    message = str(caught.value)
    assert "\n" not in message
    assert message.startswith((f"{space}", "--set"))
    return message


def test_the_grid_is_a_full_product_with_seeds_innermost(space):
    found = [(t.strategy.name, t.query.patches, t.seed) for t in load_sweep(space).trajectories()]
    assert found == [
        (name, patches, seed)
        for name in ("random", "predictive_entropy")
        for patches in (6, 12)
        for seed in (0, 1)
    ]


def test_floats_are_those_of_yaml_1_2(space):
    assert load_sweep(space).trajectories()[0].training.learning_rate == 0.005


def test_overrides_reach_any_key(space):
    overrides = [
        "base.training.epochs=2",
        "seeds=[7]",
        "grid.query.patches=[9]",
        "resources.cpus=2",
    ]
    sweep = load_sweep(space, overrides)
    assert {(t.query.patches, t.seed, t.training.epochs) for t in sweep.trajectories()} == {
        (9, 7, 2)
    }
    assert sweep.resources.threads == 2


@pytest.mark.parametrize(
    ("override", "words"),
    [
        ("bse=1", ["bse: unknown key", "did you mean 'base'"]),
        ("base.training.epoch=3", ["base.training.epoch: unknown key", "'epochs'"]),
        ("base.query.stride=0", ["base.query.stride", "greater than 0", "got 0"]),
        ("grid.query.patches=[6, -2]", ["grid.query.patches", "greater than 0", "got -2"]),
        ("base.training.preset=smal", ["base.training.preset", "'small', 'nnunet' or 'onecycle'"]),
        ("seeds=[1, 1]", ["seeds", "named twice"]),
        ("base.seed=1", ["'seed' belongs to the top level, as 'seeds'"]),
        ("grid.seed=[1, 2]", ["grid: 'seed' belongs to the top level, as 'seeds'"]),
        ("grid.dataset=[a, b]", ["grid: 'dataset' belongs to the top level, as 'dataset'"]),
        ("seeds=[9223372036854775808]", ["seeds.0", "less than or equal to 9223372036854775807"]),
        ("seeds=['1']", ["seeds.0: input should be a valid integer, got '1'"]),
        ("seeds=[1.0]", ["seeds.0: input should be a valid integer, got 1.0"]),
        ("seeds=[true]", ["seeds.0: expected a number, got True"]),
        ("seeds=3", ["seeds: write a list, e.g. [3], got 3"]),
        ("seeds=0..3", ["seeds: write a list, e.g. [0, 1, 2, 3], got '0..3'"]),
        ("seeds=4 - 5", ["seeds: write a list, e.g. [4, 5], got '4 - 5'"]),
        ("seeds=2-1", ["seeds: write a list, e.g. [1, 2], got '2-1'"]),
        ("seeds=[]", ["seeds: the list is empty; write at least one value"]),
        ("grid.strategy=random", ["grid.strategy: write a list, e.g. [random], got 'random'"]),
        ("grid.strategy=[]", ["grid.strategy: the list is empty"]),
        ("dataset=3", ["dataset: expected a path, in quotes, got 3"]),
        ("dataset=[a]", ["dataset: expected a path, got ['a']"]),
        ("name=1e3", ["name: expected text, in quotes, got 1000.0"]),
        ("name=true", ["name: expected text, in quotes, got True"]),
        ("name=2026-01-31", ["name: expected text, in quotes"]),
        ("wandb.project=007", ["wandb.project: expected text, in quotes, got 7"]),
        ("grid.strategy=[{name: random, label: 1e3}]", ["label: expected text, in quotes"]),
        (
            "base.query.patch_size=w",
            ["query.patch_size: expected a list, or 'whole', got 'w'"],
        ),
        ("name=a/b", ["name: write 1 to 64 of the letters", "'-', beginning with", "got 'a/b'"]),
        (
            "base.query.patch_size=[1, 1, 1, 1]",
            ["of 3 values, or 'whole', got [1, 1, 1, 1]"],
        ),
        ("base.query.stride=[1, 2]", ["base.query.stride: the list is too short, got [1, 2]"]),
        ("base.training=3", ["base.training: input should be a mapping"]),
        ("resources.cpu=2", ["resources.cpu: unknown key", "'cpus'"]),
        ("name", ["write PATH=VALUE"]),
        ("seeds.0=5", ["a list is set as a whole; write --set 'seeds=[...]'"]),
        ("grid.strategy.0=random", ["write --set 'grid.strategy=[...]'"]),
        ("base.query.patch_size.1=8", ["write --set 'base.query.patch_size=[...]'"]),
        ("training.epochs=1", ["there is no 'training' at the top", "base.training.epochs=1"]),
        ("seed=1", ["there is no 'seed' at the top level; write --set 'seeds=[...]'"]),
        ("base.training.epochs=[", ["not valid YAML"]),
    ],
)
def test_errors_name_the_key_and_the_mend(space, override, words):
    message = failure(space, override)
    for word in words:
        assert word in message


IDLE = [
    ("base.query.patches=1", "'grid.query.patches=[1]'"),
    ("base.strategy=random_fg33", "'grid.strategy=[random_fg33]'"),
    ("base.strategy.beta=5", "'grid.strategy=[...]'"),
    ("base.query={patches: 1, patch_size: [8, 8, 8]}", "'grid.query.patches=[1]'"),
    ("base={query: {patches: 1, patch_size: [8, 8, 8]}}", "'grid.query.patches=[1]'"),
]


@pytest.mark.parametrize(("override", "mend"), IDLE)
def test_an_override_that_the_grid_overrides_in_turn_is_refused(space, override, mend):
    message = failure(space, override)
    assert message.startswith(f"--set {override}: does nothing, since the grid sets ")
    assert message.endswith(f"write --set {mend}")


def test_the_mend_of_an_idle_override_is_one(space):
    sweep = load_sweep(space, ["grid.query.patches=[1]"])
    assert {t.query.patches for t in sweep.trajectories()} == {1}
    sweep = load_sweep(space, ["grid={}", "base.query.patches=1"])
    assert [t.query.patches for t in sweep.trajectories()] == [1, 1]


def test_what_the_grid_leaves_alone_can_be_set_above_it(space):
    sweep = load_sweep(space, ["base.query={patch_size: [8, 8, 8], loops: 2}"])
    assert {(t.query.loops, t.query.patches) for t in sweep.trajectories()} == {(2, 6), (2, 12)}


def test_an_override_that_a_later_one_replaces_is_refused(space):
    message = failure(space, "base.training.epochs=1", "base.training={members: 2}")
    assert "does nothing, since --set base.training={members: 2} after it replaces" in message
    sweep = load_sweep(space, ["base.training={members: 2}", "base.training.epochs=1"])
    assert {(t.training.members, t.training.epochs) for t in sweep.trajectories()} == {(2, 1)}


def test_a_strategy_that_is_a_bare_name_is_given_parameters_as_a_whole(space):
    message = failure(space, "grid={}", "base.strategy=power_bald", "base.strategy.beta=5")
    assert message.endswith("write --set 'base.strategy={name: power_bald, beta: 5}'")


def test_a_grid_may_reach_into_another_axis_of_it(space):
    grid = "grid={strategy: [{name: power_bald}, {name: softrank_bald}], strategy.beta: [1, 5]}"
    found = [
        (t.strategy.name, t.strategy.parameters) for t in load_sweep(space, [grid]).trajectories()
    ]
    assert found[::2] == [
        (name, {"beta": beta}) for name in ("power_bald", "softrank_bald") for beta in (1, 5)
    ]
    assert load_sweep(space, [grid]).grid["strategy"] == (
        {"name": "power_bald"},
        {"name": "softrank_bald"},
    )


def test_a_bad_patch_size_is_one_complaint_not_one_per_type(space):
    message = failure(space, "base.query.patch_size=[-2, 3, 4]")
    assert message.endswith("base.query.patch_size.0: input should be greater than 0, got -2")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("name: [", "not valid YAML"),
        ("- a", "expected a mapping"),
        ("", "expected a mapping"),
        ("name: a\nname: b", "duplicate key"),
        ("name: &a [*a]\n", "name: expected text"),
        ("name: a\ndataset: d\nbase: &b {query: *b}", "nested too deeply, or an alias"),
        ("name: " + 600 * "[", "nested too deeply"),
        ("name: \x01", "not valid YAML: unacceptable character"),
    ],
)
def test_broken_files_are_one_line(tmp_path, text, words):
    path = tmp_path / "broken.yaml"
    path.write_text(text)
    assert words in failure(path)


def test_an_override_without_an_end_is_one_line(space):
    assert "--set base.query: nested too deeply" in failure(space, "base.query=" + 600 * "[")


def test_the_largest_seed_fits_into_a_table(space):
    assert load_sweep(space, [f"seeds=[{2**63 - 1}]"]).seeds == (2**63 - 1,)


def test_a_missing_file_and_a_folder_are_one_line(tmp_path):
    assert "no such file" in failure(tmp_path / "none.yaml")
    assert f"{tmp_path}: is a folder; name a search space (YAML)" in failure(tmp_path)


def test_a_run_folder_in_place_of_a_search_space_is_told_how_to_go_on(tmp_path):
    run = tmp_path / "my run"
    run.mkdir()
    (run / "sweep.yaml").touch()
    assert f"to go on with this run: alsweep resume '{run}'" in failure(run)


def test_an_override_makes_the_mappings_on_its_way(space):
    sweep = load_sweep(space, ["base.evaluation.surface.tolerance_mm=2.5", "wandb.project=x"])
    assert sweep.base["evaluation"] == {"surface": {"tolerance_mm": 2.5}}
    assert sweep.wandb.project == "x"


def test_below_grid_the_rest_of_an_override_is_one_dotted_key(space):
    sweep = load_sweep(space, ["grid.query.loops=[2, 3]"])
    assert sweep.grid["query.loops"] == (2, 3)
    assert len(sweep.trajectories()) == 2 * 2 * 2 * 2
    whole = load_sweep(space, ["grid={query.loops: [2]}"])
    assert list(whole.grid) == ["query.loops"]


def test_the_last_of_two_overrides_counts_and_the_value_is_yaml(space):
    sweep = load_sweep(space, ["seeds=[5]", "seeds=[6, 7]", "name='a=b'".replace("=b", "-b")])
    assert sweep.seeds == (6, 7)
    assert sweep.name == "a-b"


def test_an_override_through_a_value_is_told(space):
    assert "--set name.first=1: 'name' is not a mapping" in failure(space, "name.first=1")
