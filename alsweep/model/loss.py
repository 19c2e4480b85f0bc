"""Cross-entropy plus soft Dice over annotated voxels alone."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING, TypeAlias

import torch
from torch.nn import functional

from alsweep.label_codes import IGNORE
from alsweep.model.outputs import membership

if TYPE_CHECKING:
    from jaxtyping import Bool
    from torch import Tensor

    from alsweep.data.case import Region

Loss: TypeAlias = "Callable[[Tensor | tuple[Tensor, ...], Tensor], Tensor]"
"""Of a network's outputs in training against partial labels."""

_TINY = 1e-8


def masked_dice_ce(logits: "Tensor", target: "Tensor") -> "Tensor":
    """CE + (1 - soft Dice), over annotated voxels.

    Args:
        logits: ``(batch, class, z, y, x)``.
        target: Class ids, ``(batch, z, y, x)``, ``IGNORE`` where not annotated.

    Returns:
        A scalar; 0 where nothing is annotated.

    Dice is over samples and their foreground classes, each by itself, without smoothing: with
    sparse labels a smoothing constant would reward empty predictions. A class that is nowhere
    annotated in a sample does not count there: its overlap is 0 whatever is predicted, so it would
    add a constant and no gradient. Over the batch taken together a large structure in one sample
    would hide a small one in another.

    Source: Isensee et al. 2021 (nnU-Net), loss; Luth et al. 2025 (nnActive), ignore mask.
    """
    annotated = target != IGNORE
    logits = logits.float()
    classes = logits.shape[1]
    safe = torch.where(annotated, target, 0).long()
    ce = functional.cross_entropy(logits, safe, reduction="none")
    labels = torch.arange(classes, device=target.device).view(1, -1, 1, 1, 1)
    inside = safe[:, None] == labels
    dice_loss = _dice_loss(logits.softmax(dim=1)[:, 1:], inside[:, 1:], annotated)
    return _annotated_mean(ce, annotated) + dice_loss


def masked_region_dice_bce(
    logits: "Tensor", target: "Tensor", table: "Bool[Tensor, 'region label']"
) -> "Tensor":
    """Binary CE + (1 - soft Dice), over annotated voxels and all regions.

    Args:
        logits: ``(batch, region, z, y, x)``.
        target: Class ids, ``(batch, z, y, x)``, ``IGNORE`` where not annotated.
        table: See :func:`alsweep.model.outputs.membership`.

    Returns:
        A scalar; 0 where nothing is annotated.

    See :func:`masked_dice_ce` for what Dice leaves out; there is no background here. Departs from
    the source in the binary CE, which is the mean over regions with or without ignored voxels;
    there it is their sum once a voxel is ignored.

    Source: nnU-Net v2 (2.8), ``DC_and_BCE_loss``.
    """
    annotated = target != IGNORE
    logits = logits.float()
    inside = table.to(target.device)[:, target.long()].movedim(0, 1)
    bce = functional.binary_cross_entropy_with_logits(
        logits, inside.to(logits.dtype), reduction="none"
    ).mean(dim=1)
    return _annotated_mean(bce, annotated) + _dice_loss(logits.sigmoid(), inside, annotated)


def _annotated_mean(values: "Tensor", annotated: "Tensor") -> "Tensor":
    return (values * annotated).sum() / annotated.sum().clamp_min(1)


def _dice_loss(probs: "Tensor", inside: "Tensor", annotated: "Tensor") -> "Tensor":
    """One minus the mean soft Dice over samples and the channels that are annotated in them."""
    mask = annotated[:, None]
    probs, inside = probs * mask, (inside & mask).to(probs.dtype)
    axes = (2, 3, 4)
    there = inside.sum(axes)
    dice = 2 * (probs * inside).sum(axes) / (probs.sum(axes) + there).clamp_min(_TINY)
    counted = (there > 0).to(dice.dtype)
    return ((1 - dice) * counted).sum() / counted.sum().clamp_min(1)


def region_loss(regions: "Sequence[Region]") -> Loss:
    """The loss of networks whose outputs are regions, over all scales."""
    return partial(
        deep_supervision_loss, at_scale=partial(masked_region_dice_bce, table=membership(regions))
    )


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
