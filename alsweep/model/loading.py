"""Training batches, made beside the device that computes with them."""

import multiprocessing
from collections import deque
from collections.abc import Generator, Iterator
from concurrent.futures import ProcessPoolExecutor
from itertools import islice
from typing import TYPE_CHECKING

import numpy as np
import torch

from alsweep.data.parallel import follow_parent
from alsweep.model.augment import Augmentation
from alsweep.model.device import Compute, set_threads
from alsweep.model.learner import Setup
from alsweep.rng import stream

if TYPE_CHECKING:
    from alsweep.data.patches import Batch, PatchSampler

_AHEAD = 2
"""Batches that each process may be ahead of the device."""


class Batches:
    """The batches of a training by their number; each has draws of its own.

    So it matters neither which process makes a batch nor when.

    Args:
        sampler: Draws patches and partial labels.
        augmentation: How they are varied.
        setup: Batch size, iterations and seed.
        member: With seed, epoch and iteration it addresses all draws.
    """

    def __init__(
        self, sampler: "PatchSampler", augmentation: Augmentation, setup: Setup, member: int
    ) -> None:
        self._sampler = sampler
        self._augmentation = augmentation
        self._setup = setup
        self.member = member

    def __getitem__(self, number: int) -> "Batch":
        """The batch of an iteration, counted from the first one of the first epoch."""
        training = self._setup.training
        epoch, iteration = divmod(number, training.iterations_per_epoch)
        rng = stream(self._setup.seed, "train", self.member, epoch, iteration)
        drawn = zip(*self._sampler.batch(rng, training.batch_size), strict=True)
        pairs = [self._augmentation(*pair, rng) for pair in drawn]
        images, targets = zip(*pairs, strict=True)
        return np.stack(images), np.stack(targets)

    def load(self, first_epoch: int) -> Generator[tuple[torch.Tensor, torch.Tensor], None, None]:
        """All batches from an epoch to the last, on the compute device.

        ``setup.compute.loaders`` processes make them ahead. They end with the generator.

        Raises:
            BrokenProcessPool: One of them was killed; a training goes on from its checkpoint.
        """
        training, compute = self._setup.training, self._setup.compute
        each = training.iterations_per_epoch
        numbers = range(first_epoch * each, training.epochs * each)
        if not compute.loaders:
            yield from (_on_device(self[number], compute) for number in numbers)
            return
        # A fork shares the images' maps; these processes do not touch the card, which allows it.
        fork = multiprocessing.get_context("fork")
        pool = ProcessPoolExecutor(compute.loaders, fork, _begin, (self,))
        try:
            for batch in _in_turn(pool, numbers, _AHEAD * compute.loaders):
                yield _on_device(batch, compute)
        finally:
            pool.shutdown(cancel_futures=True)


def _in_turn(pool: ProcessPoolExecutor, numbers: range, ahead: int) -> "Iterator[Batch]":
    """Batches in the order of their numbers, so many of which are being made."""
    rest = iter(numbers)
    waiting = deque(pool.submit(_make, number) for number in islice(rest, ahead))
    while waiting:
        batch = waiting.popleft().result()
        waiting.extend(pool.submit(_make, number) for number in islice(rest, 1))
        yield batch


_batches: Batches
"""In a process that makes batches: where from."""


def _begin(batches: Batches) -> None:
    global _batches
    _batches = batches
    follow_parent()
    set_threads(1)


def _make(number: int) -> "Batch":
    return _batches[number]


def _on_device(batch: "Batch", compute: Compute) -> tuple[torch.Tensor, torch.Tensor]:
    images, targets = (torch.from_numpy(array) for array in batch)
    if compute.device.type == "cuda":
        # A card copies from such memory while it computes.
        images, targets = images.pin_memory(), targets.pin_memory()
    return (
        images.to(compute.device, non_blocking=True),
        targets.to(compute.device, non_blocking=True),
    )
