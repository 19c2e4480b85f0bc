"""Training batches, made beside the device that computes with them."""

import logging
import mmap
import multiprocessing
import signal
import traceback
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import suppress
from functools import partial
from math import prod
from multiprocessing.connection import Connection
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import torch
from numpy.typing import DTypeLike, NDArray

from alsweep.data.ingest.parallel import follow_parent
from alsweep.errors import AlsweepError, LostError
from alsweep.model.augment import Augmentation
from alsweep.model.device import on_one_thread
from alsweep.model.learner import Setup
from alsweep.rng import stream

if TYPE_CHECKING:
    from alsweep.data.patches import PatchSampler

_MOST_LOST = 3
_OnDevice = tuple[torch.Tensor, ...]
_Batch = tuple["NDArray[Any]", ...]
"""Images, partial labels, and windows without labels, as many as were asked for."""

_log = logging.getLogger(__name__)


class Unlabelled(Protocol):
    """Draws what a batch holds beside annotated patches: one array or several."""

    def draw(self, rng: np.random.Generator) -> "NDArray[Any] | tuple[NDArray[Any], ...]":
        """The same shapes each time; all draws are from ``rng``."""
        ...


class Batches:
    """The batches of a training by their number; each has draws of its own.

    So it matters neither which process makes a batch nor when.

    Args:
        sampler: Draws patches and partial labels.
        augmentation: How they are varied.
        setup: Batch size, iterations and seed.
        member: With seed, epoch and iteration it addresses all draws.
        unlabelled: What each batch holds besides.
    """

    def __init__(
        self,
        sampler: "PatchSampler",
        augmentation: Augmentation,
        setup: Setup,
        member: int,
        unlabelled: "Sequence[Unlabelled]" = (),
    ) -> None:
        self._sampler = sampler
        self._augmentation = augmentation
        self._unlabelled = unlabelled
        self.setup = setup
        self.member = member

    def __getitem__(self, number: int) -> _Batch:
        """The batch of an iteration, counted from the first one of the first epoch."""
        training = self.setup.training
        place = (self.member, *divmod(number, training.iterations_per_epoch))
        rng = stream(self.setup.seed, "train", *place)
        with on_one_thread():  # more would change the last bits
            drawn = zip(*self._sampler.batch(rng, training.batch_size), strict=True)
            pairs = [self._augmentation(*pair, rng) for pair in drawn]
        images, targets = zip(*pairs, strict=True)
        return np.stack(images), np.stack(targets), *self._beside(place)

    def _beside(self, place: tuple[int, ...]) -> Iterator["NDArray[Any]"]:
        """What a batch holds beside annotated patches, all of its sources in turn."""
        rng = stream(self.setup.seed, "unlabelled", *place)
        for one in self._unlabelled:
            drawn = one.draw(rng)
            yield from drawn if isinstance(drawn, tuple) else (drawn,)

    def empty(self) -> _Batch:
        """Room for one, in memory that a fork shares; it is no part of /dev/shm."""
        setup = self.setup
        shape = (setup.training.batch_size, *setup.topology.window)
        images = (shape[0], len(setup.dataset.channels), *shape[1:])
        more = (_shared(one.shape, one.dtype) for one in self._beside((self.member, 0, 0)))
        return _shared(images, np.float32), _shared(shape, np.uint8), *more

    def load(self, first_epoch: int) -> Generator[_OnDevice, None, None]:
        """All batches from an epoch to the last, on the compute device.

        ``setup.compute.loaders`` processes make them ahead. They end with the generator.

        Raises:
            LostError: These processes were killed again and again.
        """
        training, compute = self.setup.training, self.setup.compute
        each = training.iterations_per_epoch
        numbers = range(first_epoch * each, training.epochs * each)
        take = partial(_to_device, compute.device)
        if compute.loaders:
            yield from _beside(self, numbers, compute.loaders, take)
        else:
            yield from (take(self[number]) for number in numbers)


def _beside(
    batches: Batches, numbers: range, count: int, take: Callable[[_Batch], _OnDevice]
) -> Generator[_OnDevice, None, None]:
    """Batches in the order of their numbers, dealt out to processes; a lost one is replaced."""
    loaders: list[_Loader] = []
    lost = 0
    try:
        for first in range(min(count, len(numbers))):
            loaders.append(_Loader(batches, numbers[first::count]))
        for place in range(len(numbers)):
            turn = place % count
            while (taken := loaders[turn].next(take)) is None:
                lost += 1
                _tell_of_loss(lost)
                loaders[turn].end()
                loaders[turn] = _Loader(batches, numbers[place::count])
            yield taken
    finally:
        for loader in loaders:
            loader.end()


def _tell_of_loss(lost: int) -> None:
    """Tell of a lost process, or give up."""
    text = "a process that makes training batches was killed, most often for want of memory"
    if lost > _MOST_LOST:
        raise LostError(
            f"{text}; it happened {lost} times: lower resources.loaders or training.batch_size"
        )
    _log.warning("warning: %s; another goes on with them", text)


class _Loader:
    """A process that makes batches, seen from its parent.

    It hands each over in memory that both share. The pipe says when; its end tells of a death.

    Args:
        batches: Reached by a fork, which shares the images' maps. The process does not touch the
            card, which is why that may be in use.
        numbers: Of the batches that it makes, in turn.
    """

    def __init__(self, batches: Batches, numbers: range) -> None:
        fork = multiprocessing.get_context("fork")
        self._room = batches.empty()
        self._pipe, theirs = fork.Pipe()
        arguments = (batches, numbers, self._room, theirs)
        self._process = fork.Process(target=_work, args=arguments, name="loader", daemon=True)
        self._process.start()
        # Without our copy of its end the pipe breaks when the process dies.
        theirs.close()
        self._offer_room()

    def next(self, take: Callable[[_Batch], _OnDevice]) -> _OnDevice | None:
        """What ``take`` copies of the next batch; None where the process was lost.

        Raises:
            AlsweepError: It cannot be made.
        """
        try:
            said: Exception | None = self._pipe.recv()
        except (EOFError, OSError):
            return None
        if said is not None:
            raise said
        taken = take(self._room)
        self._offer_room()
        return taken

    def _offer_room(self) -> None:
        with suppress(OSError):  # it is gone: because it was the last batch, or recv() will say so
            self._pipe.send(None)

    def end(self) -> None:
        """See to it that the process is gone; it has nothing to lose."""
        self._process.kill()
        self._process.join()
        self._pipe.close()


def _work(batches: Batches, numbers: range, room: _Batch, pipe: Connection) -> None:
    """Make each batch ahead, and put it into the room once that is free."""
    follow_parent()
    signal.signal(signal.SIGTERM, signal.SIG_DFL)  # the parent's own is no business of a loader
    # A fork has no other threads; torch would wait for those of its parent.
    torch.set_num_threads(1)
    for number in numbers:
        made = _answer(batches, number)
        pipe.recv()
        if isinstance(made, Exception):
            pipe.send(made)
            return
        for shared, array in zip(room, made, strict=True):
            shared[:] = array
        pipe.send(None)


def _answer(batches: Batches, number: int) -> _Batch | Exception:
    try:
        return batches[number]
    except AlsweepError as error:
        return error
    except Exception as error:  # whatever it is, it is the parent's to raise
        error.add_note(traceback.format_exc())
        return error


def _shared(shape: tuple[int, ...], kind: DTypeLike) -> "NDArray[Any]":
    size = prod(shape) * np.dtype(kind).itemsize
    return np.frombuffer(mmap.mmap(-1, size), kind).reshape(shape)


def _to_device(device: torch.device, batch: _Batch) -> _OnDevice:
    """Copies, since the arrays may be those that the next batch is put into."""
    tensors = [torch.from_numpy(array) for array in batch]
    if device.type == "cuda":
        # From such memory a card copies while it computes.
        return tuple(one.pin_memory().to(device, non_blocking=True) for one in tensors)
    return tuple(one.to(device, copy=True) for one in tensors)
