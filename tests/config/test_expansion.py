"""Settings, points and samples: what they mean together, and what is refused."""

from itertools import product
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alsweep.config.load import load_sweep
from alsweep.config.sweep import SweepConfig
from alsweep.config.validation import validated
from alsweep.errors import ConfigError

BASE = {"query": {"patches": 4, "patch_size": [8, 8, 8]}}
VALUES = {
    "query.patches": st.integers(1, 99),
    "query.loops": st.integers(1, 9),
    "training.epochs": st.integers(5, 99),
    "training.preset": st.sampled_from(["small", "nnunet"]),
    "inference.step": st.sampled_from([0.25, 0.5, 1.0]),
    "strategy": st.sampled_from(["random", {"name": "power_bald", "beta": 5}, "margin"]),
    "starting_budget.strategy": st.sampled_from(["random", "random_fg33"]),
}


def sweep(**changes) -> SweepConfig:
    return validated(SweepConfig, {"name": "s", "dataset": "d", "base": BASE} | changes, {})


def ids(made: SweepConfig) -> list[str]:
    """Trajectory ids, as if each dataset's fingerprint were its place."""
    return [config.trajectory_id(str(config.dataset)) for config in made.trajectories()]


@st.composite
def partials(draw, keys):
    chosen = draw(st.lists(st.sampled_from(keys), unique=True)) if keys else []
    return {key: draw(VALUES[key]) for key in chosen}


@st.composite
def spaces(draw):
    """Settings, grid and points over keys that do not meet, in any order, and seeds."""
    keys = draw(st.permutations(sorted(VALUES)))
    cut = draw(st.integers(0, len(keys)))
    own, shared = keys[:cut], keys[cut:]
    count = draw(st.integers(1, 3))
    settings = [{"name": f"s{n}", **draw(partials(own))} for n in range(count)]
    axes = draw(st.lists(st.sampled_from(shared), unique=True, max_size=2)) if shared else []
    grid = {key: draw(st.lists(VALUES[key], min_size=1, max_size=2, unique_by=str)) for key in axes}
    points = draw(st.lists(partials(shared), max_size=3))
    seeds = draw(st.lists(st.integers(0, 9), min_size=1, max_size=2, unique=True))
    return {"settings": settings, "grid": grid, "seeds": seeds} | (
        {"points": points} if points else {}
    )


def written_out(space):
    """Each trajectory of a space as a sweep of its own, with one value a key."""
    crossed = [dict(zip(space["grid"], v, strict=True)) for v in product(*space["grid"].values())]
    points = [
        *(crossed if space["grid"] or "points" not in space else []),
        *space.get("points", []),
    ]
    for setting, point in product(space["settings"], points):
        keys = {key: value for key, value in setting.items() if key != "name"} | point
        for seed in space["seeds"]:
            yield sweep(seeds=[seed], grid={key: [value] for key, value in keys.items()})


@given(spaces())
def test_every_setting_meets_every_point_and_seed_once_as_if_it_were_a_plain_grid(space):
    assert ids(sweep(**space)) == [id_ for one in written_out(space) for id_ in ids(one)]


@given(spaces(), st.randoms(use_true_random=False))
def test_the_order_of_keys_means_nothing(space, random):
    def shuffled(mapping):
        keys = list(mapping)
        random.shuffle(keys)
        return {key: mapping[key] for key in keys}

    other = space | {"settings": [shuffled(one) for one in space["settings"]]}
    other |= {"points": [shuffled(one) for one in space["points"]]} if "points" in space else {}
    assert ids(sweep(**shuffled(other))) == ids(sweep(**space))
    assert sorted(ids(sweep(**other | {"grid": shuffled(space["grid"])}))) == sorted(
        ids(sweep(**space))
    )


def test_a_whole_section_in_the_grid_comes_before_its_parts():
    parts = {"training.preset": ["nnunet"], "training": [{"epochs": 7}]}
    (config,) = sweep(grid=parts).trajectories()
    assert (config.training.preset, config.training.epochs) == ("nnunet", 7)


def test_a_setting_has_a_dataset_and_a_name_and_sections_may_be_mappings():
    settings = [
        {"name": "low", "dataset": "e", "query": {"patches": 7}},
        {"name": "high", "query.patches": 9, "starting_budget": {"strategy": "random"}},
    ]
    made = [(cell.setting, str(one.dataset), one.query.patches) for cell, one in expanded(settings)]
    assert made == [("low", "e", 7), ("high", "d", 9)]
    assert {one.query.patch_size for _, one in expanded(settings)} == {(8, 8, 8)}


def expanded(settings):
    return sweep(settings=settings).expanded()


def test_points_stand_in_place_of_the_grid_or_beside_it():
    points = [{"query.patches": 1}, {"query.loops": 2}, {}]
    found = [(t.query.patches, t.query.loops) for t in sweep(points=points).trajectories()]
    assert found == [(1, 5), (4, 2), (4, 5)]
    both = sweep(points=points, grid={"query.patches": [8, 9]}).trajectories()
    assert [t.query.patches for t in both] == [8, 9, 1, 4, 4]


LOW, HIGH = {"name": "low", "query.patches": 1}, {"name": "high", "query.patches": 2}


@pytest.mark.parametrize(
    ("given", "told"),
    [
        (
            {"settings": [LOW, HIGH], "grid": {"query.patches": [1]}},
            "settings.low.query.patches and grid.query.patches both set query.patches; leave one",
        ),
        (
            {"settings": [LOW], "grid": {"query": [{}]}},
            "settings.low.query.patches and grid.query both set query; leave one",
        ),
        (
            {"settings": [LOW], "points": [{}, {"query.patches": 3}]},
            "settings.low.query.patches and points.1.query.patches both set",
        ),
        (
            {
                "grid": {"strategy": ["random"]},
                "sample": {"n": 1, "over": {"strategy": ["margin"]}},
            },
            "grid.strategy and sample.over.strategy both set strategy; leave one of them out",
        ),
        (
            {
                "points": [{"query.loops": 3}],
                "sample": {"n": 1, "over": {"query.loops": {"low": 1, "high": 3}}},
            },
            "points.0.query.loops and sample.over.query.loops both set",
        ),
        ({"settings": [LOW, LOW]}, "settings: 0 and 1 (counted from 0) both bear the name 'low'"),
        ({"settings": []}, "settings: the list is empty; write at least one value"),
        ({"points": []}, "points: the list is empty; write at least one value"),
        ({"sample": {"n": 2, "over": {}}}, "sample.over: is empty; write at least one key"),
        ({"sample": {"n": 2}}, "sample.over: is required"),
        ({"sample": {"over": {"query.loops": {"low": 1, "high": 2}}}}, "sample.n: is required"),
        ({"settings": [{"query.patches": 1}]}, "settings.0.name: is required"),
        ({"settings": [LOW | {"name": " x"}]}, "settings.0.name: write 1 to 64 characters"),
        (
            {"settings": [LOW | {"seed": 1}]},
            "settings.0: 'seed' belongs to the top level, as 'seeds'",
        ),
        (
            {"points": [{"dataset": "d"}]},
            "points: 0: 'dataset' belongs to the top level, or into a",
        ),
        (
            {"points": [{"strategy.beta": 2}]},
            "points: 0: strategy.beta: parameters of a strategy stand in its own entry; write "
            "strategy: {name: ..., beta: ...}",
        ),
        (
            {"settings": [LOW | {"query": {"patches": 3}}]},
            "settings.0: query.patches is written twice; leave one of them out",
        ),
        (
            {"settings": [{"name": "low", "query.patchs": 1}]},
            "settings.low.query.patchs: unknown key; did you mean 'patches'?",
        ),
        (
            {"settings": [{"name": "low", "base.query.patches": 1}]},
            "settings.low.base: unknown key; known here: dataset, strategy",
        ),
        (
            {"points": [{"querry.patches": 1}]},
            "points.0.querry: unknown key; did you mean 'query'?",
        ),
        ({"points": [{"query.loops": 0}]}, "points.0.query.loops: input should be greater than 0"),
        ({"grid": {"trainin.epochs": [1]}}, "grid.trainin: unknown key; did you mean 'training'?"),
        ({"dataset": None}, "dataset: is required"),
        (
            {"dataset": None, "settings": [LOW | {"dataset": "e"}, HIGH]},
            "settings.high.dataset: is required, unless the top level has a 'dataset'",
        ),
        (
            {"settings": [LOW | {"dataset": "e"}]},
            "dataset: does nothing, since every setting names its own; leave it out",
        ),
        ({"setings": [LOW]}, "setings: unknown key; did you mean 'settings'?"),
    ],
)
def test_what_cannot_be_meant_is_one_line_with_its_place_and_the_mend(given, told):
    with pytest.raises(ConfigError) as caught:
        sweep(**given).trajectories()
    assert str(caught.value).startswith(told)
    assert "\n" not in str(caught.value)


@given(seed=st.integers(0, 2**16), high=st.integers(2, 5))
def test_repeats_of_whole_draws_alone_are_left_out(seed, high):
    epochs = {"training.epochs": {"low": 1, "high": high}}
    rate = {"training.learning_rate": {"low": 1e-4, "high": 1.0}}

    def drawn(n, over):
        sample = {"n": n, "seed": seed, "over": over}
        return [one["training.epochs"] for one in sweep(sample=sample).sample.draws()]

    # With a key beside it that never repeats, all draws of a key come; alone, each value once.
    assert drawn(high, epochs) == list(dict.fromkeys(drawn(200, epochs | rate)))[:high]


SPACE = """
name: study
base: {query: {patches: 4, patch_size: [8, 8, 8]}}
settings:
  - {name: low, dataset: a, query.loops: 2}
  - {name: high.2, dataset: b, query: {loops: 3}}
"""


@pytest.fixture
def space(tmp_path: Path) -> Path:
    path = tmp_path / "study.yaml"
    path.write_text(SPACE)
    return path


def test_an_override_reaches_a_setting_by_its_name(space):
    written = ["settings.high.2.query.loops=7", "settings.high.2.dataset=c"]
    found = [(str(t.dataset), t.query.loops) for t in load_sweep(space, written).trajectories()]
    assert found == [("a", 2), ("c", 7)]


@pytest.mark.parametrize(
    ("override", "told"),
    [
        ("settings.hihg.query.loops=7", "there is no such setting; write settings.NAME.KEY=VALUE"),
        ("base.query.loops=3", "all settings set query.loops for every trajectory; write --set"),
        ("settings.0=1", "a list is set as a whole"),
    ],
)
def test_an_override_that_would_do_nothing_is_refused(space, override, told):
    with pytest.raises(ConfigError, match=told):
        load_sweep(space, [override])
