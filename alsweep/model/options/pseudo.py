"""Pseudo labels: what networks say of images without labels, as far as they are to be believed."""

from collections.abc import Sequence
from itertools import combinations
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import torch
from scipy.ndimage import label as pieces_of

from alsweep.label_codes import IGNORE
from alsweep.model.learner import Setup
from alsweep.model.outputs import label_map

if TYPE_CHECKING:
    from jaxtyping import Bool, Float, Float64, Int64, UInt8
    from torch import Tensor

    from alsweep.types import LabelMap

_OVERLAP = 0.25
"""IoU above which two pieces are taken for the same object."""


class Pseudo(NamedTuple):
    """Labels and how sure the network is of each.

    Attributes:
        labels: ``(window, z, y, x)``, uint8 class ids.
        confidence: The same shape, 0..1: of the class, or of the region least sure of.
    """

    labels: "UInt8[Tensor, 'window z y x']"
    confidence: "Float[Tensor, 'window z y x']"

    def where(self, believed: "Bool[Tensor, 'window z y x']") -> "UInt8[Tensor, 'window z y x']":
        """The labels where they are believed, IGNORE elsewhere."""
        return torch.where(believed, self.labels, IGNORE)


def probabilities(setup: Setup, outputs: "Tensor | tuple[Tensor, ...]") -> "Tensor":
    """Of a batch, at full resolution: ``(window, output, z, y, x)``, float32."""
    logits = (outputs[0] if isinstance(outputs, tuple) else outputs).float()
    return logits.sigmoid() if setup.regions else logits.softmax(dim=1)


def pseudo(setup: Setup, probs: "Tensor") -> Pseudo:
    """The likeliest labels of a batch of probabilities."""
    if not setup.regions:
        confidence, labels = probs.max(dim=1)
        return Pseudo(labels.to(torch.uint8), confidence)
    order = setup.dataset.manifest.regions_class_order
    painted = np.stack([label_map(one, order) for one in probs])
    confidence = torch.maximum(probs, 1 - probs).amin(dim=1)
    return Pseudo(torch.from_numpy(painted).to(probs.device), confidence)


class _Piece(NamedTuple):
    mask: "Bool[np.ndarray, 'z y x']"
    quality: float


def believed_pieces(
    views: "Sequence[LabelMap]", classes: int, least: float
) -> "Bool[np.ndarray, 'class z y x']":
    """Where the pieces of each class are that survive.

    A piece's quality is the mean over the other views of its Dice with the piece there that fits it
    best. Those above ``least`` stay. Then lower-half suppression: the best piece, in whichever
    view, gathers those that overlap it by an IoU above 0.25; of these n the better floor(n / 2)
    stay, and so on with the next best that is left. Pieces that do not overlap never compete.

    Of a single view all pieces stay.

    Args:
        views: Predictions of one window ``(z, y, x)`` under several augmentations, mapped back.
        classes: Number of classes; of the background, class 0, nothing is asked.
        least: Quality that a piece must exceed, 0..1.

    Source: Wang et al. 2021 (3DIoUMatch), arXiv:2012.04355, with boxes and a predicted IoU.
    """
    believed = np.zeros((classes, *views[0].shape), dtype=bool)
    believed[0] = True
    for value in range(1, classes):
        for piece in _suppressed([p for p in _pieces(views, value) if p.quality > least]):
            believed[value] |= piece.mask
    return believed


def _pieces(views: "Sequence[LabelMap]", value: int) -> list[_Piece]:
    """The pieces of a class in all views, with their quality."""
    numbered = [pieces_of(view == value)[0] for view in views]
    best = [np.zeros((len(views), one.max() + 1)) for one in numbered]
    for a, b in combinations(range(len(views)), 2):
        dice = _dice(numbered[a], numbered[b])
        best[a][b], best[b][a] = dice.max(axis=1), dice.max(axis=0)
    return [
        _Piece(numbered[view] == number, _mean_of_others(best[view][:, number]))
        for view in range(len(views))
        for number in range(1, numbered[view].max() + 1)
    ]


def _mean_of_others(best: "Float64[np.ndarray, ' view']") -> float:
    """Of the best fit in each view; a view has none with itself, and a single view none at all."""
    return float(best.sum() / (len(best) - 1)) if len(best) > 1 else 1.0


def _dice(
    a: "Int64[np.ndarray, 'z y x']", b: "Int64[np.ndarray, 'z y x']"
) -> "Float64[np.ndarray, 'a b']":
    """Dice of each piece of one map with each of another, by number; that of number 0 is 0."""
    shape = a.max() + 1, b.max() + 1
    common = np.bincount((a * shape[1] + b).ravel(), minlength=shape[0] * shape[1]).reshape(shape)
    dice = 2 * common / (common.sum(axis=1, keepdims=True) + common.sum(axis=0, keepdims=True))
    dice[0], dice[:, 0] = 0, 0
    return dice


def _suppressed(pieces: list[_Piece]) -> list[_Piece]:
    """What lower-half suppression leaves; of equals, those of the earlier view are better."""
    left = sorted(pieces, key=lambda piece: -piece.quality)
    kept = []
    while left:
        best, *rest = left
        near = [_iou(best.mask, other.mask) > _OVERLAP for other in rest]
        neighbours = [other for other, is_near in zip(rest, near, strict=True) if is_near]
        kept += [best, *neighbours[: len(neighbours) // 2]]
        left = [other for other, is_near in zip(rest, near, strict=True) if not is_near]
    return kept


def _iou(a: "Bool[np.ndarray, 'z y x']", b: "Bool[np.ndarray, 'z y x']") -> float:
    return float((a & b).sum() / (a | b).sum())
