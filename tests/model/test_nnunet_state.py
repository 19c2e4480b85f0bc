from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from torch import nn

from alsweep.model.nnunet_state import (
    initial_state,
    read_state,
    resume,
    trained_state,
    write_state,
)
from alsweep.model.nnunet_worker import _always_blur_alike


def make_trainer(compiled=False):
    """What of nnU-Net's trainer a state is made of."""
    network = nn.Linear(3, 2)
    optimizer = torch.optim.SGD(network.parameters(), lr=0.1, momentum=0.9)
    wrapped = SimpleNamespace(_orig_mod=network) if compiled else network
    return SimpleNamespace(network=wrapped, plain=network, optimizer=optimizer, grad_scaler=None)


def train(trainer, steps):
    for step in range(steps):
        trainer.optimizer.zero_grad()
        trainer.plain(torch.full((1, 3), 1.0 + step)).square().sum().backward()
        trainer.optimizer.step()


@pytest.mark.parametrize("compiled", [False, True])
def test_a_training_taken_up_from_its_file_goes_on_with_the_same_momentum(tmp_path, compiled):
    unbroken, resumed = make_trainer(compiled), make_trainer(compiled)
    train(unbroken, 2)
    write_state(tmp_path, trained_state(unbroken, 2, 0.5))
    state = read_state(tmp_path)
    assert (state["epochs"], state["loss"]) == (2, 0.5)
    resume(resumed, state)
    for trainer in (unbroken, resumed):
        train(trainer, 3)
    assert torch.equal(unbroken.plain.weight, resumed.plain.weight)


def test_a_training_that_has_yet_to_begin_has_weights_and_nothing_else(tmp_path):
    network, trainer = nn.Linear(3, 2), make_trainer()
    write_state(tmp_path, initial_state(network))
    state = read_state(tmp_path)
    resume(trainer, state)
    assert state["epochs"] == 0
    assert torch.equal(trainer.plain.weight, network.weight)
    assert not trainer.optimizer.state


def test_a_half_written_state_is_never_read(tmp_path, monkeypatch):
    write_state(tmp_path, initial_state(nn.Linear(3, 2)))
    before = read_state(tmp_path)["network"]["weight"]

    def torn(path, content):
        path.write_text(str(content[:100]))
        raise KeyboardInterrupt

    monkeypatch.setattr(Path, "write_bytes", torn)
    with pytest.raises(KeyboardInterrupt):
        write_state(tmp_path, initial_state(nn.Linear(3, 2)))
    assert torch.equal(read_state(tmp_path)["network"]["weight"], before)


def test_the_blur_is_not_chosen_by_a_race():
    blur = SimpleNamespace(benchmark=True)
    transforms = [SimpleNamespace(transform=blur), SimpleNamespace(name="noise")]
    _always_blur_alike(SimpleNamespace(transforms=transforms))
    assert blur.benchmark is False
