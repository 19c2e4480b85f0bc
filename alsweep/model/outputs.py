"""What a network's channels mean: exclusive classes, or regions that may overlap."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import torch

from alsweep.label_codes import IGNORE

if TYPE_CHECKING:
    from jaxtyping import Bool
    from torch import Tensor

    from alsweep.data.case import Region
    from alsweep.query.pool import Prediction
    from alsweep.types import LabelMap, Probs


def activate(logits: "Probs", regions: bool) -> "Probs":
    """Probabilities from logits ``(class, ...)``: softmax, or a sigmoid for each region.

    A voxel's do not depend on what lies beside it. On a CPU that would not go without saying: torch
    takes the ends of a row another way there than its middle, with other last bits.
    """
    if logits.device.type != "cpu":
        return logits.sigmoid() if regions else logits.softmax(dim=0)
    if regions:
        return logits.neg().exp_().add_(1).reciprocal_()
    shares = (logits - logits.amax(dim=0)).exp_()
    total = shares[0].clone()
    for share in shares[1:]:
        total += share
    return shares.div_(total)


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


def predicted_labels(prediction: "Prediction", order: Sequence[int]) -> "LabelMap":
    """:func:`label_map` of a case, of which no more planes are read at once than are there."""
    parts = (prediction.part(planes, slice(None)) for planes in prediction.slabs)
    return np.concatenate([label_map(part.mean_probs, order) for part in parts])
