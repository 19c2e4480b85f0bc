"""A weight for each place without labels, learnt by whether it helps held-out labels."""

import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import nn

from alsweep.model.learner import Setup
from alsweep.model.options.alignment import gradient, last_layer
from alsweep.model.options.labelling import PlaceLabelling
from alsweep.model.options.objective import SemiObjective
from alsweep.model.options.pseudo import pseudo
from alsweep.model.options.windows import Views
from alsweep.query.parameters import searchable

if TYPE_CHECKING:
    from jaxtyping import Float
    from torch import Tensor

    from alsweep.model.options.base import Encoder

_PRIOR = 0.5
_EDGE = 1e-3

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class OpenSetWeights(PlaceLabelling):
    """Learn from confident predictions, each place weighted by whether it lowers another loss.

    In every step one sample of the batch is held out: it is not learnt from. The weight of a place
    grows by the inner product of the gradients, by the last layer, of its pseudo loss and of the
    loss of that sample; which is one step of the bi-level problem. Weights lie in 0..1, begin at
    1/2 and are drawn back there; the loss takes them divided by their mean over all places.

    Adapted: of the regularisers only the abstract is known, and the held-out part is a sample a
    step, since of six patches none can be spared for good; so ``batch_size`` must be 2 at least.
    Pseudo labels are those that the network is sure of in the window as it is, for the window with
    other intensities, mirrored.

    Source: Guo et al. 2020 (DS3L, safe deep semi-supervised learning), ICML, for the bi-level
    problem; open-set sample weighting with regularisers, abstract only.
    """

    confidence: float = searchable(0.9, low=0.0, high=1.0, help="of a voxel, at least")
    rate: float = searchable(2.0, low=0.0, high=100.0, help="of the weights' steps")
    pull: float = searchable(0.01, low=0.0, high=1.0, help="share of the way back to the prior")
    entropy: float = searchable(
        0.0, low=0.0, high=1.0, help="of the weights' own entropy, which keeps them off 0 and 1"
    )
    memory: float = searchable(0.5, low=0.0, high=1.0, help="of the running mean of weights")

    def objective(
        self, setup: Setup, network: nn.Module, encoder: "Encoder"
    ) -> "WeightedObjective":
        """See :class:`~alsweep.model.options.base.SemiSupervised`."""
        return WeightedObjective(setup, network, self)


class WeightedObjective(SemiObjective):
    """What is minimised, and the weight of each place.

    Args:
        setup: Of the training.
        network: That is trained.
        option: How.
    """

    weights: torch.Tensor

    def __init__(self, setup: Setup, network: nn.Module, option: OpenSetWeights) -> None:
        super().__init__(setup, option.weight, option.begin, option.ramp)
        self._option = option
        # In a list, or they would be checkpointed a second time.
        self._last = [last_layer(network)]
        self.register_buffer("weights", torch.full((option.places,), _PRIOR))

    def learnt(
        self, network: nn.Module, images: torch.Tensor, targets: torch.Tensor, views: Views
    ) -> torch.Tensor:
        """See :class:`SemiObjective`; the last sample is held out."""
        held_out = self.losses(network, images[-1:], targets[-1:])[0]
        learnt = self._loss(self.outputs(network, images[:-1]), targets[:-1])
        return learnt + self.weight * self.unsupervised(network, views, held_out)

    def unsupervised(
        self, network: nn.Module, views: Views, supervised: torch.Tensor
    ) -> torch.Tensor:
        """See :class:`SemiObjective`; ``supervised`` is the loss of what is held out."""
        found = pseudo(self.setup, self.predicted(network, views.weak))
        labels = views.mirrored(found.where(found.confidence >= self._option.confidence))
        losses = self.losses(network, views.mirrored(views.strong), labels)
        numbers = views.numbers.cpu()
        wanted = gradient(supervised, self._last[0])
        aligned = torch.stack([gradient(loss, self._last[0]) @ wanted for loss in losses]).cpu()
        self.weights[numbers] = reweighted(self.weights[numbers], aligned, self._option)
        relative = self.weights[numbers] / self.weights.mean().clamp_min(_EDGE)
        return (torch.stack(losses) * relative.to(losses[0].device)).mean()

    def after_step(self, network: nn.Module) -> None:
        """Count the step; after the last one tell what became of the weights."""
        super().after_step(network)
        if int(self.steps) == self.total:
            counts = torch.histc(self.weights, bins=5, min=0, max=1).int().tolist()
            _log.info("weights of %d places, by fifths of 0 to 1: %s", len(self.weights), counts)


def reweighted(
    weights: "Float[Tensor, ' window']", aligned: "Float[Tensor, ' window']", option: OpenSetWeights
) -> "Float[Tensor, ' window']":
    """The weights after a step.

    Args:
        weights: Of the windows, 0..1.
        aligned: Inner product of each one's gradient with that of the held-out loss: positive where
            a step on the window lowers that.
        option: Rate, pull to the prior, entropy and memory.
    """
    inside = weights.clamp(_EDGE, 1 - _EDGE)
    spread = option.entropy * ((1 - inside) / inside).log()
    moved = (weights + option.rate * (aligned + spread)).clamp(0, 1)
    drawn = moved + option.pull * (_PRIOR - moved)
    return option.memory * weights + (1 - option.memory) * drawn
