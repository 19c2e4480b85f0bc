"""Dice of predicted against complete reference labels."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from alsweep.label_codes import IGNORE

if TYPE_CHECKING:
    from alsweep.data.case import Region
    from alsweep.types import LabelMap


_VOXELS_AT_ONCE = 1 << 22
_LABELS = 256


class CaseDice(NamedTuple):
    """Of each target in one case.

    Attributes:
        dice: ``2 TP / (2 TP + FP + FN)``; None where it is in neither label map.
        referenced: Whether the reference holds any voxel of it.
    """

    dice: list[float | None]
    referenced: list[bool]


def case_dice(
    predicted: "LabelMap", reference: "LabelMap", targets: "Sequence[Region]"
) -> CaseDice:
    """Dice of each target in one case.

    Args:
        predicted: Labels, ``(z, y, x)``.
        reference: Labels, ``(z, y, x)``; voxels with the ignore label (255) are left out.
        targets: What is judged: classes, or regions.

    Source: Isensee et al. 2021 (nnU-Net v2, 2.8), ``compute_metrics``.
    """
    # A few planes at a time: counting takes twelve bytes a voxel.
    step = max(1, _VOXELS_AT_ONCE // max(1, predicted[:1].size))
    slabs = [slice(first, first + step) for first in range(0, len(predicted), step)]
    confusion = sum(_confusion(predicted[slab], reference[slab]) for slab in slabs)
    counts = [_counts(np.asarray(confusion), list(target.labels)) for target in targets]
    return CaseDice(
        [2 * both / (own + found) if own + found else None for both, own, found in counts],
        [own > 0 for _, own, _ in counts],
    )


def _confusion(predicted: "LabelMap", reference: "LabelMap") -> np.ndarray:
    """One pass for all targets: entry (i, j) counts voxels of label i that were predicted as j."""
    known = reference != IGNORE
    if not known.all():
        predicted, reference = predicted[known], reference[known]
    pairs = reference.astype(np.int32).ravel() * _LABELS + predicted.ravel()
    return np.bincount(pairs, minlength=_LABELS**2).reshape(_LABELS, _LABELS)


def _counts(confusion: np.ndarray, labels: list[int]) -> tuple[int, int, int]:
    """Voxels of a target that were found, that there are, and that were predicted."""
    both = confusion[np.ix_(labels, labels)].sum()
    return int(both), int(confusion[labels].sum()), int(confusion[:, labels].sum())


def mean_over_cases(
    by_case: Mapping[str, Sequence[float | None]], counted: Sequence[bool]
) -> tuple[float | None, list[float | None]]:
    """Mean over targets of the mean over cases, undefined entries left out.

    nnU-Net's ``foreground_mean`` is the same, but for a target that no case has in its reference:
    there it is NaN as long as none is predicted, and from the first false voxel on the mean falls
    by that target's whole share. Such a target cannot be judged and is left out for good.

    Args:
        by_case: For each case, the Dice (or another value) of each target.
        counted: Whether any case has a voxel of the target in its reference.

    Returns:
        The mean over what is counted, and the mean of each target; None where nothing is defined.
    """
    per_class = [_mean(column) for column in zip(*by_case.values(), strict=True)]
    judged = [value for value, counts in zip(per_class, counted, strict=True) if counts]
    return _mean(judged), per_class


def _mean(values: Sequence[float | None]) -> float | None:
    defined = [value for value in values if value is not None]
    return float(np.mean(defined)) if defined else None
