"""At its end a training goes on with its own predictions on the windows nearest to the labels."""

from collections.abc import Sequence
from copy import deepcopy
from dataclasses import dataclass
from math import ceil
from typing import TYPE_CHECKING

import torch
from torch import nn
from torch.nn import functional

from alsweep.model.embedding import outputs_of
from alsweep.model.learner import Setup
from alsweep.model.options.base import SemiSupervised
from alsweep.model.options.objective import SemiObjective
from alsweep.model.options.pseudo import Pseudo, probabilities, pseudo
from alsweep.model.options.windows import UnlabelledViews, Views
from alsweep.query.parameters import searchable

if TYPE_CHECKING:
    from jaxtyping import Float
    from torch import Tensor

    from alsweep.model.loading import Unlabelled
    from alsweep.model.options.base import Encoder

_MEMORY = 0.9


@dataclass(frozen=True)
class SelfTraining(SemiSupervised):
    """In the last part of a training also learn what the network said before that part.

    When the part begins, the network is copied. In each step the copy embeds ``windows`` windows
    without labels, and the share of them whose features are nearest to a class prototype, by the
    cosine, get its likeliest labels. A prototype is the running mean of the features of annotated
    windows that hold a foreground class.

    Adapted: the source trains anew on the nearest 25 % of all its samples after each fit; here the
    nearest of those drawn in a step are taken, in the same training, so that its length stays as it
    was. There the next round starts from these weights: here, with ``training.warm_start``.

    Source: OpenPath, arXiv:2506.15318, its released code; pseudo labels without a threshold.
    """

    weight: float = searchable(1.0, low=0.0, high=100.0, help="of the loss over pseudo labels")
    share: float = searchable(0.3, low=0.0, high=1.0, help="of the training, at its end")
    nearest: float = searchable(0.25, low=0.01, high=1.0, help="share of windows that are believed")
    windows: int = searchable(8, low=1, high=256, help="windows without labels a step")

    def objective(
        self, setup: Setup, network: nn.Module, encoder: "Encoder"
    ) -> "SelfTrainedObjective":
        """See :class:`SemiSupervised`."""
        return SelfTrainedObjective(setup, network, encoder, self)

    def unlabelled(self, setup: Setup) -> "Sequence[Unlabelled]":
        """See :class:`SemiSupervised`."""
        return (UnlabelledViews(setup, self.windows),)


class SelfTrainedObjective(SemiObjective):
    """What is minimised, the copy of the network, and its prototypes.

    Args:
        setup: Of the training.
        network: That is trained.
        encoder: Gives the part of a network whose output are its features.
        option: How.
    """

    prototypes: torch.Tensor
    known: torch.Tensor

    def __init__(
        self, setup: Setup, network: nn.Module, encoder: "Encoder", option: SelfTraining
    ) -> None:
        super().__init__(setup, option.weight, 1 - option.share, 0.0)
        self._option = option
        self.copy = deepcopy(network).requires_grad_(False).eval()
        self._encoder = [encoder(self.copy)]
        device, classes = setup.compute.device, len(setup.dataset.classes)
        features = self._looked_at(self._nothing(setup))[1].shape[1]
        self.register_buffer("prototypes", torch.zeros(classes, features, device=device))
        self.register_buffer("known", torch.zeros(classes, dtype=torch.bool, device=device))

    @staticmethod
    def _nothing(setup: Setup) -> torch.Tensor:
        shape = (1, len(setup.dataset.channels), *setup.topology.window)
        return torch.zeros(shape, device=setup.compute.device)

    def begin(self, network: nn.Module) -> None:
        """Copy the network, which is kept from now on."""
        self.copy.load_state_dict(network.state_dict())

    def learnt(
        self, network: nn.Module, images: torch.Tensor, targets: torch.Tensor, views: Views
    ) -> torch.Tensor:
        """See :class:`SemiObjective`."""
        self._learn_prototypes(images, targets)
        return super().learnt(network, images, targets, views)

    def unsupervised(
        self, network: nn.Module, views: Views, supervised: torch.Tensor
    ) -> torch.Tensor:
        """See :class:`SemiObjective`."""
        probs, features = self._looked_at(views.weak)
        chosen = nearest(features, self.prototypes[self.known], self._option.nearest)
        near = Views(*(part[chosen] for part in views))
        labels: Pseudo = pseudo(self.setup, probs[chosen])
        outputs = self.outputs(network, near.mirrored(near.strong))
        return self._loss(outputs, near.mirrored(labels.labels))

    def _looked_at(self, windows: torch.Tensor) -> "tuple[Tensor, Tensor]":
        """What the copy says of windows, and their features ``(window, feature)``."""
        with torch.no_grad(), outputs_of(self._encoder[0]) as seen:
            probs = probabilities(self.setup, self.outputs(self.copy, windows))
        return probs, seen[0].float().mean(dim=(2, 3, 4))

    def _learn_prototypes(self, images: torch.Tensor, targets: torch.Tensor) -> None:
        features = self._looked_at(images)[1]
        for value in range(1, len(self.known)):
            holding = (targets == value).flatten(1).any(dim=1)
            if holding.any():
                mean = features[holding].mean(dim=0)
                keep = _MEMORY if self.known[value] else 0.0
                self.prototypes[value] = keep * self.prototypes[value] + (1 - keep) * mean
                self.known[value] = True


def nearest(
    features: "Float[Tensor, 'window feature']",
    prototypes: "Float[Tensor, 'label feature']",
    share: float,
) -> "Tensor":
    """Numbers of the windows nearest to any prototype by the cosine, the nearest first.

    Args:
        features: Of windows without labels.
        prototypes: Of classes; where there are none, the first windows are as good as any.
        share: Of the windows, rounded up.
    """
    count = ceil(share * len(features))
    if not len(prototypes):
        return torch.arange(count, device=features.device)
    cosines = functional.normalize(features, dim=1) @ functional.normalize(prototypes, dim=1).T
    return (1 - cosines.amax(dim=1)).argsort(stable=True)[:count]
