"""Pseudo labels of several views; windows whose gradient goes against the labels are dropped."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import nn

from alsweep.model.learner import Setup
from alsweep.model.options.alignment import cosine, gradient, last_layer
from alsweep.model.options.labelling import PlaceLabelling
from alsweep.model.options.objective import SemiObjective
from alsweep.model.options.pseudo import Pseudo, pseudo
from alsweep.model.options.windows import Views
from alsweep.query.parameters import searchable

if TYPE_CHECKING:
    from alsweep.model.options.base import Encoder


@dataclass(frozen=True)
class AugmentAndCriticize(PlaceLabelling):
    """Learn from what four views of a window agree on, unless it goes against the labels.

    Augment: the network predicts a window as it is, mirrored, with other intensities, and both;
    mapped back, their mean is the pseudo label, and a voxel counts where enough of them agree.
    Criticize: the score of a window is the cosine between the gradients of its pseudo loss and of
    the labelled loss by the last layer, a running mean over the steps in which it comes up; it
    is left out while that is negative.

    Adapted from the abstract and a summary of the method: there augmentations are searched for, and
    a trained critic scores the change of the supervised loss, for which the cosine is a cheap
    proxy. Windows are of a fixed set of places, so that each has a score.

    Source: Augment and Criticize (semi-supervised monocular 3D detection), arXiv:2303.11243.
    """

    agreement: float = searchable(0.75, low=0.0, high=1.0, help="share of views, at least")
    memory: float = searchable(0.9, low=0.0, high=1.0, help="of the running mean of scores")
    every: int = searchable(1, low=1, high=1000, help="steps between two criticisms")

    def objective(
        self, setup: Setup, network: nn.Module, encoder: "Encoder"
    ) -> "CriticizedObjective":
        """See :class:`~alsweep.model.options.base.SemiSupervised`."""
        return CriticizedObjective(setup, network, self)


class CriticizedObjective(SemiObjective):
    """What is minimised, and the score of each place.

    Args:
        setup: Of the training.
        network: That is trained.
        option: How.
    """

    scores: torch.Tensor
    seen: torch.Tensor

    def __init__(self, setup: Setup, network: nn.Module, option: AugmentAndCriticize) -> None:
        super().__init__(setup, option.weight, option.begin, option.ramp)
        self._option = option
        # In a list, or they would be checkpointed a second time.
        self._last = [last_layer(network)]
        self.register_buffer("scores", torch.zeros(option.places))
        self.register_buffer("seen", torch.zeros(option.places, dtype=torch.bool))

    def unsupervised(
        self, network: nn.Module, views: Views, supervised: torch.Tensor
    ) -> torch.Tensor:
        """See :class:`SemiObjective`."""
        labels = views.mirrored(self.pseudo_labels(network, views))
        losses = self.losses(network, views.mirrored(views.strong), labels)
        numbers = views.numbers.cpu()
        if int(self.steps) % self._option.every == 0:
            self._criticize(supervised, losses, numbers)
        kept = (self.scores[numbers] >= 0).to(losses[0].device)
        return (torch.stack(losses) * kept).mean()

    def pseudo_labels(self, network: nn.Module, views: Views) -> torch.Tensor:
        """``(window, z, y, x)``: IGNORE where too few views agree."""
        weak, strong, turned = views.weak, views.strong, views.mirrored
        seen = [
            self.predicted(network, weak),
            turned(self.predicted(network, turned(weak))),
            self.predicted(network, strong),
            turned(self.predicted(network, turned(strong))),
        ]
        return agreed(
            pseudo(self.setup, torch.stack(seen).mean(dim=0)),
            [pseudo(self.setup, one) for one in seen],
            self._option.agreement,
        )

    def _criticize(
        self, supervised: torch.Tensor, losses: Sequence[torch.Tensor], numbers: torch.Tensor
    ) -> None:
        wanted = gradient(supervised, self._last[0])
        for number, loss in zip(numbers.tolist(), losses, strict=True):
            score = cosine(gradient(loss, self._last[0]), wanted)
            keep = self._option.memory if self.seen[number] else 0.0
            self.scores[number] = keep * self.scores[number] + (1 - keep) * score
            self.seen[number] = True


def agreed(mean: Pseudo, seen: Sequence[Pseudo], least: float) -> torch.Tensor:
    """Labels of the mean prediction where at least a share of the views have them, else IGNORE."""
    same = torch.stack([one.labels == mean.labels for one in seen]).float().mean(dim=0)
    return mean.where(same >= least)
