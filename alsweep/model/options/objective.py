"""What the objectives of all options have in common: steps counted, a weight that rises."""

from abc import abstractmethod

import torch
from torch import nn

from alsweep.model.learner import Setup
from alsweep.model.objective import Objective
from alsweep.model.options.pseudo import probabilities
from alsweep.model.options.windows import Views


class SemiObjective(Objective):
    """The usual loss over annotated patches, plus that of windows without labels.

    Args:
        setup: Of the training.
        weight: Of the second, once it has risen.
        ramp: Share of the training in which it rises from 0, evenly.
    """

    steps: torch.Tensor

    def __init__(self, setup: Setup, weight: float, ramp: float) -> None:
        super().__init__(setup)
        self._weight = weight
        self.total = setup.training.epochs * setup.training.iterations_per_epoch
        self._rise = ramp * self.total
        self.register_buffer("steps", torch.zeros((), dtype=torch.int64))

    @property
    def weight(self) -> float:
        """Of what is learnt without labels, in this step."""
        done = int(self.steps)
        return self._weight * (min(1.0, done / self._rise) if self._rise else 1.0)

    def forward(self, network: nn.Module, *batch: torch.Tensor) -> torch.Tensor:
        """See :class:`Objective`; behind images and labels come the fields of :class:`Views`."""
        images, targets, *views = batch
        supervised = super().forward(network, images, targets)
        return supervised + self.weight * self.unsupervised(network, Views(*views), supervised)

    @abstractmethod
    def unsupervised(
        self, network: nn.Module, views: Views, supervised: torch.Tensor
    ) -> torch.Tensor:
        """The loss over windows without labels, not weighted.

        Args:
            network: In ``train`` mode.
            views: The windows.
            supervised: The loss over the annotated patches of this step.
        """

    def after_step(self, network: nn.Module) -> None:
        """Count the step."""
        self.steps += 1

    def outputs(self, network: nn.Module, images: torch.Tensor) -> torch.Tensor:
        """What a network puts out, in the precision of the training."""
        with self.setup.compute.autocast():
            found: torch.Tensor = network(images)
        return found

    def predicted(self, network: nn.Module, images: torch.Tensor) -> torch.Tensor:
        """Probabilities ``(window, output, z, y, x)``, through which nothing is learnt."""
        with torch.no_grad():
            return probabilities(self.setup, self.outputs(network, images))

    def losses(
        self, network: nn.Module, images: torch.Tensor, targets: torch.Tensor
    ) -> list[torch.Tensor]:
        """The loss of each window by itself."""
        outputs = self.outputs(network, images)
        scales = outputs if isinstance(outputs, tuple) else (outputs,)
        return [
            self._loss(tuple(scale[i : i + 1] for scale in scales), targets[i : i + 1])
            for i in range(len(images))
        ]
