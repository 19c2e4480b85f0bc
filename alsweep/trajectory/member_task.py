"""The training of one member: a unit of work that any process can do, again if need be."""

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import chain

import torch
from torch import nn

from alsweep.disk import require_room
from alsweep.errors import TrajectoryFailedError
from alsweep.model.checkpoint import ModelStore
from alsweep.model.device import enough_memory
from alsweep.model.learner import Learner, OnEpoch, Setup, TrainingData
from alsweep.model.resuming import TrainingFile


@dataclass(frozen=True)
class MemberTask:
    """One member to be trained; it can be pickled.

    Attributes:
        setup: With the epochs of this member's own training.
        learner: Makes and trains the network.
        training_data: What it learns from.
        start: Weights that it starts from, on the CPU; None for those that the learner gives it.
        key: Under which the member is published.
        store: Where to.
        owner: Who trains; stored beside the weights.
        checkpoint_minutes: Between checkpoints inside the training.
    """

    setup: Setup
    learner: Learner
    training_data: TrainingData
    start: Mapping[str, torch.Tensor] | None
    key: str
    store: ModelStore
    owner: str
    checkpoint_minutes: float

    @property
    def member(self) -> int:
        """Its index."""
        return self.training_data.member

    def train(self, on_epoch: OnEpoch) -> nn.Module:
        """Train the member, from where an earlier try has come to, and publish it.

        Raises:
            TrajectoryFailedError: The training cannot go on; the message names the mend.
            DiskFullError: The store's disk has no room for the member; no training is begun for
                nothing.
        """
        mends = ("lower training.batch_size or training.patch_size", "resources.members_at_once")
        with enough_memory(f"to train member {self.member}", *mends):
            network = self.learner.network(self.setup, self.member)
            require_room(self.store.root, weights_bytes(network))
            if self.start is not None:
                network.load_state_dict(self.start)
            training = TrainingFile(self.store.training_file(self.key), self.checkpoint_minutes)
            loss = self.learner.fit(network, self.setup, self.training_data, on_epoch, training)
        refuse_nan(network, f"member {self.member}: after its training")
        meta = {
            "owner": self.owner,
            "seconds": training.seconds,
            "loss": loss,
            "threads": torch.get_num_threads(),
        }
        self.store.publish(self.key, meta, network.state_dict())
        return network


def refuse_nan(network: nn.Module, what: str) -> None:
    """Refuse a network that could only predict nonsense.

    Args:
        network: Any.
        what: It is, for the message.

    Raises:
        TrajectoryFailedError: A weight is no number, or infinite.
    """
    tensors = network.state_dict().items()
    bad = next((name for name, t in tensors if not bool(torch.isfinite(t).all())), None)
    if bad is not None:
        raise TrajectoryFailedError(
            f"{what}, not all weights in {bad} are finite; lower training.learning_rate, or remove "
            "the member from the models of the run if its file was damaged"
        )


def weights_bytes(network: nn.Module) -> int:
    """Bytes of a network's weights, those that layers share counted once as in a file."""
    tensors = chain(network.parameters(), network.buffers())
    return sum(tensor.numel() * tensor.element_size() for tensor in tensors)
