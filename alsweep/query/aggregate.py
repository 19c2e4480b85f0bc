"""From voxel scores to patch scores."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, TypeVar

import numpy as np

from alsweep.geometry import Triple, axis_starts, clip_size, triple

if TYPE_CHECKING:
    import torch
    from torch import Tensor

    Array = TypeVar("Array", np.ndarray, Tensor)


_CACHED_VALUES = 1 << 17
"""Values that are worked on at once on a CPU: as float64 they fill half of a usual L2 cache."""


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
    # Float64, so that a constant map has one value after rounding to float32: ties depend on it.
    dtype = torch.float32 if values.device.type == "mps" else torch.float64
    *leading, depth, height, width = values.shape
    size = clip_size(triple(patch_size), (depth, height, width))
    grid = start_grid((depth, height, width), size, stride)
    along_z, along_y, along_x = (
        _window_matrix(starts, s, n, values.device, dtype)
        for starts, s, n in zip(grid, size, (depth, height, width), strict=True)
    )
    planes = values.reshape(-1, height, width)
    parts = torch.split(planes, _planes_at_once(values))
    means = torch.cat([along_y @ (some.to(dtype) @ along_x.T) for some in parts])
    stacked = means.reshape(-1, depth, means.shape[-2] * means.shape[-1])
    means = (along_z @ stacked).reshape(*leading, *map(len, grid))
    return means.numpy() if isinstance(score, np.ndarray) else means


def _planes_at_once(values: "Tensor") -> int:
    """Planes whose float64 copy stays in a CPU's cache; all of them elsewhere."""
    if values.device.type != "cpu":
        return max(1, values.shape[:-2].numel())
    return max(1, _CACHED_VALUES // values.shape[-2:].numel())


def _window_matrix(
    starts: list[int], size: int, length: int, device: "torch.device", dtype: "torch.dtype"
) -> "Tensor":
    """Matrix ``(starts, length)`` whose row i averages the window at start i."""
    import torch

    first = torch.tensor(starts, device=device)[:, None]
    voxel = torch.arange(length, device=device)
    return ((voxel >= first) & (voxel < first + size)).to(dtype) / size
