from dataclasses import dataclass, replace
from importlib.metadata import EntryPoint

import pytest
import torch
from torch import nn

from alsweep.config import trajectory
from alsweep.config.base import STORED
from alsweep.config.trajectory import PRESETS, TrainingConfig
from alsweep.errors import ConfigError, TrajectoryFailedError
from alsweep.model import learners
from alsweep.model.learner import Learner
from alsweep.model.learners import make_learner, resolve_learner
from alsweep.model.loss import DiceTerm, masked_dice_ce
from alsweep.model.monai_learner import MonaiLearner
from alsweep.testing.learner_contract import CHECKS, make_bench


@pytest.fixture(scope="module")
def bench(tmp_path_factory):
    return make_bench(tmp_path_factory.mktemp("learner"))


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
def test_our_learner_keeps_the_contract(check, bench):
    check(MonaiLearner(), bench)


NNACTIVE = {"name": "nnunetv2", "trainer": "nnactive"}


TERMS = [DiceTerm(over, batch) for over in ("present", "all") for batch in (False, True)]


@pytest.mark.parametrize(
    ("over", "batch_dice"), [("all", "plan"), ("all", True), ("present", False)]
)
def test_the_loss_has_the_dice_of_the_recipe(bench, over, batch_dice):
    training = bench.setup.training.model_copy(
        update={"dice_over": over, "batch_dice": batch_dice, "deep_supervision": False}
    )
    setup = replace(bench.setup, training=training)
    network = MonaiLearner().network(setup, 0)
    images = torch.rand(2, 1, *setup.topology.window)
    target = torch.zeros(2, *setup.topology.window, dtype=torch.uint8)
    target[0, :4] = 1
    found = MonaiLearner().objective(setup, network)(network, images, target)
    # The phantom is no larger than its patch, for which nnU-Net plans no Dice over the batch.
    dice = DiceTerm(over, batch_dice is True)
    assert torch.equal(found, masked_dice_ce(network(images), target, dice))
    others = {masked_dice_ce(network(images), target, term).item() for term in TERMS}
    assert len(others) == len(TERMS)


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
@pytest.mark.parametrize("learner", ["nnunetv2", NNACTIVE], ids=["nnunet", "nnactive"])
def test_nnunet_keeps_the_contract(check, learner, bench):
    pytest.importorskip("nnunetv2")
    check(make_learner(learner), bench)


def test_nnunet_can_be_told_to_train_as_nnactive_does(monkeypatch):
    monkeypatch.setattr(learners, "find_spec", lambda name: name)

    def written(learner):
        training = TrainingConfig.model_validate({"preset": "nnunet", "learner": learner})
        return resolve_learner(training).plain()["learner"]

    assert written("nnunetv2") == written({"name": "nnunetv2", "trainer": "nnunet"}) == "nnunetv2"
    assert written(NNACTIVE) == NNACTIVE
    said = refusal(preset="nnunet", learner={"name": "nnunetv2", "trainer": "nnactiv"})
    assert said.endswith("'trainer' must be one of nnunet, nnactive, got 'nnactiv'")


def test_nnunet_refuses_to_be_compiled_where_it_would_not_be(tmp_path, monkeypatch):
    monkeypatch.setattr(learners, "find_spec", lambda name: name)
    bench = make_bench(tmp_path, learner="nnunetv2", compile=True)
    with pytest.raises(TrajectoryFailedError, match="compiles on CUDA alone"):
        make_learner("nnunetv2").fit(nn.Linear(1, 1), bench.setup, None, None, None)


def refusal(**training):
    with pytest.raises(ConfigError) as caught:
        resolve_learner(TrainingConfig.model_validate(training))
    return str(caught.value)


def test_a_learner_that_does_not_exist_is_named_with_the_nearest():
    assert refusal(learner="monia") == (
        "base.training.learner: unknown learner 'monia'; did you mean 'monai'?"
    )


def test_a_learner_whose_package_is_missing_names_the_extra(monkeypatch):
    monkeypatch.setattr(learners, "find_spec", lambda name: None)
    assert "pip install 'alsweep[nnunet]'" in refusal(learner="nnunetv2", preset="nnunet")


@pytest.mark.parametrize(
    ("changes", "key"),
    [
        ({"preset": "small"}, "optimizer"),
        ({"case_sampling": "annotated_volume"}, "case_sampling"),
        ({"augmentation": "none"}, "augmentation"),
        ({"precision": "bf16"}, "precision"),
    ],
)
def test_what_a_learner_would_not_heed_is_refused(monkeypatch, changes, key):
    monkeypatch.setattr(learners, "find_spec", lambda name: name)
    resolve_learner(TrainingConfig.model_validate({"learner": "nnunetv2", "preset": "nnunet"}))
    said = refusal(**{"learner": "nnunetv2", "preset": "nnunet", **changes})
    assert said.startswith(f"base.training.{key}: learner nnunetv2 has its own")


@pytest.fixture
def bring(monkeypatch):
    """Lets another package bring learners: names to what their entry points say."""

    def register(**values):
        points = [EntryPoint(name, value, learners.GROUP) for name, value in values.items()]
        monkeypatch.setattr(learners, "entry_points", lambda group: points)
        monkeypatch.setattr(learners, "_points", learners._points.__wrapped__)

    return register


HERE = "tests.model.test_learner"
TEACHER = "tests.model.mean_teacher:MeanTeacher"


def test_another_package_can_bring_a_learner(bring):
    bring(mine=f"{HERE}:MonaiLearner")
    resolve_learner(TrainingConfig.model_validate({"learner": "mine"}))
    assert isinstance(make_learner("mine"), MonaiLearner)


def test_options_are_written_out_and_part_of_the_identity(bring):
    bring(teacher=TEACHER)
    written = {"name": "teacher", "consistency_weight": 2.0, "windows": 2}
    asked = {"name": "teacher", "consistency_weight": 2}
    training = resolve_learner(TrainingConfig.model_validate({"learner": asked}))
    assert make_learner(training.learner).consistency_weight == 2.0
    assert training.identity()["learner"] == training.plain()["learner"] == written
    assert resolve_learner(training) == training
    assert TrainingConfig.model_validate(training.plain(), context=STORED) == training


def test_a_learner_without_options_is_its_name_in_files_and_identities():
    training = resolve_learner(TrainingConfig.model_validate({"learner": {"name": "monai"}}))
    assert training.plain() == TrainingConfig.model_validate({}).plain()
    assert training.identity()["learner"] == training.plain()["learner"] == "monai"


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"consistency_wait": 1}, "unknown parameter 'consistency_wait'; did you mean"),
        ({"consistency_weight": -1}, r"'consistency_weight' must lie in \[0.0, 100.0\], got -1"),
        ({"windows": "two"}, "'windows' must be of type int, got 'two'"),
    ],
)
def test_a_wrong_option_is_refused(bring, options, said):
    bring(teacher=TEACHER)
    with pytest.raises(ConfigError, match=rf"^base.training.learner: 'teacher': .*{said}"):
        resolve_learner(TrainingConfig.model_validate({"learner": {"name": "teacher", **options}}))


def test_our_learners_take_no_options():
    assert refusal(learner={"name": "monai", "speed": 2}).endswith(
        "unknown parameter 'speed'; it takes none"
    )


class Duck:
    """Walks like a learner."""


class Typo(MonaiLearner):
    """Heeds what there is not."""

    heeds = ("momentun",)


@dataclass(frozen=True)
class Taken(MonaiLearner):
    """Has an option that is written like the learner's name."""

    name: str = "x"


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (f"{HERE}:Duck", "'mine' is no subclass of alsweep.model.learner.Learner"),
        (f"{HERE}:Typo", "'mine' heeds 'momentun', which training does not have"),
        (f"{HERE}:Taken", "'mine' has an option called 'name', a name that is taken"),
        (f"{HERE}:Nobody", f"'mine' cannot be loaded from {HERE}:Nobody"),
        ("no_such_package:Learner", "'mine' cannot be loaded from no_such_package:Learner"),
    ],
)
def test_what_a_package_brings_wrongly_is_told_in_one_line(bring, value, said):
    bring(mine=value)
    told = refusal(learner="mine")
    assert told.startswith(f"base.training.learner: {said}")
    assert "\n" not in told


class Simple(MonaiLearner):
    """Heeds little, and has no embeddings."""

    heeds = ("batch_size",)
    encoder = Learner.encoder


def test_what_no_learner_says_it_heeds_must_be_the_presets(bring):
    bring(mine=f"{HERE}:Simple")
    kept = {"learner": "mine", "preset": "onecycle", "batch_size": 4, "epochs": 9}
    resolve_learner(TrainingConfig.model_validate(kept))
    assert refusal(**kept, momentum=0.9) == (
        "base.training.momentum: learner mine has its own; write momentum: 0.99"
    )


def test_what_was_stored_was_held_to_the_defaults_of_then(bring, monkeypatch):
    bring(mine=f"{HERE}:Simple")
    then = resolve_learner(TrainingConfig.model_validate({"learner": "mine"})).plain()
    better = PRESETS["small"] | {"learning_rate": 1e-3}
    monkeypatch.setattr(trajectory, "PRESETS", PRESETS | {"small": better})
    stored = TrainingConfig.model_validate(then, context=STORED)
    assert resolve_learner(stored).plain() == then
    assert refusal(**then).startswith("base.training.learning_rate: learner mine has its own")


def test_our_learner_meets_every_need_of_a_strategy():
    needs = ("probs", "embedding", "gradient", "soft_gradient")
    assert resolve_learner(TrainingConfig.model_validate({}), needs).learner.name == "monai"


def test_a_strategy_that_embeds_is_refused_with_a_learner_that_does_not(bring):
    bring(mine=f"{HERE}:Simple")
    training = TrainingConfig.model_validate({"learner": "mine"})
    resolve_learner(training, ("probs", "members"))
    with pytest.raises(ConfigError, match="'mine' gives no embeddings, which the strategy needs"):
        resolve_learner(training, ("probs", "embedding"))
    with pytest.raises(NotImplementedError, match="Simple has no encoder"):
        Simple().encoder(nn.Identity())
