import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from alsweep import TrajectoryConfig
from alsweep.config.base import STORED
from alsweep.config.sweep import ResourcesConfig
from alsweep.config.trajectory import TrainingConfig

QUERY = {"patches": 4, "patch_size": [8, 8, 8]}


def config(**changes) -> TrajectoryConfig:
    return TrajectoryConfig.model_validate({"dataset": "data/x", "query": QUERY, **changes})


def test_defaults_are_those_of_the_published_yaml():
    plain = config().plain()
    assert plain["query"] | {"loops": 5, "stride": 1, "overlap": 0.0} == plain["query"]
    assert plain["training"]["members"] == plain["training"]["folds"] == 5
    assert plain["training"]["epochs"] == 4
    assert plain["training"]["iterations_per_epoch"] == 50
    assert plain["inference"] == {"tta": False, "step": 0.75, "gaussian": True}
    assert plain["evaluation"] | {"tta": False, "step": 0.5} == plain["evaluation"]
    assert plain["starting_budget"]["strategy"] == {"name": "random_fg33_all_classes"}


def test_a_config_survives_json():
    given = config(
        strategy={"name": "power", "beta": 2, "label": "mine"}, training={"preset": "nnunet"}
    )
    assert TrajectoryConfig.model_validate_json(given.model_dump_json()) == given


def test_presets_fill_in_what_is_not_written():
    training = config(training={"preset": "nnunet", "epochs": 7, "learning_rate": 0.5}).training
    assert training.iterations_per_epoch == 250
    assert training.optimizer == "sgd_poly"
    assert (training.epochs, training.learning_rate) == (7, 0.5)


@pytest.mark.parametrize(
    ("written", "found"),
    [
        ({}, (True, "original")),
        ({"tta": False}, (False, "original")),
        ({"grid": "resampled"}, (True, "resampled")),
        ({"step": 0.25}, (True, "original")),
    ],
    ids=str,
)
def test_preset_nnunet_judges_as_nnunet_does_where_nothing_is_written(written, found):
    for training in ({"preset": "nnunet"}, TrainingConfig.model_validate({"preset": "nnunet"})):
        judged = config(training=training, evaluation=written).evaluation
        assert (judged.tta, judged.grid) == found
    stored = TrajectoryConfig.model_validate(
        {**config().plain(), "training": {"preset": "nnunet"}, "evaluation": written},
        context=STORED,
    ).evaluation
    assert (stored.tta, stored.grid) == (
        written.get("tta", False),
        written.get("grid", "resampled"),
    )
    other = config(training={"preset": "onecycle"}, evaluation=written).evaluation
    assert (other.tta, other.grid) == (written.get("tta", False), written.get("grid", "resampled"))


def test_forced_samples_as_they_were_first_drawn_enter_no_identity():
    first = {"foreground_sampling": "case_first", "foreground_place": "centre"}
    as_before, now = config(training=first), config()
    assert not set(first) & set(as_before.training.identity())
    assert set(first) <= set(now.training.identity())
    assert now.trajectory_id("f") != as_before.trajectory_id("f")


def test_onecycle_is_nnunet_but_for_optimiser_augmentation_and_dice_over_what_is_there():
    ours, theirs = (config(training={"preset": p}).training.plain() for p in ("onecycle", "nnunet"))
    assert {key for key in ours if ours[key] != theirs[key]} == {
        "preset",
        "optimizer",
        "weight_decay",
        "augmentation",
        "dice_over",
    }


def test_resources_and_paths_and_labels_enter_no_hash():
    base = config()
    assert config(dataset="/else/where").trajectory_id("f") == base.trajectory_id("f")
    labelled = config(strategy={"name": "predictive_entropy", "label": "x"})
    assert labelled.trajectory_id("f") == base.trajectory_id("f")
    assert base.trajectory_id("g") != base.trajectory_id("f")


@pytest.mark.parametrize(
    "change",
    [
        {"seed": 1},
        {"strategy": "random"},
        {"strategy": {"name": "predictive_entropy", "beta": 2}},
        {"query": QUERY | {"loops": 6}},
        {"query": QUERY | {"overlap": 0.5}},
        {"training": {"epochs": 5}},
        {"inference": {"tta": True}},
        {"evaluation": {"step": 0.6}},
        {"starting_budget": {"patches": 9}},
    ],
)
def test_whatever_changes_the_result_changes_the_id(change):
    assert config(**change).trajectory_id("f") != config().trajectory_id("f")


def test_a_setting_is_everything_but_strategy_and_seed():
    base = config().setting_hash("f")
    assert config(seed=3, strategy="random").setting_hash("f") == base
    assert config(training={"epochs": 5}).setting_hash("f") != base


@given(st.text(min_size=1, max_size=80), st.integers(0, 2**60))
def test_ids_are_short_and_safe_for_any_name(name, seed):
    found = config(strategy={"name": name}, seed=seed).trajectory_id("f")
    assert re.fullmatch(r"[a-z0-9._-]{1,51}-[0-9a-f]{8}", found)


def test_starting_patches_default_to_the_query_size():
    assert config().starting_patches == 4
    assert config(starting_budget={"patches": 9}).patches_at(3) == 9 + 3 * 4


def test_whole_cases_and_strides_per_axis():
    query = config(query={"patches": 1, "patch_size": "whole", "stride": [1, 8, 8]}).query
    assert query.patch_size_text == "whole"
    assert query.strides == (1, 8, 8)
    assert min(query.box) > 100_000


@pytest.mark.parametrize("patch", [[0, 8, 8], [8, 8], [-1, 8, 8], "some"])
def test_impossible_patch_sizes_are_refused(patch):
    with pytest.raises(ValidationError):
        config(query={"patches": 1, "patch_size": patch})


@pytest.mark.parametrize(
    ("idle", "counts"),
    [
        ({"ensemble": "seeds"}, {"ensemble": "folds"}),
        ({"ensemble": "snapshots", "epochs": 5}, {"ensemble": "folds", "epochs": 5}),
    ],
)
def test_folds_enter_a_hash_only_where_the_ensemble_has_them(idle, counts):
    def hashes(training):
        made = config(training=training)
        return made.trajectory_id("f"), made.setting_hash("f")

    assert hashes(idle | {"folds": 2}) == hashes(idle | {"folds": 5})
    assert hashes(counts | {"folds": 2}) != hashes(counts | {"folds": 5})
    assert hashes(idle) != hashes(counts)


def test_momentum_enters_a_hash_only_with_an_optimiser_that_has_it():
    def made(**training):
        return config(training=training).trajectory_id("f")

    assert made(momentum=0.5) == made(momentum=0.9)
    assert made(optimizer="sgd_poly", momentum=0.5) != made(optimizer="sgd_poly", momentum=0.9)


@given(st.integers(1, 40), st.integers(1, 8))
def test_snapshots_share_the_epochs_out_evenly(epochs, members):
    training = {"ensemble": "snapshots", "epochs": epochs, "members": members}
    if epochs < members:
        with pytest.raises(ValidationError, match="raise epochs or lower members"):
            config(training=training)
        return
    made = config(training=training).training
    shares = [made.member_epochs(member) for member in range(members)]
    assert sum(shares) == epochs == made.all_epochs
    assert max(shares) - min(shares) <= 1
    assert shares == sorted(shares, reverse=True)


def test_members_of_other_ensembles_take_all_epochs_each():
    made = config(training={"ensemble": "seeds", "epochs": 4, "members": 3}).training
    assert [made.member_epochs(member) for member in range(3)] == [4, 4, 4]
    assert made.all_epochs == 12


def test_one_fold_is_refused_with_the_mend():
    with pytest.raises(ValidationError, match="write ensemble: seeds"):
        config(training={"folds": 1})


def test_members_at_once_divide_the_threads():
    assert ResourcesConfig(cpus=8).training_threads(3) == 2
    assert ResourcesConfig(cpus=1).training_threads(4) == 1
    with pytest.raises(ValidationError):
        ResourcesConfig(members_at_once=0)


def test_a_strategy_is_written_as_a_name_flat_or_in_stages():
    by_name = config(strategy="margin").strategy
    flat = config(strategy={"name": "margin"}).strategy
    assert by_name == flat
    given = {"name": "power_bald", "beta": 5, "label": "mine"}
    spec = config(strategy=given).strategy
    assert (spec.name, spec.label, spec.parameters) == ("power_bald", "mine", {"beta": 5})
    assert spec.plain() == given
    assert spec.identity() == {"name": "power_bald", "beta": 5}
    composed = config(strategy={"stages": {"map": "margin"}, "label": "x"}).strategy
    assert (composed.name, composed.label) == ("stages", "x")
    assert composed.parameters == {"stages": {"map": "margin"}}
    with pytest.raises(ValidationError, match="either a name or stages"):
        config(strategy={"name": "margin", "stages": {"map": "margin"}})


@pytest.mark.parametrize(
    ("training", "said"),
    [
        ({"features": [8, 16]}, "features for at least three levels"),
        ({"folds": 1}, "a fold is held out"),
        ({"ensemble": "snapshots", "epochs": 2, "members": 3}, "2 epochs are too few for 3"),
        ({"augmentation": "much"}, "is a mapping or one of: none, nnunet"),
        ({"augmentation": {"rotation": 1.5}}, "less than or equal to 1"),
        ({"preset": "smal", "epochs": 3}, "'small', 'nnunet' or 'onecycle'"),
        ({"batch_size": 1}, "greater than or equal to 2"),
    ],
)
def test_trainings_that_cannot_be_are_refused(training, said):
    with pytest.raises(ValidationError, match=said):
        config(training=training)


def test_an_augmentation_is_a_set_by_name_or_a_mapping():
    named = config(training={"augmentation": "nnunet"}).training.augmentation
    assert named.rotation == named.scaling == 0.2
    assert named.spatial
    assert not config(training={"augmentation": "none"}).training.augmentation.spatial
    for change in ("rotation", "scaling"):
        assert config(training={"augmentation": {change: 0.1}}).training.augmentation.spatial
    assert not config(training={"augmentation": {"noise": 0.5}}).training.augmentation.spatial


def test_budgets_count_the_start_and_one_query_a_loop():
    made = config(starting_budget={"patches": 10})
    assert [made.patches_at(loop) for loop in range(3)] == [10, 14, 18]
    assert config().patches_at(0) == 4
