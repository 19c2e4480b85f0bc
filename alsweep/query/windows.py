"""The candidate boxes of a case, and the mean over each of them."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from math import prod
from typing import TYPE_CHECKING, TypeVar

import numpy as np

from alsweep.geometry import Triple, axis_starts, clip_size, triple
from alsweep.query.cache import planes_at_once

if TYPE_CHECKING:
    import torch
    from torch import Tensor

    Array = TypeVar("Array", np.ndarray, Tensor)


def strides_of(stride: int | Sequence[int]) -> Triple:
    """Stride per axis; an int counts for all three."""
    return (stride, stride, stride) if isinstance(stride, int) else triple(stride)


def start_grid(shape: Triple, patch_size: Triple, stride: int | Sequence[int]) -> list[list[int]]:
    """Starts per axis: the multiples of ``stride`` and the last valid start (methods 4)."""
    size = clip_size(patch_size, shape)
    return [axis_starts(n, s, g) for n, s, g in zip(shape, size, strides_of(stride), strict=True)]


def box_mean(score: "Array", patch_size: Triple, stride: int | Sequence[int] = 1) -> "Array":
    """Mean of ``score`` over every candidate box, at a cost that does not grow with the box.

    Args:
        score: Voxel scores, ``(..., z, y, x)``, a numpy array or a tensor on any device.
        patch_size: ``(z, y, x)`` in voxels; cut to the volume, axis by axis.
        stride: Voxels between starts, an int or ``(z, y, x)``; the last valid start ``S - P``
            always counts.

    Returns:
        Means, ``(..., z_start, y_start, x_start)``, float64 (float32 on a device without it), same
        kind as ``score``.

    Source: Luth et al. 2025 (nnActive), aggregation; as three banded matrix products instead of a
    convolution.
    """
    import torch

    values = torch.as_tensor(score)
    windows = Windows(triple(values.shape[-3:]), triple(patch_size), strides_of(stride))
    along_z, along_y, along_x = windows.matrices(values.device)
    planes = values.reshape(-1, *windows.shape[1:])
    sums = torch.cat(
        [
            along_y @ (some.to(along_x.dtype) @ along_x.T)
            for some in torch.split(planes, planes_at_once(planes))
        ]
    )
    stacked = sums.reshape(-1, windows.shape[0], sums.shape[-2] * sums.shape[-1])
    grid = map(len, windows.grid)
    means = (along_z @ stacked).reshape(*values.shape[:-3], *grid) / windows.voxels
    return means.numpy() if isinstance(score, np.ndarray) else means


def _exact(device: "torch.device") -> "torch.dtype":
    """Float64 where there is one.

    A constant map then has one value after rounding to float32, as the tie rule needs it.
    """
    import torch

    return torch.float32 if device.type == "mps" else torch.float64


@lru_cache(maxsize=64)
def _window_matrix(length: int, size: int, stride: int, device: "torch.device") -> "Tensor":
    """Matrix ``(starts, length)`` whose row i adds up the window at start i.

    Its ones, and a division at the very end, keep the sums over a constant float32 map exact in
    float64, in whatever order they are added up.
    """
    import torch

    first, voxel = np.array(axis_starts(length, size, stride))[:, None], np.arange(length)
    inside = (voxel >= first) & (voxel < first + size)
    return torch.from_numpy(inside).to(device, _exact(device))


@dataclass(frozen=True)
class Windows:
    """All candidate boxes of one case.

    Attributes:
        shape: Voxels of the case, ``(z, y, x)``.
        patch_size: Before it is clipped to the case.
        strides: Voxels between starts, per axis.
    """

    shape: Triple
    patch_size: Triple
    strides: Triple

    @cached_property
    def size(self) -> Triple:
        """The patch, cut to the case."""
        return clip_size(self.patch_size, self.shape)

    @cached_property
    def grid(self) -> list[list[int]]:
        """Starts per axis; the last valid one always counts."""
        return start_grid(self.shape, self.size, self.strides)

    @cached_property
    def cuts(self) -> list[int]:
        """Planes where a window begins or ends along z."""
        return sorted({edge for start in self.grid[0] for edge in (start, start + self.size[0])})

    @property
    def voxels(self) -> int:
        """Voxels of one window."""
        return prod(self.size)

    def matrices(self, device: "torch.device") -> "list[Tensor]":
        """For each axis the matrix ``(starts, length)`` whose row i adds up the window i."""
        axes = zip(self.shape, self.size, self.strides, strict=True)
        return [_window_matrix(*axis, device) for axis in axes]
