"""From probabilities on the resampled grid to labels on the grid of the source."""

from collections.abc import Iterator, Sequence
from math import prod
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import torch
from torch.nn import functional

from alsweep.data.ingest.resample import coarse_axis
from alsweep.geometry import box_slices, intersection, triple
from alsweep.model.outputs import label_map

if TYPE_CHECKING:
    from jaxtyping import Float32, Int64
    from torch import Tensor

    from alsweep.data.case import Box, CaseInfo, Spacing
    from alsweep.query.pool import Prediction
    from alsweep.types import LabelMap, Probs

_VALUES_AT_ONCE = 1 << 24
"""Probabilities on the finer grid that are held at once: 64 MiB."""


class _Axis(NamedTuple):
    """For each voxel of the new grid the two old ones around it, and the share of the second."""

    low: "Int64[Tensor, ' new']"
    high: "Int64[Tensor, ' new']"
    share: "Float32[Tensor, ' new']"

    def part(self, planes: slice) -> "_Axis":
        return _Axis(self.low[planes], self.high[planes], self.share[planes])

    @property
    def between(self) -> slice:
        """The old planes that the new ones are made of; both ascend."""
        return slice(int(self.low[0]), int(self.high[-1]) + 1)

    def less(self, first: int) -> "_Axis":
        """The same where the old planes before ``first`` are not there."""
        return _Axis(self.low - first, self.high - first, self.share)


def original_labels(
    prediction: "Prediction", case: "CaseInfo", spacing: "Spacing", order: Sequence[int]
) -> "LabelMap":
    """The predicted label of each voxel of the source, uint8 ``(z, y, x)``, on the CPU.

    Probabilities are interpolated linearly, along a coarse axis taken from the nearest slice, and
    decided on there; what the crop left out is background. A few planes at a time, so that no more
    than the labels is ever as large as the source.

    Args:
        prediction: On the resampled grid.
        case: Says how that grid lies in the source's.
        spacing: Of the resampled grid ``(z, y, x)``, mm.
        order: As for :func:`alsweep.model.outputs.label_map`.

    Source: nnU-Net v2 (2.8), ``convert_predicted_logits_to_segmentation_with_correct_shape``; there
        of one network's logits, here of the probabilities that an ensemble has on average.
    """
    labels = np.zeros(case.original_shape, dtype=np.uint8)
    inside = labels[case.crop.slices]
    coarse = coarse_axis(spacing, case.original_spacing)
    axes = [
        _axis(old, new, nearest=axis == coarse, device=prediction.device)
        for axis, (old, new) in enumerate(zip(prediction.shape, inside.shape, strict=True))
    ]
    plane = max(inside[0].size, prod(prediction.shape[1:]))
    for planes in _slabs(len(inside), prediction.channels * plane):
        along_z = axes[0].part(planes)
        old = along_z.between
        there = prediction.part(old, slice(None)).mean_probs
        part = _resampled(there, along_z.less(old.start), dim=1)
        if coarse in (1, 2):
            part = _resampled(_resampled(part, axes[1], dim=2), axes[2], dim=3)
        else:
            # The same, six times as fast.
            part = functional.interpolate(part, inside.shape[1:], mode="bilinear")
        inside[planes] = label_map(part, order)
    return labels


def on_source(
    values: "Float32[Tensor, 'channel z y x']", case: "CaseInfo", spacing: "Spacing", box: "Box"
) -> "Float32[np.ndarray, 'channel z y x']":
    """Values in a box on the grid of the source, interpolated as in :func:`original_labels`.

    Args:
        values: On the resampled grid.
        case: Says how that grid lies in the source's.
        spacing: Of the resampled grid ``(z, y, x)``, mm.
        box: In the source; what the crop left out of it is 0.
    """
    found = np.zeros((len(values), *box.size), dtype=np.float32)
    common = intersection(box.start, box.size, case.crop.start, case.crop.size)
    if common is None:
        return found
    start, size = common
    coarse = coarse_axis(spacing, case.original_spacing)
    for axis in range(3):
        old, new = values.shape[1 + axis], case.crop.size[axis]
        first = start[axis] - case.crop.start[axis]
        line = _axis(old, new, nearest=axis == coarse, device=values.device)
        values = _resampled(values, line.part(slice(first, first + size[axis])), dim=1 + axis)
    there = box_slices(triple(np.subtract(start, box.start)), size)
    found[(slice(None), *there)] = values.float().cpu().numpy()
    return found


def _axis(old: int, new: int, *, nearest: bool, device: torch.device) -> _Axis:
    """Outer faces of both grids coincide, not the centres of their voxels."""
    centre = old / new * (np.arange(new) + 0.5) - 0.5
    if nearest:
        low = np.floor(centre + 0.5)
        share = np.zeros(new)
    else:
        low = np.floor(centre)
        share = centre - low
    index = low.astype(np.int64)
    return _Axis(
        torch.from_numpy(index.clip(0, old - 1)).to(device),
        torch.from_numpy((index + 1).clip(0, old - 1)).to(device),
        torch.from_numpy(share.astype(np.float32)).to(device),
    )


def _slabs(planes: int, values: int) -> Iterator[slice]:
    """So many planes at a time, each of so many values, as may be held at once."""
    step = max(1, _VALUES_AT_ONCE // values)
    return (slice(first, first + step) for first in range(0, planes, step))


def _resampled(probs: "Probs", axis: _Axis, dim: int) -> "Probs":
    low = probs.index_select(dim, axis.low).float()
    if not axis.share.any():
        return low
    shape = [-1 if d == dim else 1 for d in range(probs.ndim)]
    return low.lerp_(probs.index_select(dim, axis.high).float(), axis.share.reshape(shape))
