"""Where a patch lies on the grid of its source, which is the one that people label on."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from alsweep.data.case import Box
from alsweep.data.ingest.resample import Part, coarse_axis, resample_labels_part
from alsweep.geometry import triple

if TYPE_CHECKING:
    from jaxtyping import Float64

    from alsweep.data.case import CaseInfo, Spacing
    from alsweep.geometry import Patch
    from alsweep.types import LabelMap

_LEAST_CONTEXT, _MOST_CONTEXT = 8, 48
"""Voxels round a box, on each side; between them, as many as the box has."""


@dataclass(frozen=True)
class Crop:
    """A patch on the grid of its source, with context round it.

    Attributes:
        info: The case.
        patch: On the resampled grid.
        spacing: Of that grid, ``(z, y, x)``, mm.
    """

    info: CaseInfo
    patch: Patch
    spacing: Spacing

    @cached_property
    def whole_box(self) -> Box:
        """The voxels of the source that the patch touches."""
        crop, shape = self.info.crop, self.info.shape
        low = [
            a + s * n // m
            for a, s, n, m in zip(crop.start, self.patch.start, crop.size, shape, strict=True)
        ]
        high = [
            a - (-s * n // m)
            for a, s, n, m in zip(crop.start, self.patch.stop, crop.size, shape, strict=True)
        ]
        return Box(start=triple(low), size=triple(np.subtract(high, low)))

    @cached_property
    def context(self) -> Box:
        """The voxels of the source that are shown."""
        box = self.whole_box
        margin = np.clip(box.size, _LEAST_CONTEXT, _MOST_CONTEXT)
        low = np.maximum(0, np.subtract(box.start, margin))
        high = np.minimum(self.info.original_shape, np.add(box.start, box.size) + margin)
        return Box(start=triple(low), size=triple(high - low))

    @property
    def box(self) -> Box:
        """What is to be labelled, within what is shown."""
        start = np.subtract(self.whole_box.start, self.context.start)
        return Box(start=triple(start), size=self.whole_box.size)

    @property
    def affine(self) -> Float64[np.ndarray, "4 4"]:
        """Of what is shown: voxel index ``(x, y, z)`` to RAS, mm."""
        affine = np.array(self.info.affine, dtype=np.float64)
        affine[:3, 3] = affine[:3] @ [*self.context.start[::-1], 1]
        return affine

    def to_patch(self, labels: LabelMap) -> LabelMap:
        """Labels of the patch, of labels of the box on the grid of the source.

        As a whole volume is resampled when it is ingested, so that a person who paints the
        reference gives the reference; but at the faces of the box nothing outside of it is known.

        Args:
            labels: Of :attr:`box`, ``(z, y, x)``; unpainted voxels are a label like any other.
        """
        crop = self.info.crop
        part = Part(
            old=crop.size,
            low=triple(np.subtract(self.whole_box.start, crop.start)),
            new=self.info.shape,
            start=self.patch.start,
            size=self.patch.size,
        )
        coarse = coarse_axis(self.info.original_spacing, self.spacing)
        return resample_labels_part(labels, part, coarse)
