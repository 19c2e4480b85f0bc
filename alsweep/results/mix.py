"""What a query is made of: classes by voxels and by patches."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from alsweep.types import LabelMap


@dataclass(frozen=True)
class ClassMix:
    """Classes in a set of patches; index = label, 0 is background.

    Attributes:
        voxels: Of each class; a voxel in two patches counts twice.
        patches: How many patches hold the class at all.
    """

    voxels: tuple[int, ...]
    patches: tuple[int, ...]

    @property
    def shares(self) -> tuple[float, ...]:
        """Share of each class among the voxels, 0..1; zeros where there is no voxel."""
        total = sum(self.voxels)
        return tuple(count / total if total else 0.0 for count in self.voxels)

    @property
    def foreground_share(self) -> float:
        """Share of voxels that are not background, 0..1."""
        return sum(self.shares[1:])


def class_mix(crops: "Iterable[LabelMap]", classes: int) -> ClassMix:
    """Count the classes of patches.

    Args:
        crops: Labels inside each patch; values from ``classes`` on (not to be labelled) count
            nowhere.
        classes: Number of classes, background included.
    """
    counts = np.zeros((0, classes), dtype=np.int64)
    for crop in crops:
        one = np.bincount(np.asarray(crop).ravel(), minlength=classes)[:classes]
        counts = np.vstack([counts, one])
    voxels, patches = counts.sum(axis=0), (counts > 0).sum(axis=0)
    return ClassMix(tuple(map(int, voxels)), tuple(map(int, patches)))
