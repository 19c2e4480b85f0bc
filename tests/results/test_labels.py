"""Labels where runs meet: one for each strategy, none for two, and nothing else is touched."""

import itertools
import json
import logging
import shutil

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alsweep import load_results
from alsweep.config.strategy import StrategySpec
from alsweep.files import read_json, write_json
from alsweep.results import write_results
from alsweep.results.labels import StrategyKey, Use, fit_labels
from alsweep.results.records import read_run
from alsweep.testing.runs import write_run


def key(name="power_bald", plugins="", **parameters):
    return StrategyKey(name, json.dumps(parameters, sort_keys=True, separators=(",", ":")), plugins)


# Few names and labels, some of which are what a label may become: all kinds of clashes come.
keys = st.builds(
    StrategyKey,
    st.sampled_from(["a", "b"]),
    st.sampled_from(["{}", '{"k":1}', '{"k":1.0}', '{"k":2}', '{"k":null}', '{"k":{"j":1}}']),
    st.sampled_from(["", '["f00d"]']),
)
labels = st.sampled_from(["a", "b", "a[k=1]", "a[k=2]", "a[a]", "a[k=1][k=1]"])
all_uses = st.lists(st.builds(Use, keys, labels, st.sampled_from("ABC")), max_size=12)


@given(all_uses)
def test_every_strategy_has_one_label_and_no_two_share_one(uses):
    fitted = fit_labels(uses)
    assert fitted.of.keys() == {use.strategy for use in uses}
    assert len(set(fitted.of.values())) == len(fitted.of)
    for one in fitted.of:
        first = next(use.label for use in uses if use.strategy == one)
        assert fitted.of[one].startswith(first)


@given(all_uses)
def test_labels_that_fit_stay_as_they_are(uses):
    fitted = fit_labels(uses)
    again = fit_labels(use._replace(label=fitted.of[use.strategy]) for use in uses)
    assert again.of == fitted.of
    assert again.warnings == ()


@given(all_uses)
def test_whoever_is_called_otherwise_is_named(uses):
    fitted = fit_labels(uses)
    said = "\n".join(fitted.warnings)
    for use in uses:
        assert use.label == fitted.of[use.strategy] or f"'{fitted.of[use.strategy]}'" in said


def test_a_label_that_another_one_would_become_stays():
    uses = [
        Use(key(beta=1.0), "x", "A"),
        Use(key("margin"), "x[beta=5]", "A"),
        Use(key(beta=5.0), "x", "B"),
    ]
    fitted = fit_labels(uses)
    labels = [fitted.of[use.strategy] for use in uses]
    assert labels[:2] == ["x[beta=1]", "x[beta=5]"]
    assert labels[2].startswith("x[beta=5][")
    (said,) = fitted.warnings
    assert f"now called 'x[beta=1]' (A), '{labels[2]}' (B)" in said


@given(all_uses, st.randoms(use_true_random=False))
def test_the_order_decides_only_which_of_its_labels_a_strategy_keeps(uses, random):
    first = {}
    for use in uses:
        first.setdefault(use.strategy, use.label)
    single = [use._replace(label=first[use.strategy]) for use in uses]
    shuffled = random.sample(single, len(single))
    assert fit_labels(shuffled).of == fit_labels(single).of == fit_labels(uses).of


@pytest.mark.parametrize(
    ("first", "second", "shown"),
    [
        (key(beta=1.0), key(beta=5.0), ["mine[beta=1]", "mine[beta=5]"]),
        (key(beta=1.0, r=0.5), key(beta=5.0, r=0.5), ["mine[beta=1]", "mine[beta=5]"]),
        (key(), key(beta=5.0), ["mine", "mine[beta=5]"]),
        (key("power_pe"), key("power_bald"), ["mine[power_pe]", "mine[power_bald]"]),
        (
            key("power_pe", beta=1.0),
            key("power_bald", beta=5.0),
            ["mine[power_pe,beta=1]", "mine[power_bald,beta=5]"],
        ),
        (
            key("stages", stages={"noise": {"name": "power", "beta": 1.0}}),
            key("stages", stages={"noise": {"name": "power", "beta": 5.0}}),
            ["mine[stages.noise.beta=1]", "mine[stages.noise.beta=5]"],
        ),
    ],
)
def test_a_label_of_two_strategies_gets_what_they_differ_in(first, second, shown):
    fitted = fit_labels([Use(first, "mine", "runs/a"), Use(second, "mine", "runs/b")])
    assert list(fitted.of.values()) == shown
    (warning,) = fitted.warnings
    assert warning.startswith("warning: the label 'mine' stands for 2 strategies")
    assert all(f"'{label}' (runs/{run})" in warning for label, run in zip(shown, "ab", strict=True))


def test_two_versions_of_a_plug_in_file_are_two_strategies():
    uses = [Use(key(plugins=f'["{sha}"]'), "mine", sha) for sha in ("old", "new")]
    one, other = fit_labels(uses).of.values()
    assert one != other
    assert one.startswith("mine[")


def test_of_two_labels_of_one_strategy_the_first_stays():
    fitted = fit_labels([Use(key(), "first", "runs/a"), Use(key(), "second", "runs/b")])
    assert fitted.of == {key(): "first"}
    (warning,) = fitted.warnings
    assert warning == (
        "warning: 'first' (runs/a) and 'second' (runs/b) are one strategy, power_bald; "
        "it is called 'first'"
    )


def relabel(run, name, label, **parameters):
    """Give the strategy by a name another label, or make it one with other parameters."""
    for trajectory in read_run(run).trajectories:
        if trajectory.config.strategy.name == name:
            strategy = {"name": name, "label": label, **parameters}
            config = read_json(trajectory.folder / "config.json")
            write_json(trajectory.folder / "config.json", config | {"strategy": strategy})


def test_a_renamed_label_with_more_seeds_is_one_strategy(tmp_path, caplog):
    write_run(tmp_path / "a", seeds=(0, 1))
    write_run(tmp_path / "b", seeds=(1, 2))
    relabel(tmp_path / "b", "random", "baseline")
    for one in "ab":
        write_results(tmp_path / one)
    table = load_results([tmp_path / "a", tmp_path / "b"])
    assert table.groupby("strategy")["seed"].nunique().to_dict() == {
        "random": 3,
        "random_fg66": 3,
        "predictive_entropy": 3,
    }
    assert [r.levelno for r in caplog.records] == [logging.WARNING]
    assert "'random' (" in caplog.text
    assert "'baseline' (" in caplog.text
    other_way = load_results([tmp_path / "b", tmp_path / "a"])
    assert set(other_way["strategy"]) == {"baseline", "random_fg66", "predictive_entropy"}


def test_one_label_of_two_strategies_is_not_one_curve(tmp_path, caplog):
    write_run(tmp_path / "a", strategies={"random": 0.3}, seeds=(0,))
    write_run(tmp_path / "b", strategies={"predictive_entropy": 0.3}, seeds=(1,))
    for run, name in (("a", "random"), ("b", "predictive_entropy")):
        relabel(tmp_path / run, name, "mine")
    runs = [tmp_path / "a", tmp_path / "b"]
    for order in itertools.permutations(runs):
        caplog.clear()
        table = load_results(list(order))
        names = table.drop_duplicates("strategy").set_index("strategy")["strategy_name"]
        assert names.to_dict() == {
            "mine[random]": "random",
            "mine[predictive_entropy]": "predictive_entropy",
        }
        assert "the label 'mine' stands for 2 strategies" in caplog.text


def test_runs_whose_labels_fit_are_joined_in_silence(tmp_path, caplog):
    write_run(tmp_path / "a", seeds=(0,))
    shutil.copytree(tmp_path / "a", tmp_path / "copy")
    write_run(tmp_path / "b", seeds=(1,))
    table = load_results([tmp_path / name for name in ("a", "copy", "b")])
    assert len(table) == 2 * 3 * 4
    assert not caplog.records


def test_a_key_says_which_file_a_strategy_is_from():
    spec = StrategySpec(name="seer", plugins=("f00d",), parameters={"k": 1})
    assert StrategyKey.of(spec) == ("seer", '{"k":1}', '["f00d"]')
    assert StrategyKey.of(StrategySpec(name="random")) == ("random", "{}", "")
