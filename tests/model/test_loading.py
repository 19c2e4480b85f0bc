import multiprocessing
import os
import signal
from concurrent.futures.process import BrokenProcessPool
from contextlib import closing
from dataclasses import replace
from itertools import islice

import numpy as np
import psutil
import pytest
import torch

from alsweep.data.patches import PatchSampler
from alsweep.errors import DatasetError
from alsweep.model.augment import Augmentation
from alsweep.model.loading import Batches
from alsweep.model.monai_learner import MonaiLearner
from tests.model.test_trainer import Memory, lesson, make_setup, same, train

__all__ = ["lesson"]


def beside(setup, loaders=2):
    return replace(setup, compute=replace(setup.compute, loaders=loaders))


def make_batches(setup, lesson):
    sampler = PatchSampler(setup.dataset, lesson.labels, lesson.cases, setup.topology.window, 0.5)
    augmentation = Augmentation(setup.training.augmentation, setup.topology.window, setup.axes)
    return Batches(sampler, augmentation, setup, lesson.member)


def loading_processes():
    return multiprocessing.active_children()


@pytest.mark.parametrize("loaders", [0, 2])
@pytest.mark.parametrize("first", [0, 1, 3])
def test_batches_are_those_of_their_numbers(phantom, lesson, loaders, first):
    setup = beside(make_setup(phantom), loaders)
    batches = make_batches(setup, lesson)
    with closing(batches.load(first)) as loaded:
        found = list(loaded)
    assert len(found) == 2 * (3 - first)
    for number, batch in enumerate(found, start=2 * first):
        assert all(np.array_equal(*pair) for pair in zip(batch, batches[number], strict=True))
    assert not loading_processes()


def test_every_batch_of_a_training_has_draws_of_its_own(phantom, lesson):
    setup = make_setup(phantom)
    batches = make_batches(setup, lesson)
    other = make_batches(setup, replace(lesson, member=1))
    images = [batches[number][0] for number in range(6)] + [other[0][0]]
    assert not any(np.array_equal(a, b) for i, a in enumerate(images) for b in images[:i])


def test_loading_beside_the_device_changes_no_bit(phantom, lesson):
    setup = make_setup(phantom, augmentation="nnunet")
    before = torch.random.get_rng_state()
    weights, loss = train(beside(setup), lesson)
    assert torch.equal(before, torch.random.get_rng_state())
    assert not loading_processes()
    alone, loss_alone = train(setup, lesson)
    assert same(weights, alone)
    assert loss == loss_alone


def test_a_training_whose_loader_is_killed_goes_on_from_its_checkpoint(phantom, lesson):
    setup = make_setup(phantom, epochs=40)
    checkpoint = Memory()

    def kill_one(epoch):
        if epoch == 2:
            os.kill(loading_processes()[0].pid, signal.SIGKILL)

    learner = MonaiLearner()
    network = learner.network(setup, 0)
    with pytest.raises(BrokenProcessPool):
        learner.fit(network, beside(setup), lesson, kill_one, checkpoint)
    assert not loading_processes()
    assert 1 <= checkpoint.state["epochs"] < 40
    resumed, _ = train(beside(setup), lesson, checkpoint)
    unbroken, _ = train(setup, lesson)
    assert same(resumed, unbroken)


def train_with_loaders(setup, lesson, pipe):
    learner = MonaiLearner()

    def tell(epoch):
        pipe.send([child.pid for child in loading_processes()])

    learner.fit(learner.network(setup, 0), beside(setup), lesson, tell, Memory())


def test_loaders_end_with_a_process_that_is_killed(phantom, lesson):
    ours, theirs = multiprocessing.Pipe()
    setup = make_setup(phantom, epochs=10_000)
    fork = multiprocessing.get_context("fork")
    process = fork.Process(target=train_with_loaders, args=(setup, lesson, theirs))
    process.start()
    loaders = [psutil.Process(pid) for pid in ours.recv()]
    assert len(loaders) == 2
    process.kill()
    process.join()
    _, alive = psutil.wait_procs(loaders, timeout=20)
    assert not alive


def test_loaders_end_with_a_loop_that_is_left(phantom, lesson):
    setup = beside(make_setup(phantom))
    with closing(make_batches(setup, lesson).load(0)) as loaded:
        assert len(list(islice(loaded, 1))) == 1
        assert len(loading_processes()) == 2
    assert not loading_processes()


@pytest.mark.parametrize("loaders", [0, 2])
def test_an_error_of_the_data_stays_one_line(phantom, lesson, loaders, monkeypatch):
    def fails(self, rng, n):
        raise DatasetError("case phantom_000: the image is gone")

    monkeypatch.setattr(PatchSampler, "batch", fails)
    with pytest.raises(DatasetError) as caught:
        train(beside(make_setup(phantom), loaders), lesson)
    assert str(caught.value) == "case phantom_000: the image is gone"
    assert not loading_processes()
