"""From voxel scores to patch scores."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, TypeVar

import numpy as np

from alsweep.geometry import Triple, axis_starts, clip_size, triple

if TYPE_CHECKING:
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
    dtype = torch.float32 if values.device.type == "mps" else torch.float64
    shape = triple(values.shape[-3:])
    size = clip_size(triple(patch_size), shape)
    grid = start_grid(shape, size, stride)
    means = values.to(dtype)
    # The axis that shrinks most comes first, so that the later products are small.
    for axis in sorted(range(3), key=lambda a: len(grid[a]) / shape[a]):
        window = _window_matrix(grid[axis], size[axis], shape[axis], means)
        means = torch.movedim(torch.movedim(means, axis - 3, -1) @ window, -1, axis - 3)
    return means.numpy() if isinstance(score, np.ndarray) else means


def _window_matrix(starts: list[int], size: int, length: int, like: "Tensor") -> "Tensor":
    """Matrix ``(length, starts)`` whose column i averages the window at start i."""
    import torch

    first = torch.tensor(starts, device=like.device)
    voxel = torch.arange(length, device=like.device)[:, None]
    return ((voxel >= first) & (voxel < first + size)).to(like.dtype) / size
