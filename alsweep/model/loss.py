"""Cross-entropy plus soft Dice over annotated voxels alone."""

from typing import TYPE_CHECKING

import torch
from torch.nn import functional

from alsweep.data.label_store import IGNORE

if TYPE_CHECKING:
    from torch import Tensor

_TINY = 1e-8


def masked_dice_ce(logits: "Tensor", target: "Tensor") -> "Tensor":
    """CE + (1 - soft Dice), over annotated voxels.

    Args:
        logits: ``(batch, class, z, y, x)``.
        target: Class ids, ``(batch, z, y, x)``, ``IGNORE`` where not annotated.

    Returns:
        A scalar; 0 where nothing is annotated.

    Dice is over the foreground classes, the batch taken together, without smoothing: with sparse
    labels a smoothing constant would reward empty predictions. A class that is nowhere annotated in
    the batch does not count: its overlap is 0 whatever is predicted, so it would add a constant and
    no gradient.

    Source: Isensee et al. 2021 (nnU-Net), loss; Luth et al. 2025 (nnActive), ignore mask.
    """
    annotated = target != IGNORE
    count = annotated.sum().clamp_min(1)
    logits = logits.float()
    classes = logits.shape[1]
    safe = torch.where(annotated, target, 0).long()
    ce = (functional.cross_entropy(logits, safe, reduction="none") * annotated).sum() / count
    probs = logits.softmax(dim=1) * annotated[:, None]
    labels = torch.arange(classes, device=target.device).view(1, -1, 1, 1, 1)
    onehot = ((safe[:, None] == labels) & annotated[:, None]).to(probs.dtype)
    axes = (0, 2, 3, 4)
    overlap = 2 * (probs * onehot).sum(axes)[1:]
    size = (probs.sum(axes) + onehot.sum(axes))[1:]
    dice = overlap / size.clamp_min(_TINY)
    counted = (onehot.sum(axes)[1:] > 0).to(dice.dtype)
    return ce + ((1 - dice) * counted).sum() / counted.sum().clamp_min(1)


def deep_supervision_loss(outputs: "Tensor | tuple[Tensor, ...]", target: "Tensor") -> "Tensor":
    """The loss over all scales, weighted 1, 1/2, 1/4 ... and divided by the weights' sum.

    Each scale is held against the target at its own resolution, which keeps its own mask: a voxel
    that is not annotated there does not count there.

    Args:
        outputs: Logits ``(batch, class, z, y, x)``, or a tuple of them, full resolution first.
        target: Class ids, ``(batch, z, y, x)``, ``IGNORE`` where not annotated.

    Source: nnU-Net v2 (2.8), ``DeepSupervisionWrapper``; nearest voxel, as ``DownsampleSegForDS``.
    """
    scales = outputs if isinstance(outputs, tuple) else (outputs,)
    weights = [0.5**i for i in range(len(scales))]
    losses = [
        weight * masked_dice_ce(logits, _at_scale(target, logits.shape[2:]))
        for weight, logits in zip(weights, scales, strict=True)
    ]
    return torch.stack(losses).sum() / sum(weights)


def _at_scale(target: "Tensor", shape: torch.Size) -> "Tensor":
    if target.shape[1:] == shape:
        return target
    return functional.interpolate(target[:, None], size=shape, mode="nearest-exact")[:, 0]
