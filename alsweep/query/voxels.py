"""The score map of one case, made where it is read, in tiles that stay in a cache."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from alsweep.query.cache import CACHED_VOXELS

if TYPE_CHECKING:
    from jaxtyping import Float
    from torch import Tensor

    from alsweep.query.maps import VoxelMap
    from alsweep.query.pool import Prediction

    Tile = tuple[slice, slice, Iterator[Tensor]]

_PLANES = 16
"""Most planes of a tile on a CPU, so that its rows stay long."""


@dataclass(frozen=True)
class VoxelScores:
    """The score map of one case, made tile by tile when it is read, and never held as a whole.

    Attributes:
        prediction: Of the case.
        voxel_map: Says what a voxel is worth.
        by_class: Whether each foreground class has a channel of its own beside the general one:
            the map times the class's probability.
    """

    prediction: "Prediction"
    voxel_map: "VoxelMap"
    by_class: bool = False

    @property
    def channels(self) -> int:
        """1, or with ``by_class`` one more than there are foreground classes."""
        return 1 + (self.prediction.foreground_channels if self.by_class else 0)

    def tiles(self, begin: int, stop: int) -> "Iterator[Tile]":
        """Yield planes, rows and channels of each tile of the planes ``[begin, stop)``.

        A channel is ``(z, y, x)``; the general one comes first. Read each before the next one.
        """
        _, height, width = self.prediction.shape
        most, long = self._tile(stop - begin, height, width)
        for first in range(begin, stop, most):
            planes = slice(first, min(first + most, stop))
            for row in range(0, height, long):
                rows = slice(row, min(row + long, height))
                tile = self.prediction.part(planes, rows)
                yield planes, rows, self._times_classes(self.voxel_map(tile), tile)

    def _tile(self, planes: int, height: int, width: int) -> tuple[int, int]:
        """Planes and rows of a tile: few enough voxels for a CPU's cache, else all."""
        if self.prediction.device.type != "cpu":
            return max(1, planes), height
        whole = max(1, CACHED_VOXELS // (height * width))
        most = min(planes, max(_PLANES, whole))
        return most, max(1, CACHED_VOXELS // (most * width))

    def _times_classes(self, general: "Tensor", part: "Prediction") -> "Iterator[Tensor]":
        """One channel at a time: all of them would not stay in the cache.

        Foreground is read only once the general channel was.

        The channels of classes are one tensor, which the next one overwrites.
        """
        import torch

        yield general
        if self.by_class:
            product = torch.empty_like(general)
            for probs in part.foreground:
                yield torch.mul(general, probs, out=product)

    def whole(self) -> "Float[Tensor, 'channel z y x']":
        """All channels of the whole case at once."""
        import torch

        general = self.voxel_map(self.prediction)[None]
        if not self.by_class:
            return general
        return torch.cat([general, general * self.prediction.foreground])

    def volumes(self) -> "Iterator[Tensor]":
        """Yield the channels, each of the whole case, ``(z, y, x)``; read each before the next."""
        import torch

        parts = [self.voxel_map(part) for part in self._parts()]
        yield from self._times_classes(torch.cat(parts), self.prediction)

    def foreground(self) -> "Float[Tensor, 'z y x']":
        """Probability of any foreground, of the whole case."""
        import torch

        return torch.cat([part.foreground.sum(dim=0).clamp_max_(1) for part in self._parts()])

    def _parts(self) -> "Iterator[Prediction]":
        """Some planes of the case after the other: no more than are there, or fit a cache."""
        for slab in self.prediction.slabs:
            step = self._planes_at_once(slab)
            for first in range(slab.start, slab.stop, step):
                planes = slice(first, min(first + step, slab.stop))
                yield self.prediction.part(planes, slice(None))

    def _planes_at_once(self, slab: slice) -> int:
        planes: int = slab.stop - slab.start
        if self.prediction.device.type != "cpu":
            return planes
        _, height, width = self.prediction.shape
        return max(1, CACHED_VOXELS // (height * width))
