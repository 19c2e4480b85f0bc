import pytest
from torch import nn

from alsweep.config.trajectory import TrainingConfig
from alsweep.model.trainer import _optimizer


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
