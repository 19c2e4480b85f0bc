import pytest
import torch
from torch import nn
from torch._dynamo.exc import TorchDynamoException

from alsweep.errors import TrajectoryFailedError
from alsweep.model.compiling import compiled
from tests.model.test_trainer import Memory, make_setup, same, train, training_data

__all__ = ["training_data"]


def test_a_network_is_compiled_only_if_that_is_wanted(monkeypatch):
    asked = []
    monkeypatch.setattr(torch._inductor, "list_options", lambda: ["deterministic"])
    monkeypatch.setattr(torch, "compile", lambda network, **how: asked.append(how) or "compiled")
    network = nn.Linear(1, 1)
    with compiled(network, False) as ran:
        assert ran is network
    assert not asked
    with compiled(network, True) as ran:
        assert ran == "compiled"
    assert asked == [{"dynamic": False, "options": {"deterministic": True}}]


def test_a_network_that_cannot_be_compiled_is_told_in_one_line(phantom, training_data, monkeypatch):
    monkeypatch.setattr(torch._inductor, "list_options", lambda: ["deterministic"])

    def broken(network, **how):
        def run(images):
            raise TorchDynamoException("no compiler\nand much more")

        return run

    monkeypatch.setattr(torch, "compile", broken)
    with pytest.raises(TrajectoryFailedError) as caught:
        train(make_setup(phantom, compile=True), training_data)
    assert str(caught.value) == (
        "training.compile: torch cannot compile the network here (no compiler); install a C++ "
        "compiler, and Triton for a card, or set it to false"
    )


def test_a_torch_that_compiles_otherwise_each_time_is_refused(phantom, training_data, monkeypatch):
    monkeypatch.setattr(torch._inductor, "list_options", lambda: ["max_autotune"])
    with pytest.raises(TrajectoryFailedError, match=r"training.compile.*install a later one"):
        train(make_setup(phantom, compile=True), training_data)


@pytest.mark.slow
def test_compiled_trainings_repeat_themselves_and_come_near_the_plain_one(phantom, training_data):
    setup = make_setup(phantom, compile=True)
    unbroken, loss = train(setup, training_data)
    checkpoint = Memory(most=2)
    with pytest.raises(KeyboardInterrupt):
        train(setup, training_data, checkpoint)
    resumed, _ = train(setup, training_data, checkpoint)
    assert same(resumed, unbroken)
    assert checkpoint.state["network"].keys() == unbroken.keys()
    _, plain = train(make_setup(phantom), training_data)
    assert loss == pytest.approx(plain, rel=1e-4)
