"""How far predicted surfaces are from those of complete reference labels, in mm."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from monai.metrics import compute_hausdorff_distance, compute_surface_dice

from alsweep.label_codes import IGNORE

if TYPE_CHECKING:
    from alsweep.data.case import Region, Spacing
    from alsweep.types import LabelMap

_PERCENTILE = 95


@dataclass(frozen=True)
class SurfaceDistance:
    """Of one target in one case; None where undefined.

    Attributes:
        surface_dice: Share of both surfaces within the tolerance of the other, in 0..1; 0 where the
            target is in one of the two label maps alone, None where it is in neither.
        hd95: The larger of the two 95th percentiles of the distances from one surface to the other,
            mm; None unless the target is in both, since there is nothing to measure to.
    """

    surface_dice: float | None
    hd95: float | None


def case_surfaces(
    predicted: "LabelMap",
    reference: "LabelMap",
    targets: "Sequence[Region]",
    spacing: "Spacing",
    tolerance_mm: float,
) -> list[SurfaceDistance]:
    """Surface distances of each target in one case.

    Args:
        predicted: Labels, ``(z, y, x)``.
        reference: Labels, ``(z, y, x)``; voxels with the ignore label (255) are background in both.
        targets: What is judged: classes, or regions.
        spacing: Voxel size ``(z, y, x)``, mm.
        tolerance_mm: Distances up to this count as none for the surface Dice.

    Source: Nikolov et al. 2021, arXiv:1809.04430, surface Dice; MONAI's, of voxel faces' centres.
    """
    known = np.asarray(reference) != IGNORE
    found = []
    for target in targets:
        masks = [np.isin(labels, target.labels) & known for labels in (predicted, reference)]
        found.append(_distance(masks, spacing, tolerance_mm))
    return found


def _distance(
    masks: Sequence[np.ndarray], spacing: "Spacing", tolerance_mm: float
) -> SurfaceDistance:
    there = [bool(mask.any()) for mask in masks]
    if not all(there):
        return SurfaceDistance(0.0 if any(there) else None, None)
    pair = [torch.from_numpy(mask[None, None]) for mask in masks]
    # A mask has no background channel to be left out.
    how = {"include_background": True, "spacing": spacing}
    dice = compute_surface_dice(*pair, [tolerance_mm], **how)
    far = compute_hausdorff_distance(*pair, percentile=_PERCENTILE, **how)
    return SurfaceDistance(float(dice), float(far))
