"""What the networks said where patches were queried: labels and scores, slice by slice."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from alsweep.geometry import Patch, by_case

if TYPE_CHECKING:
    from alsweep.types import LabelMap

Slices = tuple[NDArray[Any], NDArray[Any], NDArray[Any]]
"""Through the centre of a patch, across z, y and x."""

Predict = Callable[[str], "tuple[LabelMap, NDArray[np.floating[Any]]]"]
"""Predicted labels and voxel scores of a case, both ``(z, y, x)``."""


@dataclass(frozen=True)
class View:
    """The networks' answer on the slices through one patch.

    Attributes:
        labels: Predicted class ids.
        scores: Voxel scores; higher = queried first.
        low: Lowest score of the case.
        high: A score that only one voxel in a thousand of the case exceeds.
    """

    labels: Slices
    scores: Slices
    low: float
    high: float


@dataclass(frozen=True)
class Seen:
    """Views by patch, and what the scores are.

    Attributes:
        score: Name of the voxel score.
        views: One for each patch asked for.
    """

    score: str
    views: Mapping[Patch, View]


def look(patches: Iterable[Patch], predict: Predict, score: str) -> Seen:
    """Ask for each case once, and keep no more of it than the slices through its patches.

    Args:
        patches: Where to look.
        predict: The networks.
        score: Name of the voxel score.
    """
    views = {}
    for case, own in by_case(patches).items():
        labels, scores = predict(case)
        low, high = float(scores.min()), float(np.quantile(scores, 0.999))
        for patch in own:
            views[patch] = View(_slices(labels, patch), _slices(scores, patch), low, high)
    return Seen(score, views)


def _slices(volume: NDArray[Any], patch: Patch) -> Slices:
    # Copied, so that a slice does not keep its whole volume alive.
    z, y, x = (np.take(volume, place, axis=axis).copy() for axis, place in enumerate(centre(patch)))
    return z, y, x


def centre(patch: Patch) -> tuple[int, int, int]:
    """The voxel in the middle of a patch."""
    z, y, x = (start + size // 2 for start, size in zip(patch.start, patch.size, strict=True))
    return z, y, x
