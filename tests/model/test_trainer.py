from dataclasses import replace

import pytest
import torch
from torch import nn

from alsweep.config.trajectory import TrainingConfig
from alsweep.data.annotator import Oracle
from alsweep.data.label_store import PartialLabels
from alsweep.errors import TrajectoryFailedError
from alsweep.geometry import Patch
from alsweep.model.device import Compute, resolve_compute
from alsweep.model.learner import Setup, TrainingData
from alsweep.model.monai_learner import MonaiLearner
from alsweep.model.trainer import _optimizer

TINY = {
    "epochs": 3,
    "iterations_per_epoch": 2,
    "features": [4, 4, 4],
    "patch_size": [16, 16, 16],
}


class Memory:
    """A checkpoint after each epoch, in memory; ends the training after some of them."""

    def __init__(self, most=100):
        self.state, self.saves, self.most = None, 0, most

    def load(self):
        return self.state

    def due(self):
        return True

    def save(self, state):
        # As a file would: later steps must not change what was saved.
        self.state = torch.utils._pytree.tree_map_only(torch.Tensor, torch.clone, dict(state))
        self.saves += 1
        if self.saves == self.most:
            raise KeyboardInterrupt


@pytest.fixture
def training_data(phantom):
    shapes = {case: phantom.cases[case].shape for case in phantom.pool}
    patches = [Patch(case, (4, 4, 4), (8, 8, 8)) for case in phantom.pool[:2]]
    labels = PartialLabels(shapes, len(phantom.classes), Oracle(phantom), patches)
    return TrainingData(0, labels, phantom.pool[:2])


def make_setup(phantom, compute=None, **training):
    config = TrainingConfig.model_validate(TINY | training)
    return Setup.make(phantom, config, compute or resolve_compute("cpu", "auto"), seed=1)


def train(setup, training_data, checkpoint=None):
    learner = MonaiLearner()
    network = learner.network(setup, 0)
    loss = learner.fit(network, setup, training_data, lambda epoch: None, checkpoint or Memory())
    return network.state_dict(), loss


def same(one, other):
    return all(torch.equal(tensor, other[name]) for name, tensor in one.items())


@pytest.mark.parametrize("optimizer", ["adamw_onecycle", "sgd_poly"])
@pytest.mark.parametrize("epoch", [1, 2])
def test_a_training_goes_on_from_its_checkpoint_to_the_same_bits(
    phantom, training_data, optimizer, epoch
):
    setup = make_setup(phantom, optimizer=optimizer)
    unbroken, loss = train(setup, training_data)
    checkpoint = Memory(most=epoch)
    with pytest.raises(KeyboardInterrupt):
        train(setup, training_data, checkpoint)
    assert checkpoint.state["epochs"] == epoch
    resumed, resumed_loss = train(setup, training_data, checkpoint)
    assert same(resumed, unbroken)
    assert resumed_loss == loss


def test_no_checkpoint_is_written_after_the_last_epoch(phantom, training_data):
    checkpoint = Memory()
    train(make_setup(phantom), training_data, checkpoint)
    assert checkpoint.saves == 2


def test_weights_leave_a_training_in_the_usual_layout(phantom, training_data):
    weights, _ = train(make_setup(phantom), training_data)
    assert all(tensor.is_contiguous() for tensor in weights.values())


def test_a_state_holds_every_part_of_the_training(phantom, training_data):
    checkpoint = Memory()
    train(make_setup(phantom), training_data, checkpoint)
    parts = {"network", "optimizer", "schedule", "scaler", "objective", "epochs", "loss"}
    assert set(checkpoint.state) == parts


def test_half_precision_scales_the_loss_and_comes_near_full_precision(phantom, training_data):
    half = Compute(torch.device("cpu"), "fp16")
    checkpoint = Memory()
    setup = make_setup(phantom, epochs=2, iterations_per_epoch=3)
    weights, loss = train(replace(setup, compute=half), training_data, checkpoint)
    full, full_loss = train(setup, training_data)
    assert checkpoint.state["scaler"]["scale"] > 1
    assert loss == pytest.approx(full_loss, rel=0.05)
    assert all(tensor.dtype == torch.float32 for tensor in weights.values())
    assert not same(weights, full)


def test_a_loss_that_is_no_number_ends_the_training_with_the_mend(phantom, training_data):
    setup = make_setup(phantom, optimizer="sgd_poly", learning_rate=1e30)
    with pytest.raises(TrajectoryFailedError, match=r"lower training.learning_rate"):
        train(setup, training_data)


@pytest.mark.parametrize("steps", range(1, 12))
def test_every_length_of_training_has_a_schedule(steps):
    training = TrainingConfig.model_validate({"epochs": 1, "iterations_per_epoch": steps})
    optimizer, schedule, every_step = _optimizer(nn.Linear(1, 1), training)
    for _ in range(steps):
        assert 0 <= optimizer.param_groups[0]["lr"] <= training.learning_rate * (1 + 1e-9)
        optimizer.step()
        if every_step:
            schedule.step()


def test_sgd_decays_by_the_epoch_to_the_power_of_0_9():
    training = TrainingConfig.model_validate({"preset": "nnunet", "epochs": 4})
    optimizer, schedule, every_step = _optimizer(nn.Linear(1, 1), training)
    rates = []
    for _ in range(4):
        rates.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        schedule.step()
    assert not every_step
    assert rates == pytest.approx([0.01 * (1 - k / 4) ** 0.9 for k in range(4)])
