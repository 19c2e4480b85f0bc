import multiprocessing
from dataclasses import replace
from operator import attrgetter

import pytest
import torch

from alsweep.errors import TrajectoryFailedError
from alsweep.model.device import Compute, enough_memory, resolve_compute, set_threads
from alsweep.model.inference import Tiling, predict
from alsweep.model.monai_learner import MonaiLearner
from alsweep.testing import learner_contract
from alsweep.testing.learner_contract import Bench
from tests.model.test_trainer import Memory, make_setup, same, train, training_data

__all__ = ["training_data"]


@pytest.fixture(autouse=True)
def _settings():
    set_threads(2)


def on_card(setup, precision="bf16", loaders=2):
    return replace(setup, compute=Compute(torch.device("cuda"), precision, loaders))


def test_auto_is_the_card_and_its_half_precision():
    compute = resolve_compute("auto", "auto")
    assert (compute.device.type, compute.precision) == ("cuda", "fp16")


@pytest.mark.parametrize("precision", ["fp32", "bf16", "fp16"])
@pytest.mark.parametrize("preset", ["small", "nnunet", "onecycle"])
def test_a_training_on_the_card_comes_near_that_on_the_cpu(
    phantom, training_data, preset, precision
):
    setup = make_setup(phantom, preset=preset, epochs=2, learning_rate=1e-3)
    checkpoint = Memory()
    weights, loss = train(on_card(setup, precision), training_data, checkpoint)
    _, expected = train(setup, training_data)
    assert loss == pytest.approx(expected, rel=0.02)
    assert all(t.device.type == "cuda" and t.dtype == torch.float32 for t in weights.values())
    assert bool(checkpoint.state["scaler"]) == (precision == "fp16")


@pytest.mark.parametrize("precision", ["fp32", "bf16", "fp16"])
def test_equal_trainings_on_one_card_give_equal_bits(phantom, training_data, precision):
    setup = on_card(make_setup(phantom, preset="nnunet", learning_rate=1e-3), precision)
    first, loss = train(setup, training_data)
    again, loss_again = train(setup, training_data)
    assert same(first, again)
    assert loss == loss_again


@pytest.mark.parametrize("precision", ["bf16", "fp16"])
def test_a_training_on_the_card_goes_on_from_its_checkpoint(phantom, training_data, precision):
    setup = on_card(make_setup(phantom), precision)
    unbroken, _ = train(setup, training_data)
    checkpoint = Memory(most=2)
    with pytest.raises(KeyboardInterrupt):
        train(setup, training_data, checkpoint)
    assert not multiprocessing.active_children()
    resumed, _ = train(setup, training_data, checkpoint)
    assert same(resumed, unbroken)


@pytest.mark.parametrize("check", learner_contract.CHECKS, ids=lambda check: check.__name__)
def test_our_learner_keeps_its_contract_on_the_card(check, tmp_path):
    bench = learner_contract.make_bench(tmp_path)
    check(MonaiLearner(), Bench(on_card(bench.setup), on_card(bench.poisoned)))


@pytest.mark.parametrize("axes", [(), (0, 2)])
def test_predictions_on_the_card_are_those_of_the_cpu(phantom, axes):
    needs = ("probs", "mean_entropy", "embedding", "members")
    setup = make_setup(phantom)
    learner = MonaiLearner()
    networks = [learner.network(setup, member) for member in range(2)]
    image = phantom.image(phantom.pool[0])
    window, encoder = setup.topology.window, learner.encoder
    tiling = Tiling(window, 0.5, axes, setup.compute, encoder=encoder)
    expected = predict(networks, image, tiling, needs)
    same = replace(tiling, compute=Compute(torch.device("cuda"), "fp32"))
    found = predict([n.cuda() for n in networks], image, same, needs)
    for name in ("mean_probs", "mean_entropy", "embedding.features"):
        mine, theirs = attrgetter(name)(found), attrgetter(name)(expected)
        assert mine.device.type == "cuda"
        torch.testing.assert_close(mine.cpu(), theirs, atol=5e-3, rtol=5e-3)
    assert [m.shape for m in found.members] == [m.shape for m in expected.members]


def test_a_card_that_is_too_small_is_told_in_one_line():
    torch.cuda.empty_cache()
    torch.cuda.set_per_process_memory_fraction(0.01)
    try:
        with (
            pytest.raises(TrajectoryFailedError, match=r"memory does not suffice.*resources.gpus"),
            enough_memory("to train a member", "lower training.batch_size"),
        ):
            torch.empty(1 << 34, device="cuda")
    finally:
        torch.cuda.set_per_process_memory_fraction(1.0)


def test_compiled_trainings_repeat_themselves_on_the_card(phantom, training_data):
    setup = on_card(make_setup(phantom, compile=True), "fp16")
    first, loss = train(setup, training_data)
    again, _ = train(setup, training_data)
    assert same(first, again)
    _, plain = train(on_card(make_setup(phantom), "fp16"), training_data)
    assert loss == pytest.approx(plain, rel=0.02)
