import multiprocessing
import os
import signal
import sys
import time
from contextlib import closing
from dataclasses import replace
from itertools import islice

import numpy as np
import psutil
import pytest
import torch

from alsweep.data.annotator import Oracle
from alsweep.data.label_store import PartialLabels
from alsweep.data.patches import PatchSampler
from alsweep.data.phantom import write_phantom
from alsweep.errors import DatasetError, LostError
from alsweep.geometry import Patch
from alsweep.model.augment import Augmentation
from alsweep.model.device import set_threads
from alsweep.model.learner import TrainingData
from alsweep.model.loading import Batches
from alsweep.model.monai_learner import MonaiLearner
from tests.model.test_trainer import Memory, make_setup, same, train, training_data

__all__ = ["training_data"]


def beside(setup, loaders=2):
    return replace(setup, compute=replace(setup.compute, loaders=loaders))


def make_batches(setup, training_data):
    window = setup.topology.window
    augmentation = Augmentation(setup.training.augmentation, window, setup.axes)
    margin = augmentation.margin
    sampler = PatchSampler(
        setup.dataset, training_data.labels, training_data.cases, window, 0.5, margin=margin
    )
    return Batches(sampler, augmentation, setup, training_data.member)


def loading_processes():
    return multiprocessing.active_children()


@pytest.mark.parametrize("loaders", [0, 2])
@pytest.mark.parametrize("first", [0, 1, 3])
def test_batches_are_those_of_their_numbers(phantom, training_data, loaders, first):
    setup = beside(make_setup(phantom), loaders)
    batches = make_batches(setup, training_data)
    with closing(batches.load(first)) as loaded:
        found = list(loaded)
    assert len(found) == 2 * (3 - first)
    for number, batch in enumerate(found, start=2 * first):
        assert all(np.array_equal(*pair) for pair in zip(batch, batches[number], strict=True))
    assert not loading_processes()


def test_every_batch_of_a_training_has_draws_of_its_own(phantom, training_data):
    setup = make_setup(phantom)
    batches = make_batches(setup, training_data)
    other = make_batches(setup, replace(training_data, member=1))
    images = [batches[number][0] for number in range(6)] + [other[0][0]]
    assert not any(np.array_equal(a, b) for i, a in enumerate(images) for b in images[:i])


def test_loading_beside_the_device_changes_no_bit(phantom, training_data):
    setup = make_setup(phantom, augmentation="nnunet")
    before = torch.random.get_rng_state()
    weights, loss = train(beside(setup), training_data)
    assert torch.equal(before, torch.random.get_rng_state())
    assert not loading_processes()
    alone, loss_alone = train(setup, training_data)
    assert same(weights, alone)
    assert loss == loss_alone


def test_threads_change_no_bit_of_a_batch(tmp_path):
    # Patches so large that torch would share the work out among threads.
    dataset = write_phantom(tmp_path / "large", cases=4, shape=(56, 56, 56), seed=0)
    shapes = {case: dataset.cases[case].shape for case in dataset.pool}
    patches = [Patch(case, (20, 20, 20), (8, 8, 8)) for case in dataset.pool]
    labels = PartialLabels(shapes, len(dataset.classes), Oracle(dataset), patches)
    training_data = TrainingData(0, labels, dataset.pool)
    setup = make_setup(dataset, augmentation="nnunet", patch_size=[48, 48, 48], epochs=5)
    batches = make_batches(setup, training_data)
    alone = [batches[number] for number in range(10)]
    torch.set_num_threads(2)
    try:
        with closing(make_batches(beside(setup), training_data).load(0)) as loaded:
            made = list(loaded)
        again = [batches[number] for number in range(10)]
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(1)
    for found in (made, again):
        for batch, expected in zip(found, alone, strict=True):
            assert all(np.array_equal(*pair) for pair in zip(batch, expected, strict=True))


def kill_a_loader(epoch):
    """Of a training in which it is not the last epoch."""
    if epoch in KILLS:
        os.kill(loading_processes()[epoch % 2].pid, signal.SIGKILL)


KILLS = (1, 2, 4)


def test_a_loader_that_is_killed_is_replaced_and_no_batch_is_lost(phantom, training_data, caplog):
    setup = make_setup(phantom, epochs=8)
    learner = MonaiLearner()
    network = learner.network(setup, 0)
    learner.fit(network, beside(setup), training_data, kill_a_loader, Memory())
    assert not loading_processes()
    assert caplog.text.count("was killed, most often for want of memory; another") == len(KILLS)
    unbroken, _ = train(setup, training_data)
    assert same(network.state_dict(), unbroken)


@pytest.mark.parametrize("seconds", [0, 0.01, 0.5])
def test_a_loader_killed_with_a_batch_in_hand_is_replaced(phantom, training_data, seconds):
    setup = beside(make_setup(phantom, epochs=4, patch_size=[24, 24, 24]), 1)
    batches = make_batches(setup, training_data)
    with closing(batches.load(0)) as loaded:
        found = [next(loaded)]
        time.sleep(seconds)
        loading_processes()[0].kill()
        found += [next(loaded) for _ in range(2)]
    for number, batch in enumerate(found):
        assert all(np.array_equal(*pair) for pair in zip(batch, batches[number], strict=True))


def test_loaders_that_are_killed_again_and_again_end_the_training(phantom, training_data):
    setup = make_setup(phantom, epochs=50)
    learner = MonaiLearner()
    network = learner.network(setup, 0)

    def kill_all(epoch):
        for process in loading_processes():
            process.kill()

    with pytest.raises(LostError, match=r"4 times: lower resources.loaders"):
        learner.fit(network, beside(setup), training_data, kill_all, Memory())
    assert not loading_processes()


def test_loaders_do_not_heed_their_parents_handler_of_sigterm(phantom, training_data):
    before = signal.signal(signal.SIGTERM, lambda *arguments: sys.exit(1))
    try:
        with closing(make_batches(beside(make_setup(phantom)), training_data).load(0)) as loaded:
            list(islice(loaded, 2))  # both have begun
            first = loading_processes()[0]
            first.terminate()
            first.join(20)
            assert first.exitcode == -signal.SIGTERM
            assert len(list(loaded)) == 4
    finally:
        signal.signal(signal.SIGTERM, before)


def train_with_loaders(setup, training_data, pipe):
    set_threads(1)
    learner = MonaiLearner()

    def tell(epoch):
        pipe.send([child.pid for child in loading_processes()])

    learner.fit(learner.network(setup, 0), beside(setup), training_data, tell, Memory())


def test_loaders_end_with_a_process_that_is_killed(phantom, training_data):
    ours, theirs = multiprocessing.Pipe()
    setup = make_setup(phantom, epochs=10_000)
    fork = multiprocessing.get_context("fork")
    process = fork.Process(target=train_with_loaders, args=(setup, training_data, theirs))
    process.start()
    try:
        assert ours.poll(60)
        loaders = [psutil.Process(pid) for pid in ours.recv()]
        assert len(loaders) == 2
    finally:
        process.kill()
        process.join()
    _, alive = psutil.wait_procs(loaders, timeout=20)
    assert not alive


def test_loaders_end_with_a_loop_that_is_left(phantom, training_data):
    setup = beside(make_setup(phantom))
    with closing(make_batches(setup, training_data).load(0)) as loaded:
        assert len(list(islice(loaded, 1))) == 1
        assert len(loading_processes()) == 2
    assert not loading_processes()


@pytest.mark.parametrize("loaders", [0, 2])
def test_an_error_of_the_data_stays_one_line(phantom, training_data, loaders, monkeypatch):
    def fails(self, rng, n):
        raise DatasetError("case phantom_000: the image is gone")

    monkeypatch.setattr(PatchSampler, "batch", fails)
    with pytest.raises(DatasetError) as caught:
        train(beside(make_setup(phantom), loaders), training_data)
    assert str(caught.value) == "case phantom_000: the image is gone"
    assert not loading_processes()
