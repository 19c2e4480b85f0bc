"""What a training minimises."""

from functools import partial

import torch
from torch import nn

from alsweep.model.learner import Setup
from alsweep.model.loss import DiceTerm, Loss, at_all_scales, class_loss, region_loss
from alsweep.model.told import (
    boxed_class_loss,
    boxed_region_loss,
    told_of_classes,
    told_of_regions,
)


class Objective(nn.Module):
    """Dice and cross-entropy over annotated voxels, at every scale that the network gives.

    Others subclass it. What they keep from step to step, such as a teacher, is a module or a buffer
    of theirs: it is checkpointed with the training.

    Args:
        setup: Recipe, device and precision.
    """

    def __init__(self, setup: Setup) -> None:
        super().__init__()
        self.setup = setup
        self._loss = loss_of(setup)

    def forward(self, network: nn.Module, *batch: torch.Tensor) -> torch.Tensor:
        """The loss of one step, a scalar.

        Args:
            network: In ``train`` mode.
            batch: Images ``(sample, channel, z, y, x)``, partial labels ``(sample, z, y, x)``, then
                what the learner has beside them.
        """
        images, targets, *_ = batch
        with self.setup.compute.autocast():
            outputs = network(images)
        return self._loss(outputs, targets)

    def after_step(self, network: nn.Module) -> None:
        """Called once the weights have changed."""


def loss_of(setup: Setup) -> Loss:
    """The loss that uses what the annotator tells, and no more."""
    dice = DiceTerm(setup.training.dice_over, setup.batch_dice)
    regions = setup.dataset.targets if setup.regions else ()
    classes = len(setup.dataset.classes)
    if setup.reveal != "box":
        return region_loss(regions, dice) if regions else class_loss(dice)
    if regions:
        told = told_of_regions(classes, regions)
        return at_all_scales(partial(boxed_region_loss, told=told, dice=dice))
    return at_all_scales(partial(boxed_class_loss, told=told_of_classes(classes), dice=dice))
