"""What the objectives of all options have in common: when they begin, and with what weight."""

from abc import abstractmethod
from math import ceil

import torch
from torch import nn

from alsweep.model.learner import Setup
from alsweep.model.objective import Objective
from alsweep.model.options.pseudo import probabilities
from alsweep.model.options.windows import Views


class SemiObjective(Objective):
    """The usual loss over annotated patches, and later also that of windows without labels.

    Args:
        setup: Of the training.
        weight: Of the second, once it has risen.
        begin: Share of the training that comes before, on labels alone.
        ramp: Share of the training in which the weight then rises from 0, evenly.
    """

    steps: torch.Tensor

    def __init__(self, setup: Setup, weight: float, begin: float, ramp: float) -> None:
        super().__init__(setup)
        self._weight = weight
        self.total = setup.training.epochs * setup.training.iterations_per_epoch
        self._first = min(ceil(begin * self.total), self.total - 1)
        self._rise = ramp * self.total
        self.register_buffer("steps", torch.zeros((), dtype=torch.int64))

    @property
    def weight(self) -> float:
        """Of what is learnt without labels, in this step."""
        return self._weight * (min(1.0, self.since / self._rise) if self._rise else 1.0)

    @property
    def since(self) -> int:
        """Steps done with windows without labels; negative before the first of them."""
        return int(self.steps) - self._first

    def forward(self, network: nn.Module, *batch: torch.Tensor) -> torch.Tensor:
        """See :class:`Objective`; behind images and labels come the fields of :class:`Views`."""
        images, targets, *views = batch
        if self.since < 0:
            return super().forward(network, images, targets)
        if self.since == 0:
            # What torch.compile made of it keeps the original inside.
            self.begin(getattr(network, "_orig_mod", network))
        return self.learnt(network, images, targets, Views(*views))

    def begin(self, network: nn.Module) -> None:
        """Called before the first step with windows without labels."""

    def learnt(
        self, network: nn.Module, images: torch.Tensor, targets: torch.Tensor, views: Views
    ) -> torch.Tensor:
        """The loss of a step with windows without labels."""
        supervised = super().forward(network, images, targets)
        return supervised + self.weight * self.unsupervised(network, views, supervised)

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

    def outputs(
        self, network: nn.Module, images: torch.Tensor
    ) -> torch.Tensor | tuple[torch.Tensor, ...]:
        """What a network puts out, in the precision of the training."""
        with self.setup.compute.autocast():
            found: torch.Tensor | tuple[torch.Tensor, ...] = network(images)
        return found

    def predicted(self, network: nn.Module, images: torch.Tensor) -> torch.Tensor:
        """Probabilities ``(window, output, z, y, x)``, through which nothing is learnt."""
        with torch.no_grad():
            return probabilities(self.setup, self.outputs(network, images))

    def losses(
        self, network: nn.Module, images: torch.Tensor, targets: torch.Tensor
    ) -> list[torch.Tensor]:
        """The loss of each window by itself."""
        # Under deep supervision there is one for each resolution.
        outputs: object = self.outputs(network, images)
        scales = outputs if isinstance(outputs, tuple) else (outputs,)
        return [
            self._loss(tuple(scale[i : i + 1] for scale in scales), targets[i : i + 1])
            for i in range(len(images))
        ]
