from importlib.metadata import EntryPoint

import pytest
from torch import nn

from alsweep.config.trajectory import TrainingConfig
from alsweep.errors import ConfigError, TrajectoryFailedError
from alsweep.model import learners
from alsweep.model.learners import check_learner, make_learner
from alsweep.model.monai_learner import MonaiLearner
from alsweep.testing.learner_contract import CHECKS, make_bench


@pytest.fixture(scope="module")
def bench(tmp_path_factory):
    return make_bench(tmp_path_factory.mktemp("learner"))


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
def test_our_learner_keeps_the_contract(check, bench):
    check(MonaiLearner(), bench)


@pytest.mark.slow
@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
def test_nnunet_keeps_the_contract(check, bench):
    pytest.importorskip("nnunetv2")
    check(make_learner("nnunetv2"), bench)


def test_nnunet_refuses_to_be_compiled_where_it_would_not_be(tmp_path, monkeypatch):
    monkeypatch.setattr(learners, "find_spec", lambda name: name)
    bench = make_bench(tmp_path, learner="nnunetv2", compile=True)
    with pytest.raises(TrajectoryFailedError, match="compiles on CUDA alone"):
        make_learner("nnunetv2").fit(nn.Linear(1, 1), bench.setup, None, None, None)


def refusal(**training):
    with pytest.raises(ConfigError) as caught:
        check_learner(TrainingConfig.model_validate(training))
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
    check_learner(TrainingConfig.model_validate({"learner": "nnunetv2", "preset": "nnunet"}))
    said = refusal(**{"learner": "nnunetv2", "preset": "nnunet", **changes})
    assert said.startswith(f"base.training.{key}: learner nnunetv2 has its own")


def test_another_package_can_bring_a_learner(monkeypatch):
    point = EntryPoint("mine", "tests.model.test_learner:MonaiLearner", learners.GROUP)
    monkeypatch.setattr(learners, "entry_points", lambda group: [point])
    monkeypatch.setattr(learners, "_points", learners._points.__wrapped__)
    check_learner(TrainingConfig.model_validate({"learner": "mine"}))
    assert isinstance(make_learner("mine"), MonaiLearner)
