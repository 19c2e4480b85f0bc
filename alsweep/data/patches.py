"""Training patches: windows round annotated voxels, found through the annotated boxes."""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass
from functools import cached_property, lru_cache
from itertools import accumulate
from math import floor
from typing import TYPE_CHECKING

import numpy as np

from alsweep.errors import DatasetError
from alsweep.geometry import Patch, box_slices, intersection, triple

if TYPE_CHECKING:
    from collections.abc import Sequence

    from jaxtyping import Bool, Float32, Int64, UInt8

    from alsweep.config.trajectory import CaseSampling, ForegroundPlace, ForegroundSampling
    from alsweep.data.case import Dataset
    from alsweep.data.label_store import PartialLabels
    from alsweep.geometry import Triple
    from alsweep.types import LabelMap

    Batch = tuple[Float32[np.ndarray, "sample channel z y x"], UInt8[np.ndarray, "sample z y x"]]


_OPEN_IMAGES = 256


@dataclass(frozen=True)
class _CaseIndex:
    """The annotated boxes of one case with their class counts."""

    case: str
    patches: tuple[Patch, ...]
    counts: Int64[np.ndarray, "box class"]

    @cached_property
    def foreground(self) -> Int64[np.ndarray, " label"]:
        """Foreground classes that occur in the boxes."""
        return 1 + np.flatnonzero(self.counts[:, 1:].sum(axis=0))

    @cached_property
    def voxels(self) -> int:
        """Annotated voxels of the boxes."""
        return int(self.counts.sum())

    @cached_property
    def tickets(self) -> dict[int | None, list[int]]:
        """Running sum over the boxes of the voxels of a class; under None of all."""
        by_class: dict[int | None, list[int]] = {
            label: np.cumsum(self.counts[:, label]).tolist()
            for label in range(self.counts.shape[1])
        }
        return {None: np.cumsum(self.counts.sum(axis=1)).tolist(), **by_class}

    @cached_property
    def voxels_in(self) -> list[int]:
        """Annotated voxels of each box."""
        counts: list[int] = self.counts.sum(axis=1).tolist()
        return counts

    def fits(
        self, crop: UInt8[np.ndarray, " *axes"], label: int | None
    ) -> Bool[np.ndarray, " *axes"]:
        """Which voxels are of a known class, of ``label`` if given."""
        fits: Bool[np.ndarray, " *axes"]
        fits = crop < self.counts.shape[1] if label is None else crop == label
        return fits

    @cached_property
    def _planes(self) -> dict[tuple[int, int | None], list[int]]:
        return {}

    def planes(self, crop: LabelMap, box: int, label: int | None) -> list[int]:
        """Running sum over the planes of a box of the voxels of a class; under None of all.

        Kept, so that a draw looks through one plane of the box and not through all.
        """
        found = self._planes.get((box, label))
        if found is None:
            fits = np.count_nonzero(self.fits(crop, label), axis=(1, 2))
            found = self._planes[box, label] = np.cumsum(fits).tolist()
        return found


class _WeightedDraw:
    """Cases to draw from."""

    def __init__(self, indices: Sequence[_CaseIndex], case_sampling: CaseSampling) -> None:
        self._indices = indices
        by_volume = case_sampling == "annotated_volume"
        self._tickets = [*accumulate(index.voxels if by_volume else 1 for index in indices)]

    def draw(self, rng: np.random.Generator) -> _CaseIndex:
        return self._indices[bisect_right(self._tickets, rng.integers(self._tickets[-1]))]


class _CaseFirst:
    """A case with foreground, then a class among those annotated in it."""

    def __init__(self, indices: Sequence[_CaseIndex], case_sampling: CaseSampling) -> None:
        self._cases = _WeightedDraw(indices, case_sampling)

    def draw(self, rng: np.random.Generator) -> tuple[_CaseIndex, int]:
        index = self._cases.draw(rng)
        return index, int(index.foreground[rng.integers(len(index.foreground))])


class _ClassFirst:
    """A class among all that are annotated, then a case among those with it."""

    def __init__(self, indices: Sequence[_CaseIndex], case_sampling: CaseSampling) -> None:
        self._classes = sorted({int(label) for index in indices for label in index.foreground})
        self._cases = [
            _WeightedDraw([i for i in indices if label in i.foreground], case_sampling)
            for label in self._classes
        ]

    def draw(self, rng: np.random.Generator) -> tuple[_CaseIndex, int]:
        place = int(rng.integers(len(self._classes)))
        return self._cases[place].draw(rng), self._classes[place]


def _foreground_draw(
    indices: Sequence[_CaseIndex], case_sampling: CaseSampling, order: ForegroundSampling
) -> _CaseFirst | _ClassFirst | None:
    """What forced samples are drawn from; None where no foreground is annotated."""
    having = [index for index in indices if len(index.foreground)]
    if not having:
        return None
    return (_ClassFirst if order == "class_first" else _CaseFirst)(having, case_sampling)


class ImageWindows:
    """Windows of a dataset's images, zero where an image ends."""

    def __init__(self, dataset: Dataset) -> None:
        # Each map keeps a file open, of which a process may have a thousand or so.
        self._image = lru_cache(_OPEN_IMAGES)(lambda case: np.asarray(dataset.image(case)))

    def read(self, target: Float32[np.ndarray, "channel z y x"], case: str, start: Triple) -> None:
        """Fill ``target`` with the window of its size."""
        image = self._image(case)
        window = Patch(case, start, triple(target.shape[1:]))
        if window.inside(image.shape[1:]):
            target[:] = image[(slice(None), *window.slices)]
            return
        target.fill(0)
        common = intersection(start, window.size, (0, 0, 0), triple(image.shape[1:]))
        if common is None:
            return
        low, size = common
        inner = box_slices(triple(np.subtract(low, start)), size)
        target[(slice(None), *inner)] = image[(slice(None), *box_slices(low, size))]


class UnlabelledWindows:
    """Draws windows of the pool's images, annotated or not; there is no label in them.

    Args:
        dataset: Gives the images; cases of its pool are drawn, each equally often.
        window: Size ``(z, y, x)``, voxels.
        count: Windows a draw.
    """

    def __init__(self, dataset: Dataset, window: Triple, count: int) -> None:
        self._dataset = dataset
        self._images = ImageWindows(dataset)
        self.shape = (count, len(dataset.channels), *window)

    def draw(self, rng: np.random.Generator) -> Float32[np.ndarray, "sample channel z y x"]:
        """Windows that are equally likely over all places in their case, where it is the larger."""
        windows = np.empty(self.shape, dtype=np.float32)
        for window in windows:
            case = self._dataset.pool[rng.integers(len(self._dataset.pool))]
            sizes = zip(self.shape[2:], self._dataset.cases[case].shape, strict=True)
            self._images.read(window, case, triple(_anywhere(rng, *each) for each in sizes))
        return windows


class PatchSampler:
    """Draws training patches from the annotated part of some cases; the volumes are never scanned.

    Every sample holds at least one annotated voxel. Cases are drawn among those that can serve,
    uniformly or in proportion to their annotated voxels; then a voxel uniformly among the annotated
    ones of the case (one that lies in two overlapping boxes counts twice). Free labels are seen in
    the windows, but draw none.

    Args:
        dataset: Gives the images.
        labels: What is annotated.
        cases: The cases to draw from; those without annotated voxels are left out.
        patch_size: Training patch ``(z, y, x)``, voxels.
        foreground_share: Share of a batch, in 0..1, that is centred on foreground.
        case_sampling: Whether each case is drawn equally often, or each annotated voxel.
        foreground_sampling: Whether a forced sample's case is drawn before its class, as nnU-Net
            does, or after it, so that a class that few cases hold is drawn as often as others.
        foreground_place: Whether a forced sample's foreground voxel is its middle, or as likely at
            any place in it.
        margin: Voxels ``(z, y, x)`` that are read on either side of each training patch besides.

    Raises:
        DatasetError: No case holds an annotated voxel.

    Source: nnU-Net (Isensee et al. 2021) and nnActive (Lüth et al. 2025). Here the cases of forced
    samples are drawn among those with foreground; the reference falls back to any voxel instead.
    """

    def __init__(
        self,
        dataset: Dataset,
        labels: PartialLabels,
        cases: Sequence[str],
        patch_size: Triple,
        foreground_share: float,
        *,
        case_sampling: CaseSampling = "uniform",
        foreground_sampling: ForegroundSampling = "case_first",
        foreground_place: ForegroundPlace = "centre",
        margin: Triple = (0, 0, 0),
    ) -> None:
        self._margin = margin
        self._dataset = dataset
        self._labels = labels
        self._size = patch_size
        self._share = foreground_share
        self._centred = foreground_place == "centre"
        indices = [_index(labels, case, len(dataset.classes)) for case in sorted(set(cases))]
        annotated = [index for index in indices if index.voxels]
        if not annotated:
            raise DatasetError(
                f"training: none of the {len(cases)} cases holds an annotated voxel; "
                "raise the starting budget"
            )
        self._annotated = _WeightedDraw(annotated, case_sampling)
        self._foreground = _foreground_draw(annotated, case_sampling, foreground_sampling)
        self._images = ImageWindows(dataset)

    def batch(self, rng: np.random.Generator, n: int) -> Batch:
        """Draw ``n`` training patches.

        The first ``round(n * foreground_share)`` hold a foreground voxel, in their middle or
        anywhere, its class drawn uniformly among those annotated in the case, or in all cases and
        before the case; they are moved inside the image, as the windows lie at inference. The
        others hold an annotated voxel of any class; each window inside the image that holds it is
        as likely.

        Args:
            rng: Source of all draws.
            n: Number of patches.

        Returns:
            Images, float32, zero where the image ends, and labels, uint8, IGNORE where not
            annotated; both with the margin.
        """
        mz, my, mx = self._margin
        z, y, x = self._size
        outer = (z + 2 * mz, y + 2 * my, x + 2 * mx)
        images = np.empty((n, len(self._dataset.channels), *outer), dtype=np.float32)
        targets = np.empty((n, *outer), dtype=np.uint8)
        forced = floor(n * self._share + 0.5) if self._foreground else 0
        for i in range(n):
            case, (z, y, x) = self._draw(rng, i < forced)
            start = (z - mz, y - my, x - mx)
            self._images.read(images[i], case, start)
            self._labels.read_window(case, start, targets[i])
        return images, targets

    def _draw(self, rng: np.random.Generator, forced: bool) -> tuple[str, Triple]:
        """Case and lowest corner of one window."""
        if forced and self._foreground:
            index, label = self._foreground.draw(rng)
        else:
            index, label = self._annotated.draw(rng), None
        shape = self._dataset.cases[index.case].shape
        z, y, x = voxel = self._voxel(rng, index, label)
        if label is not None and self._centred:
            dz, dy, dx = (size // 2 for size in self._size)
            return index.case, _inside((z - dz, y - dy, x - dx), self._size, shape)
        axes = zip(voxel, self._size, shape, strict=True)
        return index.case, triple(_start_round(rng, *axis) for axis in axes)

    def _voxel(self, rng: np.random.Generator, index: _CaseIndex, label: int | None) -> Triple:
        """An annotated voxel of a case, of class ``label`` if given: its box, then its place."""
        tickets = index.tickets[label]
        box = bisect_right(tickets, rng.integers(tickets[-1]))
        patch = index.patches[box]
        if label is None and index.voxels_in[box] == patch.voxels:
            return _voxel_at(patch, int(rng.integers(patch.voxels)))
        crop = self._labels.crop(patch)
        planes = index.planes(crop, box, label)
        place = int(rng.integers(planes[-1]))
        z = bisect_right(planes, place)
        within = place - planes[z - 1] if z else place
        inside = np.flatnonzero(index.fits(crop[z], label))[within]
        return _voxel_at(patch, z * crop[z].size + int(inside))


def _voxel_at(patch: Patch, place: int) -> Triple:
    """The voxel of a patch that is the ``place``-th in C order."""
    (z, y, x), (_, height, width) = patch.start, patch.size
    return z + place // (height * width), y + place // width % height, x + place % width


def _index(labels: PartialLabels, case: str, classes: int) -> _CaseIndex:
    patches = labels.boxes(case)
    counts = [np.bincount(labels.crop(p).ravel(), minlength=256)[:classes] for p in patches]
    return _CaseIndex(case, patches, np.array(counts, dtype=np.int64).reshape(-1, classes))


def _start_round(rng: np.random.Generator, voxel: int, size: int, length: int) -> int:
    """A start along one axis, drawn among those whose window holds the voxel and lies inside.

    Windows that were drawn first and moved inside then would mostly lie at the border.
    """
    if size > length:
        return -((size - length) // 2)
    low, high = max(0, voxel - size + 1), min(voxel, length - size)
    return low + int(rng.integers(high - low + 1))


def _anywhere(rng: np.random.Generator, size: int, length: int) -> int:
    """A start along one axis, drawn among all that lie inside; centred where there is none."""
    return int(rng.integers(length - size + 1)) if size <= length else -((size - length) // 2)


def _inside(start: Triple, size: Triple, shape: Triple) -> Triple:
    """Move a window into the image; on an axis where it is larger, centre the image in it."""
    return triple(
        min(max(a, 0), n - s) if s <= n else -((s - n) // 2)
        for a, s, n in zip(start, size, shape, strict=True)
    )
