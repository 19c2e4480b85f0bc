"""Encoder features of a case, gathered while its windows are predicted: no second forward pass."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from math import ceil, floor
from typing import TYPE_CHECKING

import torch
from torch import nn

from alsweep.geometry import Triple, triple

if TYPE_CHECKING:
    from jaxtyping import Float
    from torch import Tensor


@contextmanager
def outputs_of(module: nn.Module) -> Iterator[list["Tensor"]]:
    """Collect what a part of a network puts out, one tensor a forward pass.

    Args:
        module: What the learner calls its encoder.

    Yields:
        A list that each forward pass appends ``(window, feature, z, y, x)`` to; empty it as you go.
    """
    seen: list[Tensor] = []
    handle = module.register_forward_hook(lambda _module, _given, output: seen.append(output))
    try:
        yield seen
    finally:
        handle.remove()


class FeatureMean:
    """Mean of the windows' features on a coarse grid over one case.

    A window may lie anywhere: each of its cells counts in a grid cell by the share that they have
    in common, so that features stay where they were seen.

    Args:
        shape: The case, ``(z, y, x)`` in voxels.
        window: The sliding window, in voxels.
    """

    def __init__(self, shape: Triple, window: Triple) -> None:
        self._shape = shape
        self._window = window
        self._sum: Tensor | None = None
        self._weight: Tensor | None = None
        self.cell = (1.0, 1.0, 1.0)

    def add(
        self,
        features: "Float[Tensor, 'window feature z y x']",
        corners: Sequence[Triple],
        flips: Sequence[int] = (),
    ) -> None:
        """Count windows in.

        Args:
            features: What the encoder stage put out.
            corners: Lowest corner of each window; negative where the case was padded.
            flips: Axes (0 = z) along which the case was mirrored before it was cut into windows.
        """
        sizes = triple(features.shape[2:])
        if self._sum is None or self._weight is None:
            self._sum, self._weight = self._empty(features, sizes)
        for one, corner in zip(features.float(), corners, strict=True):
            upright = one.flip([axis + 1 for axis in flips]) if flips else one
            places, shares = self._shares(self._upright(corner, flips), sizes, one.device)
            self._sum[:, *places] += torch.einsum("fzyx,az,by,cx->fabc", upright, *shares)
            covered = [share.sum(dim=1) for share in shares]
            self._weight[places] += torch.einsum("a,b,c->abc", *covered)

    def mean(self) -> "Float[Tensor, 'feature z y x']":
        """The features of the case, float16: they serve to tell patches apart, not to compute."""
        return self.exact().half()

    def exact(self) -> "Float[Tensor, 'feature z y x']":
        """The features of the case, float32."""
        assert self._sum is not None, "a case has at least one window"
        assert self._weight is not None
        return self._sum / self._weight

    def _empty(self, features: "Tensor", sizes: Triple) -> "tuple[Tensor, Tensor]":
        z, y, x = (w / n for w, n in zip(self._window, sizes, strict=True))
        self.cell = (z, y, x)
        grid = [ceil(n / c) for n, c in zip(self._shape, self.cell, strict=True)]
        zeros = torch.zeros((features.shape[1], *grid), device=features.device)
        return zeros, torch.zeros(grid, device=features.device)

    def _upright(self, corner: Triple, flips: Sequence[int]) -> Triple:
        """The corner in the case as it is, from that in the mirrored one."""
        return triple(
            n - a - w if axis in flips else a
            for axis, (n, a, w) in enumerate(zip(self._shape, corner, self._window, strict=True))
        )

    def _shares(
        self, corner: Triple, sizes: Triple, device: torch.device
    ) -> "tuple[tuple[slice, ...], list[Tensor]]":
        """Which grid cells a window touches, and per axis the shares ``(grid, window)``."""
        assert self._weight is not None
        places, shares = [], []
        for axis in range(3):
            first, count = corner[axis] / self.cell[axis], sizes[axis]
            low = max(0, floor(first))
            high = min(self._weight.shape[axis], ceil(first + count))
            grid = torch.arange(low, high, device=device, dtype=torch.float32)[:, None]
            own = first + torch.arange(count, device=device, dtype=torch.float32)
            # What sticks out of the case is padding: the last grid cell ends where the case does.
            end = (grid + 1).clamp(max=self._shape[axis] / self.cell[axis])
            common = torch.minimum(end, own + 1) - torch.maximum(grid, own)
            places.append(slice(low, high))
            shares.append(common.clamp_min_(0))
        return tuple(places), shares
