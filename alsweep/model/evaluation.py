"""Dice of predicted against complete reference labels."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from alsweep.label_codes import IGNORE

if TYPE_CHECKING:
    from alsweep.data.case import Region
    from alsweep.types import LabelMap


def case_dice(
    predicted: "LabelMap", reference: "LabelMap", targets: "Sequence[Region]"
) -> list[float | None]:
    """Dice of each target in one case.

    Args:
        predicted: Labels, ``(z, y, x)``.
        reference: Labels, ``(z, y, x)``; voxels with the ignore label (255) are left out.
        targets: What is judged: classes, or regions.

    Returns:
        ``2 TP / (2 TP + FP + FN)`` for each target; None where it is in neither.

    Source: Isensee et al. 2021 (nnU-Net), ``foreground_mean``.
    """
    known = reference != IGNORE
    if not known.all():
        predicted, reference = predicted[known], reference[known]
    named = [label for target in targets for label in target.labels]
    labels = 1 + max([predicted.max(initial=0), reference.max(initial=0), *named])
    # One pass for all targets: entry (i, j) counts voxels of label i that were predicted as j.
    pairs = reference.astype(np.int32).ravel() * labels + predicted.ravel()
    confusion = np.bincount(pairs, minlength=labels * labels).reshape(labels, labels)
    return [_dice(confusion, list(target.labels)) for target in targets]


def _dice(confusion: np.ndarray, own: list[int]) -> float | None:
    sizes = int(confusion[own].sum()) + int(confusion[:, own].sum())
    return 2 * int(confusion[np.ix_(own, own)].sum()) / sizes if sizes else None


def mean_over_cases(
    by_case: Mapping[str, Sequence[float | None]],
) -> tuple[float | None, list[float | None]]:
    """Mean over targets of the mean over cases, undefined entries left out.

    Args:
        by_case: For each case, the Dice (or another value) of each target.

    Returns:
        The mean, and the mean of each target; None where nothing is defined.
    """
    per_class = [_mean(column) for column in zip(*by_case.values(), strict=True)]
    return _mean(per_class), per_class


def _mean(values: Sequence[float | None]) -> float | None:
    defined = [value for value in values if value is not None]
    return float(np.mean(defined)) if defined else None
