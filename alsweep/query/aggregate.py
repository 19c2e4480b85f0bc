"""From voxel scores to patch scores."""

from bisect import bisect_left, bisect_right
from dataclasses import dataclass
from itertools import pairwise
from math import prod
from typing import TYPE_CHECKING

from alsweep.query.cache import CACHED_VOXELS
from alsweep.query.parameters import searchable
from alsweep.query.stage import Stage, stage
from alsweep.query.voxels import VoxelScores
from alsweep.query.windows import Windows, box_mean
from alsweep.registry import Registry

if TYPE_CHECKING:
    from jaxtyping import Float
    from torch import Tensor

    from alsweep.types import PatchScores

    ChannelScores = Float[Tensor, "channel z_start y_start x_start"]


@dataclass(frozen=True)
class Aggregate(Stage):
    """A stage that turns voxel scores into patch scores."""

    def __call__(self, scores: VoxelScores, windows: Windows) -> "ChannelScores":
        """Score every window in every channel.

        Args:
            scores: Of the voxels: :meth:`VoxelScores.whole` is ``(channel, z, y, x)``,
                :meth:`VoxelScores.volumes` gives the channels ``(z, y, x)`` one by one.
            windows: The candidate boxes.

        Returns:
            Scores, ``(channel, z_start, y_start, x_start)`` as in ``windows.grid``; higher = query
            first.
        """
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
        matrices = windows.matrices(scores.prediction.device)
        small = prod(windows.shape) <= CACHED_VOXELS
        sums = (_sums_at_once if small else _sums_by_block)(scores, windows, *matrices)
        return sums.div_(windows.voxels)


def _sums_at_once(
    scores: VoxelScores, windows: Windows, along_z: "Tensor", along_y: "Tensor", along_x: "Tensor"
) -> "ChannelScores":
    """Sum of every window, of a case that a cache holds as a whole."""
    channels = scores.whole().to(along_z.dtype)
    in_z = (along_z @ channels.flatten(2)).view(len(channels), -1, *windows.shape[1:])
    sums: Tensor = along_y @ (in_z @ along_x.T)
    return sums


def _sums_by_block(
    scores: VoxelScores, windows: Windows, along_z: "Tensor", along_y: "Tensor", along_x: "Tensor"
) -> "ChannelScores":
    """Sum of every window, from blocks of planes one after the other."""
    sums = along_z.new_zeros((scores.channels, *map(len, windows.grid)))
    for planes in _blocks(windows):
        touched = _touched(windows.grid[0], windows.size[0], planes[0], planes[-1])
        inside = along_z[touched][:, planes[:-1]]
        parts = _plane_sums(scores, planes, along_y, along_x)
        sums[:, touched] += (inside @ parts.flatten(2)).view(sums[:, touched].shape)
    return sums


_PLANES = 16
"""Least planes that are averaged along z at once: an addition goes over all windows they touch."""


def _blocks(windows: Windows) -> list[list[int]]:
    """Cut the planes where a window begins or ends, and group the parts into blocks.

    Returns:
        For each block its cuts, first plane to last plane + 1. All windows hold either all planes
        between two cuts or none, so those may be summed up before anything else is done.
    """
    cuts = windows.cuts
    most = max(_PLANES, CACHED_VOXELS // prod(windows.shape[1:]))
    blocks = [[cuts[0]]]
    for cut in cuts[1:]:
        blocks[-1].append(cut)
        if cut - blocks[-1][0] >= most and cut != cuts[-1]:
            blocks.append([cut])
    return blocks


def _plane_sums(
    scores: VoxelScores, cuts: list[int], along_y: "Tensor", along_x: "Tensor"
) -> "Float[Tensor, 'channel part y_start x_start']":
    """In-plane sums, summed over the planes between two cuts."""
    parts = len(cuts) - 1
    done = along_x.new_zeros((scores.channels, along_y.shape[1], parts, along_x.shape[0]))
    # Where a window may begin at every plane there is nothing to sum.
    fill = _fill_planes if parts == cuts[-1] - cuts[0] else _fill_parts
    fill(done, scores, cuts, along_x)
    # One product for all parts, which are then brought to the front.
    sums: Tensor = along_y @ done.flatten(2)
    return sums.view(scores.channels, -1, *done.shape[2:]).transpose(1, 2)


def _fill_planes(done: "Tensor", scores: VoxelScores, cuts: list[int], along_x: "Tensor") -> None:
    """Sum along x in each plane; ``done`` is ``(channel, y, plane, x_start)``."""
    begin = cuts[0]
    for planes, rows, channels in scores.tiles(begin, cuts[-1]):
        own = slice(planes.start - begin, planes.stop - begin)
        for place, values in zip(done[:, rows, own], channels, strict=True):
            place.copy_((values.to(done.dtype) @ along_x.T).transpose(0, 1))


def _fill_parts(done: "Tensor", scores: VoxelScores, cuts: list[int], along_x: "Tensor") -> None:
    """Sum along z between two cuts, then along x; ``done`` is ``(channel, y, part, x_start)``."""
    width = along_x.shape[1]
    memory = done.new_empty(scores.channels * done.shape[1] * width)
    for part, (first, last) in enumerate(pairwise(cuts)):
        for _, rows, channels in scores.tiles(first, last):
            # The same few bytes for every tile: they stay in the cache, and one product takes them.
            shape = (scores.channels, rows.stop - rows.start, width)
            in_z = memory[: prod(shape)].view(shape)
            for place, values in zip(in_z, channels, strict=True):
                _sum_planes(values, place)
            done[:, rows, part] += in_z @ along_x.T


def _sum_planes(values: "Tensor", out: "Tensor") -> None:
    """Sum along z: halves as they are for as long as there are two of them, then as ``out``.

    Equal halves add up exactly, so the sums over a constant map have no rounding in them, however
    many planes there are; and most additions are of the quicker kind.
    """
    import torch

    while not values.shape[0] % 2:
        half = values.shape[0] // 2
        values = values[:half] + values[half:]
    if values.shape[0] == 1:
        out.copy_(values[0])
    else:
        torch.sum(values, 0, dtype=out.dtype, out=out)


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
        share = box_mean(scores.foreground(), windows.size, windows.strides)
        scored: Tensor = Mean()(scores, windows) / share.clamp_min(self.floor)
        return scored
