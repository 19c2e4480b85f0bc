"""Names of settings: unique, and telling."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alsweep import load_results
from alsweep.report.study import read_study
from alsweep.results import collect, write_results
from alsweep.results.settings import Setting, phrase, setting_names, told_apart
from alsweep.testing.runs import write_run


@pytest.mark.parametrize(
    ("key", "value", "words"),
    [
        ("query.patch_size", [4, 8, 8], "4\u00d78\u00d78 voxels"),
        ("query.patch_size", "whole", "whole voxels"),
        ("query.patches", 6, "6 patches a query"),
        ("training.epochs", 3, "training.epochs 3"),
        ("training.features", [8, 16], "training.features 8\u00d716"),
    ],
)
def test_settings_are_named_in_words(key, value, words):
    assert phrase(key, value) == words


def setting(hash_, values, dataset="phantom", **others):
    size = {"query.patch_size": [8, 8, 8], "query.patches": 6}
    return Setting(hash_, dataset, size | values, **others)


names = st.sampled_from(["a", "b", "a (h-1)", "phantom", None])
facts = st.builds(
    Setting,
    st.sampled_from(["h-1", "h-2", "h-3", "x-1", "x-2"]),
    st.sampled_from(["phantom", "brain"]),
    st.fixed_dictionaries({}, optional={"epochs": st.integers(0, 1), "size": st.integers(0, 1)}),
    varied=st.sampled_from([(), ("epochs",)]),
    name=names,
    fingerprint=st.sampled_from(["", "f00d", "beef"]),
)


@given(st.lists(facts, max_size=6))
def test_no_two_settings_have_one_name(settings):
    found = setting_names(settings)
    assert list(found) == list(dict.fromkeys(one.hash for one in settings))
    assert len(set(found.values())) == len(found)


@given(st.dictionaries(st.text("ab()1 ", min_size=1), st.sampled_from(["n", "n (a)", "m"])))
def test_names_that_differ_stay_and_others_are_told_apart(given_names):
    apart = told_apart(given_names)
    assert len(set(apart.values())) == len(apart)
    assert told_apart(apart) == apart
    for hash_, name in given_names.items():
        assert apart[hash_].startswith(name)


def test_the_grid_names_settings_before_what_follows_from_it():
    """A preset sets many keys: it is what was varied, and they are not."""
    small = {"training.preset": "small", "training.epochs": 4, "training.optimizer": "adamw"}
    nnunet = {"training.preset": "nnunet", "training.epochs": 4, "training.optimizer": "sgd"}
    grid = ("strategy", "training.preset")
    found = setting_names(
        [setting("1", small, varied=grid), setting("2", nnunet, varied=grid)]
    ).values()
    usual = "phantom \u00b7 8\u00d78\u00d78 voxels \u00b7 6 patches a query"
    assert list(found) == [f"{usual} \u00b7 training.preset {p}" for p in ("small", "nnunet")]


def test_what_differs_names_settings_that_no_grid_tells_apart():
    found = setting_names(
        [setting("1", {"training.epochs": 3}), setting("2", {"training.epochs": 4})]
    )
    assert [name.split(" \u00b7 ")[-1] for name in found.values()] == [
        "training.epochs 3",
        "training.epochs 4",
    ]


def test_a_setting_is_called_as_its_search_space_calls_it():
    found = setting_names(
        [
            setting("1", {}, name="low"),
            setting("2", {"query.patches": 20}, name="high"),
            setting("3", {"training.epochs": 3}, name="long"),
            setting("4", {"training.epochs": 9}, name="long", varied=("training.epochs",)),
            setting("5", {}, name="low", dataset="brain"),
        ]
    )
    assert list(found.values()) == [
        "low \u00b7 phantom",
        "high",
        "long \u00b7 training.epochs 3",
        "long \u00b7 training.epochs 9",
        "low \u00b7 brain",
    ]


def test_two_datasets_of_one_name_are_told_apart():
    found = setting_names(
        [setting("1", {}, fingerprint="f00df00d"), setting("2", {}, fingerprint="beefbeef")]
    )
    assert [name.split(" \u00b7 ")[0] for name in found.values()] == [
        "phantom (fingerprint f00df0)",
        "phantom (fingerprint beefbe)",
    ]


@pytest.mark.parametrize("read", [load_results, lambda runs: read_study(runs).table])
def test_two_datasets_of_one_name_meet_in_a_table_with_two_names(tmp_path, read):
    write_run(tmp_path / "a", seeds=(0,), loops=2)
    write_run(tmp_path / "b", seeds=(0,), loops=2, fingerprint="1" * 64)
    for run in "ab":
        write_results(tmp_path / run)
    table = read([tmp_path / "a", tmp_path / "b"])
    pairs = table[["setting", "setting_name"]].drop_duplicates()
    assert len(pairs) == pairs["setting"].nunique() == pairs["setting_name"].nunique() == 2
    assert all(name.startswith("phantom") for name in pairs["setting_name"])


def test_a_table_names_the_settings_of_its_run(tmp_path):
    write_run(tmp_path / "run", seeds=(0,), loops=2, patch_sizes=((8, 8, 8), (4, 4, 4)))
    assert collect(tmp_path / "run")["setting_name"].unique().tolist() == [
        "phantom \u00b7 8\u00d78\u00d78 voxels \u00b7 6 patches a query",
        "phantom \u00b7 4\u00d74\u00d74 voxels \u00b7 6 patches a query",
    ]
