"""What a network's channels mean: exclusive classes, or regions that may overlap."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch

from alsweep.label_codes import IGNORE

if TYPE_CHECKING:
    from jaxtyping import Bool
    from torch import Tensor

    from alsweep.data.case import Region
    from alsweep.types import LabelMap, Probs


def activate(logits: "Probs", regions: bool) -> "Probs":
    """Probabilities from logits ``(class, z, y, x)``: softmax, or a sigmoid for each region."""
    return logits.sigmoid() if regions else logits.softmax(dim=0)


def membership(regions: "Sequence[Region]") -> "Bool[Tensor, 'region label']":
    """Which of the labels 0 to 255 are in each region; ``IGNORE`` is in none."""
    table = torch.zeros(len(regions), IGNORE + 1, dtype=torch.bool)
    for row, region in zip(table, regions, strict=True):
        row[list(region.labels)] = True
    return table


def label_map(probs: "Probs", order: Sequence[int]) -> "LabelMap":
    """The predicted label of each voxel, uint8 ``(z, y, x)``, on the CPU.

    Args:
        probs: ``(class, z, y, x)``.
        order: For regions the label that each is painted with, in the order of painting: a voxel
            has the label of the last region whose probability exceeds 1/2, or else is background.
            Empty for classes, of which the likeliest is taken.

    Source: nnU-Net v2 (2.8), ``LabelManager.convert_probabilities_to_segmentation``.
    """
    labels = torch.zeros(probs.shape[1:], dtype=torch.uint8, device=probs.device)
    if order:
        for channel, label in zip(probs, order, strict=True):
            labels.masked_fill_(channel > 0.5, label)
    else:
        # As argmax, the first of equals; that strides over the classes, four times as slow.
        best = probs[0].clone()
        for label, channel in enumerate(probs[1:], start=1):
            labels.masked_fill_(channel > best, label)
            torch.maximum(best, channel, out=best)
    painted: LabelMap = labels.to("cpu").numpy()
    return painted
