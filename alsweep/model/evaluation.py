"""Dice of predicted against complete reference labels."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from alsweep.types import LabelMap


def case_dice(predicted: "LabelMap", reference: "LabelMap", classes: int) -> list[float | None]:
    """Dice of each foreground class in one case.

    Args:
        predicted: Class ids, ``(z, y, x)``.
        reference: Class ids, ``(z, y, x)``; voxels with the ignore label (255) are left out.
        classes: Number of classes, background included.

    Returns:
        ``2 TP / (2 TP + FP + FN)`` for classes 1, 2, ...; None where a class is in neither.

    Source: Isensee et al. 2021 (nnU-Net), ``foreground_mean``.
    """
    # One pass for all classes: entry (i, j) counts voxels of class i that were predicted as j.
    if reference.max(initial=0) >= classes:
        known = reference < classes
        predicted, reference = predicted[known], reference[known]
    pairs = reference.astype(np.int32).ravel() * classes + predicted.ravel()
    confusion = np.bincount(pairs, minlength=classes * classes).reshape(classes, classes)
    hits, sizes = np.diag(confusion), confusion.sum(axis=0) + confusion.sum(axis=1)
    return [2 * int(hits[c]) / int(sizes[c]) if sizes[c] else None for c in range(1, classes)]


def mean_dice(
    by_case: Mapping[str, Sequence[float | None]],
) -> tuple[float | None, list[float | None]]:
    """Mean over classes of the mean over cases, undefined entries left out.

    Args:
        by_case: For each case, the Dice of each foreground class.

    Returns:
        The mean Dice, and the mean of each class; None where nothing is defined.
    """
    per_class = [_mean(column) for column in zip(*by_case.values(), strict=True)]
    return _mean(per_class), per_class


def _mean(values: Sequence[float | None]) -> float | None:
    defined = [value for value in values if value is not None]
    return float(np.mean(defined)) if defined else None
