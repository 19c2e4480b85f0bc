"""What each number in a label map tells of each output, where it may be one of two classes."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

from alsweep.label_codes import IGNORE, boxed
from alsweep.model.loss import PRESENT, DiceTerm
from alsweep.model.outputs import membership

if TYPE_CHECKING:
    from jaxtyping import Bool
    from torch import Tensor

    from alsweep.data.case import Region


@dataclass(frozen=True)
class Told:
    """Which voxels may be, and must be, in each of some sets of classes.

    Attributes:
        possible: ``(class, number)``: whether a voxel with that number may be of the class.
        inside: ``(set, number)``: whether it is in the set for certain.
        known: ``(set, number)``: whether it is in it, or outside of it, for certain.
    """

    possible: "Bool[Tensor, 'label number']"
    inside: "Bool[Tensor, 'set number']"
    known: "Bool[Tensor, 'set number']"

    @classmethod
    def of(cls, classes: int, sets: "Bool[Tensor, 'set label']") -> "Told":
        """Work out what is told of sets of classes, each a row."""
        possible = torch.zeros(classes, IGNORE + 1, dtype=torch.bool)
        possible[:, IGNORE] = True
        for label in range(classes):
            possible[label, label] = True
        for label in range(1, classes):
            possible[[0, label], boxed(label, classes)] = True
        members = sets[:, :classes]
        # Of the classes that a number may mean: are there any in the set, any that are not?
        some, others = ((rows.float() @ possible.float()) > 0 for rows in (members, ~members))
        return cls(possible, some & ~others, some != others)


def boxed_class_loss(
    logits: "Tensor", target: "Tensor", told: Told, dice: DiceTerm = PRESENT
) -> "Tensor":
    """Cross-entropy of what a voxel may be, plus 1 - soft Dice over what is known of each class.

    A voxel that is of one class or another costs minus the logarithm of the sum of their
    probabilities: nothing, if all is on these two, however it is shared out among them.

    Args:
        logits: ``(batch, class, z, y, x)``.
        target: ``(batch, z, y, x)``: classes, codes of boxes, IGNORE.
        told: Of the single classes.
        dice: Of the foreground classes.

    Returns:
        A scalar; that of :func:`~alsweep.model.loss.masked_dice_ce` where no voxel has a code.

    Source: Jin & Ghahramani 2002, learning with multiple labels, whose sum of probabilities this
    is; Rajchl et al. 2017 (DeepCut) for what a box tells.
    """
    logits, number = logits.float(), target.long()
    possible, inside, known = (_looked_up(rows, number) for rows in vars(told).values())
    impossible = logits.masked_fill(~possible, float("-inf"))
    ce = logits.logsumexp(dim=1) - impossible.logsumexp(dim=1)
    annotated = number != IGNORE
    dice_loss = dice(logits.softmax(dim=1)[:, 1:], inside[:, 1:], known[:, 1:])
    return (ce * annotated).sum() / annotated.sum().clamp_min(1) + dice_loss


def boxed_region_loss(
    logits: "Tensor", target: "Tensor", told: Told, dice: DiceTerm = PRESENT
) -> "Tensor":
    """Binary cross-entropy plus 1 - soft Dice, over what is known of each region.

    Args:
        logits: ``(batch, region, z, y, x)``.
        target: As for :func:`boxed_class_loss`.
        told: Of the regions.
        dice: Of all regions.

    Returns:
        A scalar; that of :func:`~alsweep.model.loss.masked_region_dice_bce` where no voxel has a
        code.
    """
    logits, number = logits.float(), target.long()
    inside, known = (_looked_up(rows, number) for rows in (told.inside, told.known))
    bce = torch.nn.functional.binary_cross_entropy_with_logits(
        logits, inside.to(logits.dtype), reduction="none"
    )
    return (bce * known).sum() / known.sum().clamp_min(1) + dice(logits.sigmoid(), inside, known)


def told_of_classes(classes: int) -> Told:
    """What is told of each class by itself."""
    return Told.of(classes, torch.eye(classes, dtype=torch.bool))


def told_of_regions(classes: int, regions: "Sequence[Region]") -> Told:
    """What is told of each region."""
    return Told.of(classes, membership(regions))


def _looked_up(rows: "Bool[Tensor, 'set number']", number: "Tensor") -> "Bool[Tensor, '...']":
    """``(batch, set, z, y, x)``."""
    return rows.to(number.device)[:, number].movedim(0, 1)
