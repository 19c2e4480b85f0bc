"""Gradients of a member's loss by its last layer, gathered on a coarse grid over one case."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

import torch
from torch import nn
from torch.nn import functional

from alsweep.geometry import Triple, triple
from alsweep.model.embedding import FeatureMean
from alsweep.model.outputs import activate
from alsweep.query.pool import Embedding

if TYPE_CHECKING:
    from jaxtyping import Float
    from torch import Tensor

    from alsweep.types import Probs

_CELL = 4
"""Most voxels of a cell along each axis: fine beside a patch, and coarse beside a case."""


@contextmanager
def inputs_of(module: nn.Module) -> Iterator[list["Tensor"]]:
    """Collect what a part of a network is given, one tensor a forward pass.

    Args:
        module: What the learner calls its head.

    Yields:
        A list that each forward pass appends ``(window, feature, z, y, x)`` to; empty it as you go.
    """
    seen: list[Tensor] = []
    handle = module.register_forward_pre_hook(lambda _module, given: seen.append(given[0]))
    try:
        yield seen
    finally:
        handle.remove()


class GradientMean:
    """Mean gradients by the head's weights, on a coarse grid over one case.

    The head is linear in its features and the loss is the cross-entropy with ``targets``, so that
    the gradient is ``(p - target) h`` at each voxel; for regions likewise, of a binary one each.

    Args:
        targets: What the member is held against, ``(class, z, y, x)``.
        window: The sliding window, in voxels.
        regions: Whether the channels are regions.
    """

    def __init__(self, targets: "Probs", window: Triple, regions: bool) -> None:
        self._targets = targets
        self._regions = regions
        self._mean = FeatureMean(triple(targets.shape[1:]), window)
        self._pool = triple(_divisor(length) for length in window)

    def add(
        self,
        logits: "Float[Tensor, 'window class z y x']",
        features: "Float[Tensor, 'window feature z y x']",
        corners: Sequence[Triple],
    ) -> None:
        """Count windows in.

        Args:
            logits: Of the member.
            features: That its head was given.
            corners: Lowest corner of each window; negative where the case was padded.
        """
        for one, seen, corner in zip(logits, features, corners, strict=True):
            error, inside = self._error(activate(one.float(), self._regions), corner)
            share = self._pooled(inside[None]).clamp_min(1e-6)
            rows = [self._pooled(row * seen.float()) / share for row in error]
            self._mean.add(torch.cat(rows)[None], [corner])

    def _pooled(self, values: "Tensor") -> "Tensor":
        return functional.avg_pool3d(values[None], self._pool)[0]

    def _error(self, probs: "Probs", corner: Triple) -> "tuple[Probs, Tensor]":
        """What the member says less the target, 0 in the padding; and 1 where there is none."""
        _, *shape = self._targets.shape
        low = [max(0, a) for a in corner]
        high = [min(n, a + w) for n, a, w in zip(shape, corner, probs.shape[1:], strict=True)]
        case = [slice(a, b) for a, b in zip(low, high, strict=True)]
        window = [slice(a - c, b - c) for a, b, c in zip(low, high, corner, strict=True)]
        error, inside = torch.zeros_like(probs), torch.zeros_like(probs[0])
        error[:, *window] = probs[:, *window] - self._targets[:, *case]
        inside[*window] = 1
        return error, inside

    def mean(self) -> Embedding:
        """The gradients, ``(class * feature, z, y, x)``, float32: they may be very small."""
        return Embedding(self._mean.exact(), self._mean.cell)


def likeliest(probs: "Probs", regions: bool) -> "Probs":
    """One where a class is the likeliest, or a region likelier than not; else 0."""
    if regions:
        return (probs > 0.5).to(probs.dtype)
    return torch.zeros_like(probs).scatter_(0, probs.argmax(dim=0, keepdim=True), 1.0)


def targets_of(probs: "Probs", regions: bool, alone: bool) -> "dict[str, Callable[[], Probs]]":
    """What the first member is held against, by need.

    Args:
        probs: The ensemble's mean probability.
        regions: Whether the channels are regions.
        alone: Whether that is nothing but the first member's own.
    """
    hard, soft = (lambda: likeliest(probs, regions)), (lambda: probs)
    return {"gradient": hard, "soft_gradient": hard if alone else soft}


def _divisor(length: int) -> int:
    return next(size for size in range(_CELL, 0, -1) if length % size == 0)
