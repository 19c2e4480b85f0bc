"""What is learnt of a dataset's images before any member is trained, once for all of them."""

from abc import ABC, abstractmethod
from typing import ClassVar

from torch import nn

from alsweep.model.learner import Checkpoint, OnEpoch, Setup


class Pretraining(ABC):
    """A way to give members weights to begin with that no label was needed for.

    A frozen dataclass, whose fields are its parameters. Entry-point group
    ``alsweep.pretraining``; each entry names such a class.

    Attributes:
        version: Raised where equal parameters give other weights than before.
    """

    version: ClassVar[int] = 1

    @abstractmethod
    def part(self, network: nn.Module) -> nn.Module:
        """What of a network is learnt, and taken over by members."""

    @abstractmethod
    def fit(
        self, network: nn.Module, setup: Setup, on_epoch: OnEpoch, checkpoint: Checkpoint
    ) -> float:
        """Train that part in place, from the checkpoint's state or else the weights it has.

        Args:
            network: Of the seed 0, whoever asks.
            setup: Gives the images of the pool; its seed is 0.
            on_epoch: To be called with the number of finished epochs.
            checkpoint: To be saved to where that is due.

        Returns:
            Mean loss of the last epoch.
        """
