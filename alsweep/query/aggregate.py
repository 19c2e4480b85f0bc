"""From voxel scores to patch scores."""

from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from math import prod
from typing import TYPE_CHECKING, TypeVar

import numpy as np

from alsweep.geometry import Triple, axis_starts, clip_size, triple
from alsweep.query.parameters import searchable
from alsweep.query.stage import Stage, stage
from alsweep.registry import Registry

if TYPE_CHECKING:
    import torch
    from jaxtyping import Float
    from torch import Tensor

    from alsweep.query.maps import VoxelMap
    from alsweep.query.pool import Prediction
    from alsweep.types import PatchScores

    ChannelScores = Float[Tensor, "channel z_start y_start x_start"]
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
    dtype = _exact(values.device)
    *leading, depth, height, width = values.shape
    size = clip_size(triple(patch_size), (depth, height, width))
    grid = start_grid((depth, height, width), size, stride)
    along_z, along_y, along_x = (
        _window_matrix(starts, s, n, values.device, dtype)
        for starts, s, n in zip(grid, size, (depth, height, width), strict=True)
    )
    planes = values.reshape(-1, height, width)
    means = torch.cat(
        [
            along_y @ (some.to(dtype) @ along_x.T)
            for some in torch.split(planes, _planes_at_once(values))
        ]
    )
    stacked = means.reshape(-1, depth, means.shape[-2] * means.shape[-1])
    means = (along_z @ stacked).reshape(*leading, *map(len, grid))
    return means.numpy() if isinstance(score, np.ndarray) else means


def _exact(device: "torch.device") -> "torch.dtype":
    """Float64 where there is one.

    A constant map then has one value after rounding to float32, as the tie rule needs it.
    """
    import torch

    return torch.float32 if device.type == "mps" else torch.float64


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

    @property
    def voxels(self) -> int:
        """Voxels of one window."""
        return prod(self.size)

    def matrices(self, device: "torch.device") -> "list[Tensor]":
        """For each axis the matrix ``(starts, length)`` whose row i averages the window i."""
        dtype = _exact(device)
        axes = zip(self.grid, self.size, self.shape, strict=True)
        return [_window_matrix(starts, s, n, device, dtype) for starts, s, n in axes]


@dataclass(frozen=True)
class VoxelScores:
    """The score map of one case, made slab by slab when it is read, and never held as a whole.

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
        return 1 + (self.prediction.foreground.shape[0] if self.by_class else 0)

    def slabs(self, begin: int, stop: int) -> "Iterator[tuple[int, Iterator[Tensor]]]":
        """Yield the first plane of each slab in ``[begin, stop)`` and its channels.

        A channel is ``(z, y, x)``; the general one comes first.
        """
        step = _planes_at_once(self.prediction.mean_probs[0])
        for first in range(begin, stop, step):
            yield first, self._channels(self.prediction.planes(first, min(first + step, stop)))

    def _channels(self, slab: "Prediction") -> "Iterator[Tensor]":
        """One channel at a time: all of them would not stay in the cache."""
        general = self.voxel_map(slab)
        yield general
        if self.by_class:
            for probs in slab.foreground:
                yield general * probs

    def volumes(self) -> "Iterator[Tensor]":
        """Yield the channels one by one, each of the whole case, ``(z, y, x)``."""
        import torch

        general = torch.cat(
            [next(channels) for _, channels in self.slabs(0, self.prediction.shape[0])]
        )
        yield general
        if self.by_class:
            for probs in self.prediction.foreground:
                yield general * probs


@dataclass(frozen=True)
class Aggregate(Stage):
    """A stage that turns voxel scores into patch scores."""

    def __call__(self, scores: VoxelScores, windows: Windows) -> "ChannelScores":
        """Score every window in every channel; higher = query first."""
        raise NotImplementedError


AGGREGATES: Registry[type[Aggregate]] = Registry("aggregate")
"""Aggregations by the name that stages use."""


@stage(AGGREGATES, "mean")
@dataclass(frozen=True)
class Mean(Aggregate):
    """Mean over the window, at a cost that does not grow with the window.

    Source: Luth et al. 2025 (nnActive), aggregation.
    """

    def __call__(self, scores: VoxelScores, windows: Windows) -> "ChannelScores":
        """In the unit of the map."""
        import torch

        device = scores.prediction.mean_probs.device
        along_z, *in_plane = windows.matrices(device)
        means = torch.zeros(
            (scores.channels, *map(len, windows.grid)), dtype=along_z.dtype, device=device
        )
        for planes in _blocks(windows):
            begin, stop = planes[0], planes[-1]
            touched = _touched(windows.grid[0], windows.size[0], begin, stop)
            weights = along_z[touched][:, planes[:-1]]
            for total, sums in zip(means, _plane_sums(scores, planes, in_plane), strict=True):
                total[touched] += torch.tensordot(weights, sums, dims=1)
        return means


_PLANES = 16
"""Planes that are averaged along z at once: each addition goes over all windows that touch them."""


def _blocks(windows: Windows) -> list[list[int]]:
    """Cut the planes where a window begins or ends, and group the parts into blocks.

    Returns:
        For each block its cuts, first plane to last plane + 1. All windows hold either all planes
        between two cuts or none, so those may be summed up before anything else is done.
    """
    starts, size = windows.grid[0], windows.size[0]
    cuts = sorted({edge for start in starts for edge in (start, start + size)})
    blocks = [[cuts[0]]]
    for cut in cuts[1:]:
        blocks[-1].append(cut)
        if cut - blocks[-1][0] >= _PLANES and cut != cuts[-1]:
            blocks.append([cut])
    return blocks


def _plane_sums(
    scores: VoxelScores, cuts: list[int], in_plane: "Sequence[Tensor]"
) -> "list[Tensor]":
    """For each channel ``(part, y_start, x_start)``: in-plane means, summed between two cuts."""
    import torch

    along_y, along_x = in_plane
    parts, (begin, stop) = len(cuts) - 1, (cuts[0], cuts[-1])
    alone = parts == stop - begin
    shape = (scores.channels, parts, *scores.prediction.shape[1:])
    sums = torch.zeros((0,) if alone else shape, dtype=along_x.dtype, device=along_x.device)
    part_of = [i for i in range(parts) for _ in range(cuts[i], cuts[i + 1])]
    found: list[list[Tensor]] = [[] for _ in range(scores.channels)]
    for first, channels in scores.slabs(begin, stop):
        for channel, values in enumerate(channels):
            exact = values.to(along_x.dtype)
            if alone:
                found[channel].append(along_y @ (exact @ along_x.T))
            else:
                # One by one: adding with an index is not deterministic on every device.
                for part, plane in zip(part_of[first - begin :], exact, strict=False):
                    sums[channel, part] += plane
    if not alone:
        return [along_y @ (total @ along_x.T) for total in sums]
    return [torch.cat(kept) for kept in found]


def _touched(starts: list[int], size: int, first: int, stop: int) -> slice:
    """Windows along an axis that share a voxel with ``[first, stop)``."""
    return slice(bisect_right(starts, first - size), bisect_left(starts, stop))


@stage(AGGREGATES, "max")
@dataclass(frozen=True)
class Max(Aggregate):
    """Highest score in the window: one doubtful voxel is enough.

    Source: ours; Luth et al. 2025 (nnActive) has the mean alone.
    """

    def __call__(self, scores: VoxelScores, windows: Windows) -> "ChannelScores":
        """In the unit of the map."""
        import torch

        return torch.stack([_box_max(values, windows) for values in scores.volumes()])


def _box_max(values: "Tensor", windows: Windows) -> "Tensor":
    """Maximum of every window; the reach doubles with each step, so log(size) steps an axis."""
    import torch

    for axis, (size, grid) in enumerate(zip(windows.size, windows.grid, strict=True)):
        reach = 1
        while reach < size:
            step = min(reach, size - reach)
            length = values.shape[axis] - step
            values = values.narrow(axis, 0, length).maximum(values.narrow(axis, step, length))
            reach += step
        values = values.index_select(axis, torch.tensor(grid, device=values.device))
    return values


@stage(AGGREGATES, "top_fraction")
@dataclass(frozen=True)
class TopFraction(Aggregate):
    """Mean of the highest scores in the window, a given share of its voxels.

    It is the minimum over t of ``t + mean(max(u - t, 0)) / fraction``, and for each t that is a box
    mean. t runs over 64 levels between the lowest and the highest score of the case, so the result
    lies above the exact mean, by less than one level at most and by far less on smooth maps.

    Source: Rockafellar and Uryasev 2000, conditional value at risk, eq. 4.
    """

    fraction: float = searchable(0.1, low=0.001, high=1.0, log=True, help="share of the voxels")

    def __call__(self, scores: VoxelScores, windows: Windows) -> "ChannelScores":
        """In the unit of the map."""
        import torch

        return torch.stack([self._top_mean(values, windows) for values in scores.volumes()])

    def _top_mean(self, values: "Tensor", windows: Windows) -> "PatchScores":
        import torch

        low, high = values.aminmax()
        bounds = []
        for step in range(_LEVELS):
            # From both ends, so that the last level is the highest score and not nearly so.
            level = low * (1 - step / (_LEVELS - 1)) + high * (step / (_LEVELS - 1))
            excess = box_mean((values - level).clamp_min(0), windows.size, windows.strides)
            bounds.append(level + excess / self.fraction)
        return torch.stack(bounds).amin(dim=0)


_LEVELS = 64


@stage(AGGREGATES, "foreground_normalised")
@dataclass(frozen=True)
class ForegroundNormalised(Aggregate):
    """Sum of the scores over the sum of the predicted foreground probability.

    It asks how uncertain the structures in a window are, however large they are there.

    Source: ours, after the note on aggregation in Luth et al. 2025 (nnActive).
    """

    floor: float = searchable(
        0.01,
        low=1e-6,
        high=1.0,
        log=True,
        help="least foreground share that is divided by; without it, empty windows would win",
    )

    def __call__(self, scores: VoxelScores, windows: Windows) -> "ChannelScores":
        """In the unit of the map, per foreground voxel."""
        foreground = scores.prediction.foreground.sum(dim=0).clamp_max(1)
        share = box_mean(foreground, windows.size, windows.strides)
        scored: Tensor = Mean()(scores, windows) / share.clamp_min(self.floor)
        return scored
