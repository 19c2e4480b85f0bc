"""An annotator who errs at a stated rate: outlines are off, pieces overlooked or miscalled."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from math import ceil
from typing import TYPE_CHECKING

import numpy as np
from scipy import ndimage

from alsweep.config.base import fingerprint
from alsweep.data.annotator import ReferenceLabels
from alsweep.geometry import box_slices, triple
from alsweep.label_codes import IGNORE
from alsweep.rng import stream

if TYPE_CHECKING:
    from collections.abc import Iterable

    from jaxtyping import Float64

    from alsweep.config.annotator import AnnotatorConfig
    from alsweep.data.case import Dataset
    from alsweep.geometry import Patch, Triple
    from alsweep.types import LabelMap

_CORNERS = ndimage.generate_binary_structure(3, 3)
_FARTHEST = 3
"""Standard deviations by which an outline may be off."""

_SMOOTH = 2.0
"""Voxels over which neighbouring parts of an outline are off together."""

_KEPT = 4096
"""Patches whose labels are remembered, since each training asks for all of them again."""


@dataclass(frozen=True)
class Errors:
    """How often and how far somebody errs: see the fields of ``AnnotatorConfig``."""

    boundary: float
    missed: float
    mistaken: float

    @classmethod
    def of(cls, config: AnnotatorConfig) -> Errors:
        """Those of a config."""
        return cls(config.boundary, config.missed, config.mistaken)

    @property
    def margin(self) -> int:
        """Voxels round a patch that its labels may come from."""
        return ceil(_FARTHEST * self.boundary)


class NoisyOracle:
    """An annotator who looks the labels up and then errs.

    What is said of a patch follows from the seed and the patch alone: whoever asks, in whatever
    order, and after any crash gets the same, and strategies with one seed ask the same person.
    Voxels that nobody labelled in the reference stay so.

    Args:
        dataset: With reference labels.
        errors: How often and how far.
        seed: Of the trajectory.
    """

    def __init__(self, dataset: Dataset, errors: Errors, seed: int) -> None:
        self._reference = ReferenceLabels(dataset)
        self._dataset, self._errors, self._seed = dataset, errors, seed
        self._said = lru_cache(_KEPT)(self._say)

    def __reduce__(self) -> tuple[type[NoisyOracle], tuple[Dataset, Errors, int]]:
        return NoisyOracle, (self._dataset, self._errors, self._seed)

    def reveal(self, case: str, start: Triple, size: Triple) -> LabelMap:
        """Labels inside one box, read-only."""
        return self._said(case, start, size)

    def missing(self, patches: Iterable[Patch]) -> tuple[Patch, ...]:
        """None: it has an answer to everything."""
        return ()

    def digest(self, patches: Iterable[Patch]) -> str | None:
        """Hash of what the errors follow from; the patches are known to whoever asks."""
        errors = self._errors
        rates = [errors.boundary, errors.missed, errors.mistaken]
        return fingerprint(["noisy_oracle", *rates, self._seed])

    def _say(self, case: str, start: Triple, size: Triple) -> LabelMap:
        volume, margin = self._reference.volume(case), self._errors.margin
        low = triple(max(0, a - margin) for a in start)
        high = triple(
            min(n, a + s + margin) for a, s, n in zip(start, size, volume.shape, strict=True)
        )
        around = np.array(volume[tuple(map(slice, low, high))])
        inner = box_slices(triple(np.subtract(start, low)), size)
        rng = stream(self._seed, "annotator", case, *start, *size)
        labels = with_errors(around, self._errors, len(self._dataset.classes), rng)[inner]
        labels.flags.writeable = False
        return labels


def with_errors(
    labels: LabelMap, errors: Errors, classes: int, rng: np.random.Generator
) -> LabelMap:
    """The labels as somebody paints them who errs.

    Args:
        labels: The truth, ``(z, y, x)``; IGNORE stays where it is.
        errors: How often and how far.
        classes: Of the dataset, background included.
        rng: For all that is drawn.
    """
    painted = _recalled(labels, errors, classes, rng)
    if errors.boundary:
        moved = _displaced(painted, errors.boundary, rng)
        painted = np.where(moved == IGNORE, painted, moved)
    return np.where(labels == IGNORE, labels, painted)


def _recalled(labels: LabelMap, errors: Errors, classes: int, rng: np.random.Generator) -> LabelMap:
    """Piece by piece: overlooked, called another class, or as it is."""
    painted = labels.copy()
    for label in range(1, classes):
        pieces, count = ndimage.label(labels == label, _CORNERS)
        others = [c for c in range(1, classes) if c != label] or [label]
        overlooked = rng.random(count) < errors.missed
        mistaken = rng.random(count) < errors.mistaken
        called = np.where(mistaken, rng.choice(others, count), label)
        codes = np.concatenate([[0], np.where(overlooked, 0, called)]).astype(np.uint8)
        painted = np.where(pieces > 0, codes[pieces], painted)
    return painted


def _displaced(labels: LabelMap, boundary: float, rng: np.random.Generator) -> LabelMap:
    """Each voxel takes the label of a place that lies a smooth, random way off."""
    grid = np.indices(labels.shape, dtype=np.float64)
    for axis in range(3):
        grid[axis] += boundary * _smooth_noise(labels.shape, rng)
    nearest = np.rint(grid).astype(np.int64)
    z, y, x = (np.clip(nearest[a], 0, n - 1) for a, n in enumerate(labels.shape))
    moved: LabelMap = labels[z, y, x]
    return moved


def _smooth_noise(shape: tuple[int, ...], rng: np.random.Generator) -> Float64[np.ndarray, "z y x"]:
    """A field of mean 0 and standard deviation 1 over many draws, cut off where it is too far."""
    pad = 4 * ceil(_SMOOTH)
    white = rng.standard_normal([n + 2 * pad for n in shape])
    line = ndimage.gaussian_filter1d(np.eye(1, 2 * pad + 1, pad)[0], _SMOOTH)
    smooth = ndimage.gaussian_filter(white, _SMOOTH)[tuple(slice(pad, pad + n) for n in shape)]
    field: Float64[np.ndarray, "z y x"] = np.clip(
        smooth / np.sum(line**2) ** 1.5, -_FARTHEST, _FARTHEST
    )
    return field
