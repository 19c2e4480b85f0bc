"""Cross-entropy plus soft Dice over annotated voxels alone."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, TypeAlias

import torch
from torch.nn import functional

from alsweep.label_codes import IGNORE
from alsweep.model.outputs import membership

if TYPE_CHECKING:
    from jaxtyping import Bool
    from torch import Tensor

    from alsweep.config.trajectory import DiceOver
    from alsweep.data.case import Region

Loss: TypeAlias = "Callable[[Tensor | tuple[Tensor, ...], Tensor], Tensor]"
"""Of a network's outputs in training against partial labels."""

_TINY = 1e-8


@dataclass(frozen=True)
class DiceTerm:
    """How the Dice term averages over samples and classes.

    Attributes:
        over: ``present``: the mean is over the classes that are annotated in a sample. ``all``: it
            is over all classes, as in nnU-Net, where those that are absent add nothing to the sum.
            Gradients then are the smaller the fewer of the classes a window holds.
        batch: Whether overlaps are summed over the batch before Dice is taken; else each sample has
            a Dice of its own.
    """

    over: "DiceOver" = "present"
    batch: bool = False

    def __call__(self, probs: "Tensor", inside: "Tensor", annotated: "Tensor") -> "Tensor":
        """One minus the mean soft Dice, a scalar.

        Args:
            probs: ``(batch, channel, z, y, x)``.
            inside: Where each channel's structure is, of the same shape.
            annotated: What is known of it: ``(batch, channel, z, y, x)``, where 1 channel stands
                for all.

        There is no smoothing: with sparse labels a constant would reward empty predictions. A class
        that is nowhere annotated has an overlap of 0 whatever is predicted, hence no gradient.

        Source: nnU-Net v2 (2.8), ``MemoryEfficientSoftDiceLoss``, whose smoothing is 1e-5; Luth et
        al. 2025 (nnActive), where it is 0. Values differ from theirs by what does not depend on the
        prediction, since a class that is absent costs nothing here.
        """
        probs, inside = probs * annotated, (inside & annotated).to(probs.dtype)
        axes = (0, 2, 3, 4) if self.batch else (2, 3, 4)
        there = inside.sum(axes)
        dice = 2 * (probs * inside).sum(axes) / (probs.sum(axes) + there).clamp_min(_TINY)
        present = (there > 0).to(dice.dtype)
        counted = present.sum().clamp_min(1) if self.over == "present" else present.numel()
        return ((1 - dice) * present).sum() / counted


PRESENT = DiceTerm()
"""Over each sample's own classes."""


def masked_dice_ce(logits: "Tensor", target: "Tensor", dice: DiceTerm = PRESENT) -> "Tensor":
    """CE + (1 - soft Dice), over annotated voxels.

    Args:
        logits: ``(batch, class, z, y, x)``.
        target: Class ids, ``(batch, z, y, x)``, ``IGNORE`` where not annotated.
        dice: Of the foreground classes.

    Returns:
        A scalar; 0 where nothing is annotated.

    Source: Isensee et al. 2021 (nnU-Net), loss; Luth et al. 2025 (nnActive), ignore mask.
    """
    annotated = target != IGNORE
    logits = logits.float()
    classes = logits.shape[1]
    safe = torch.where(annotated, target, 0).long()
    ce = functional.cross_entropy(logits, safe, reduction="none")
    labels = torch.arange(classes, device=target.device).view(1, -1, 1, 1, 1)
    inside = safe[:, None] == labels
    dice_loss = dice(logits.softmax(dim=1)[:, 1:], inside[:, 1:], annotated[:, None])
    return _annotated_mean(ce, annotated) + dice_loss


def masked_region_dice_bce(
    logits: "Tensor",
    target: "Tensor",
    table: "Bool[Tensor, 'region label']",
    dice: DiceTerm = PRESENT,
) -> "Tensor":
    """Binary CE + (1 - soft Dice), over annotated voxels and all regions.

    Args:
        logits: ``(batch, region, z, y, x)``.
        target: Class ids, ``(batch, z, y, x)``, ``IGNORE`` where not annotated.
        table: See :func:`alsweep.model.outputs.membership`.
        dice: Of all regions; there is no background here.

    Returns:
        A scalar; 0 where nothing is annotated.

    Departs from the source in the binary CE, which is the mean over regions with or without ignored
    voxels; there it is their sum once a voxel is ignored.

    Source: nnU-Net v2 (2.8), ``DC_and_BCE_loss``.
    """
    annotated = target != IGNORE
    logits = logits.float()
    inside = table.to(target.device)[:, target.long()].movedim(0, 1)
    bce = functional.binary_cross_entropy_with_logits(
        logits, inside.to(logits.dtype), reduction="none"
    ).mean(dim=1)
    return _annotated_mean(bce, annotated) + dice(logits.sigmoid(), inside, annotated[:, None])


def _annotated_mean(values: "Tensor", annotated: "Tensor") -> "Tensor":
    return (values * annotated).sum() / annotated.sum().clamp_min(1)


def class_loss(dice: DiceTerm) -> Loss:
    """The loss of networks whose outputs are classes, over all scales."""
    return at_all_scales(partial(masked_dice_ce, dice=dice))


def region_loss(regions: "Sequence[Region]", dice: DiceTerm = PRESENT) -> Loss:
    """The loss of networks whose outputs are regions, over all scales."""
    return at_all_scales(partial(masked_region_dice_bce, table=membership(regions), dice=dice))


def at_all_scales(at_scale: "Callable[[Tensor, Tensor], Tensor]") -> Loss:
    """A loss of logits against partial labels, taken at every scale that a network gives."""
    return partial(deep_supervision_loss, at_scale=at_scale)


def deep_supervision_loss(
    outputs: "Tensor | tuple[Tensor, ...]",
    target: "Tensor",
    at_scale: "Callable[[Tensor, Tensor], Tensor]" = masked_dice_ce,
) -> "Tensor":
    """The loss over all scales, weighted 1, 1/2, 1/4 ... and divided by the weights' sum.

    Each scale is held against the target at its own resolution, which keeps its own mask: a voxel
    that is not annotated there does not count there.

    Args:
        outputs: Logits ``(batch, class, z, y, x)``, or a tuple of them, full resolution first.
        target: Class ids, ``(batch, z, y, x)``, ``IGNORE`` where not annotated.
        at_scale: The loss of one scale's logits against its target.

    Source: nnU-Net v2 (2.8), ``DeepSupervisionWrapper``; nearest voxel, as ``DownsampleSegForDS``.
    """
    scales = outputs if isinstance(outputs, tuple) else (outputs,)
    weights = [0.5**i for i in range(len(scales))]
    losses = [
        weight * at_scale(logits, _resampled(target, logits.shape[2:]))
        for weight, logits in zip(weights, scales, strict=True)
    ]
    return torch.stack(losses).sum() / sum(weights)


def _resampled(target: "Tensor", shape: torch.Size) -> "Tensor":
    if target.shape[1:] == shape:
        return target
    return functional.interpolate(target[:, None], size=shape, mode="nearest-exact")[:, 0]
