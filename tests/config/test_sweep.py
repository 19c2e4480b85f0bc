"""What a search space means: its cells, their order, and what may stand where."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alsweep.config.sweep import ResourcesConfig, SweepConfig
from alsweep.config.validation import validated
from alsweep.errors import ConfigError

BASE = {"query": {"patches": 4, "patch_size": [8, 8, 8]}}


def sweep(**changes) -> SweepConfig:
    return validated(SweepConfig, {"name": "s", "dataset": "d", "base": BASE} | changes, {})


@given(
    seeds=st.lists(st.integers(0, 99), min_size=1, max_size=3, unique=True),
    patches=st.lists(st.integers(1, 99), min_size=1, max_size=3),
    loops=st.lists(st.integers(1, 9), min_size=1, max_size=3),
)
def test_every_value_meets_every_other_once_with_seeds_innermost(seeds, patches, loops):
    made = sweep(seeds=seeds, grid={"query.patches": patches, "query.loops": loops})
    found = [(c.query.patches, c.query.loops, c.seed) for c in made.trajectories()]
    assert found == [(p, loop, seed) for p in patches for loop in loops for seed in seeds]


def test_without_a_grid_there_is_one_cell():
    (config,) = sweep(seeds=[7]).trajectories()
    assert (config.seed, config.query.patches, str(config.dataset)) == (7, 4, "d")
    assert [cell.values for cell in sweep().cells()] == [{}]


def test_cells_do_not_write_into_each_other_or_into_base():
    made = sweep(grid={"query.loops": [2, 3], "training.epochs": [1, 2]})
    found = [(c.query.loops, c.training.epochs) for c in made.trajectories()]
    assert found == [(2, 1), (2, 2), (3, 1), (3, 2)]
    assert made.base == BASE


def test_a_dotted_key_makes_the_mappings_that_base_leaves_out():
    (config,) = sweep(grid={"evaluation.surface.tolerance_mm": [2.5]}).trajectories()
    assert config.evaluation.surface.tolerance_mm == 2.5


def test_a_dotted_key_through_a_value_is_told():
    with pytest.raises(ConfigError, match=r"grid\.query\.patches\.x: 'patches' is not a mapping"):
        sweep(grid={"query.patches.x": [1]}).trajectories()


@pytest.mark.parametrize("name", ["", "-a", ".a", "a/b", "a b", "ä", "x" * 65, "a\n"])
def test_names_that_cannot_be_a_folder_are_refused(name):
    with pytest.raises(ConfigError, match="name: write 1 to 64 of the letters"):
        sweep(name=name)


@pytest.mark.parametrize("name", ["a", "9", "A.b_c-d", "x" * 64])
def test_names_that_can_be_a_folder_are_taken(name):
    assert sweep(name=name).name == name


@pytest.mark.parametrize(("key", "home"), [("dataset", "dataset"), ("seed", "seeds")])
@pytest.mark.parametrize("where", ["base", "grid"])
def test_dataset_and_seeds_belong_to_the_top_level(key, home, where):
    value = BASE | {key: "x"} if where == "base" else {key: ["x"]}
    with pytest.raises(ConfigError, match=f"'{key}' belongs to the top level, as '{home}'"):
        sweep(**{where: value})


def test_a_seed_named_twice_and_no_seed_at_all_are_refused():
    with pytest.raises(ConfigError, match="seeds: a seed is named twice"):
        sweep(seeds=[1, 2, 1])
    with pytest.raises(ConfigError, match="seeds: the list is empty"):
        sweep(seeds=[])


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"grid": {"query.patches": [4, 0]}}, "grid.query.patches: input should be greater"),
        ({"base": {"query": {"patches": 4}}}, "base.query.patch_size: is required"),
        ({"seeds": [-1]}, "seeds.0: input should be greater"),
    ],
)
def test_a_fault_is_told_where_it_was_written(given, said):
    with pytest.raises(ConfigError, match=said):
        sweep(**given).trajectories()


@pytest.mark.parametrize(("cpus", "threads"), [(0.5, 1), (1, 1), (1.9, 1), (2, 2), (7.5, 7)])
def test_threads_are_whole_cpus_and_at_least_one(cpus, threads):
    assert ResourcesConfig(cpus=cpus).threads == threads
    assert ResourcesConfig(cpus=cpus).training_threads(2) == max(1, threads // 2)
