"""Weights that all members of a dataset begin with: made once, then found in the store."""

import fcntl
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from typing import NamedTuple

import torch
from torch import nn

from alsweep.config.base import fingerprint
from alsweep.model.checkpoint import ModelStore
from alsweep.model.device import enough_memory
from alsweep.model.learner import Learner, Setup
from alsweep.model.options.base import make_option
from alsweep.model.options.pretraining import Pretraining
from alsweep.model.resuming import TrainingFile
from alsweep.trajectory.numerics import NUMERICS

_SEED = 0
"""All seeds share what was learnt; their networks differ in the rest, and in what comes after."""


class Cost(NamedTuple):
    """What was spent once, whoever spent it."""

    key: str
    seconds: float


@dataclass(frozen=True)
class Pretrained:
    """The part of a network that is learnt before members are trained.

    Attributes:
        setup: Of the members; their seed does not matter.
        learner: Makes networks.
        store: Where it lies, by content.
        owner: Who asks; kept beside what is made.
        checkpoint_minutes: Between checkpoints.
    """

    setup: Setup
    learner: Learner
    store: ModelStore
    owner: str
    checkpoint_minutes: float

    @property
    def asked_for(self) -> bool:
        """Whether members begin with anything but weights of their seed."""
        return self.setup.training.pretraining.kind != "none"

    @property
    def key(self) -> str:
        """Content address: of what changes the weights, and nothing else."""
        setup, training = self.setup, self.setup.training
        return fingerprint(
            {
                "kind": "pretraining",
                "numerics": NUMERICS,
                "version": self._option.version,
                "dataset": setup.dataset.fingerprint,
                "option": training.pretraining.plain(),
                "topology": vars(setup.topology),
                "blocks": training.blocks,
                "axes": setup.axes,
                "precision": setup.compute.precision,
            }
        )

    @property
    def _option(self) -> Pretraining:
        option: Pretraining = make_option(self.setup.training, "pretraining")
        return option

    def start(self, member: int) -> Mapping[str, torch.Tensor]:
        """All weights that a member begins with, on the CPU.

        Raises:
            TrajectoryFailedError: The pretraining cannot go on; the message names the mend.
        """
        network = self._begun(self.setup, member)
        return {name: tensor.cpu() for name, tensor in network.state_dict().items()}

    def network(self) -> nn.Module:
        """One that has learnt nothing else, the same for all seeds; for its encoder.

        Raises:
            TrajectoryFailedError: As :meth:`start`.
        """
        return self._begun(replace(self.setup, seed=_SEED), 0).eval()

    def _begun(self, setup: Setup, member: int) -> nn.Module:
        network = self.learner.network(setup, member)
        self._option.part(network).load_state_dict(self._weights())
        return network

    def cost(self) -> Cost | None:
        """What making it took; 0 seconds where it is gone, None where it was not asked for."""
        if not self.asked_for:
            return None
        meta = self.store.meta(self.key) or {}
        return Cost(self.key[:16], float(meta.get("seconds", 0.0)))

    def _weights(self) -> Mapping[str, torch.Tensor]:
        """From the store; made where it is not there, by one process at a time."""
        stored = self.store.weights(self.key)
        if stored is not None:
            return stored
        with self._alone():
            stored = self.store.weights(self.key)
            return self._made() if stored is None else stored

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """Let others on this disk wait; where it knows no locks, they make the same beside us."""
        path = self.store.training_file(self.key).with_suffix(".lock")
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("a") as lock:
            with suppress(OSError):
                fcntl.flock(lock, fcntl.LOCK_EX)
            yield

    def _made(self) -> Mapping[str, torch.Tensor]:
        setup = replace(self.setup, seed=_SEED)
        training = TrainingFile(self.store.training_file(self.key), self.checkpoint_minutes)
        mends = ("lower batch of training.pretraining", "training.patch_size")
        with enough_memory("to pretrain", *mends):
            network = self.learner.network(setup, 0)
            loss = self._option.fit(network, setup, lambda epoch: None, training)
        part = self._option.part(network).state_dict()
        meta = {"owner": self.owner, "seconds": training.seconds, "loss": loss}
        self.store.publish(self.key, meta, part)
        # Read back: where somebody else was faster, theirs is what all begin with. Somebody short
        # of room may have removed it.
        stored = self.store.weights(self.key)
        return stored or {name: tensor.cpu() for name, tensor in part.items()}
