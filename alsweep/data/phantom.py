"""A synthetic dataset for people without data: a body with organs and small lesions."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
from scipy import ndimage

from alsweep.data.air import air_mask
from alsweep.data.case import Box, Dataset, Source
from alsweep.data.channels import Normalisation
from alsweep.data.ingest.free import free_air as derive
from alsweep.data.ingest.normalise import zscore
from alsweep.data.ingest.splits import draw_validation
from alsweep.data.ingest.writing import (
    DatasetHead,
    PreparedCase,
    new_dataset,
    write_case,
    write_manifest,
)
from alsweep.errors import DatasetError
from alsweep.rng import stream

if TYPE_CHECKING:
    from pathlib import Path

    from jaxtyping import Bool, Float, Float32

    from alsweep.data.case import Part
    from alsweep.geometry import Triple
    from alsweep.types import LabelMap

    Field = Float[np.ndarray, "z y x"]
    Point = Float[np.ndarray, " axis"]
    Mask = Bool[np.ndarray, "z y x"]

CLASSES = ("background", "organ", "lesion")
FEWEST_CASES = 2
FEWEST_CLASSES, MOST_CLASSES = 2, 30
"""Without the background; of more, noise would leave no two apart."""
SMALLEST_SHAPE = 16
NOISE = 0.12
LESION_SHARE = 0.007

_ORGAN, _LESION = 1, 2
_ORGAN_SHARE = 0.03
_FURTHER_SHARE = 0.035
_LARGEST_FURTHER = 0.01
_FURTHER_SIZES = (1.5, 0.5, 1.0)
_FURTHER_INTENSITIES = (0.5, 1.6)
_BODY_RADIUS = 0.9
_REACH = 0.9 * _BODY_RADIUS
_CLUSTER = 0.42
_INTENSITY = {"air": 0.0, "body": 0.35, "organ": 0.65, "lesion": 1.0}
_HEAD = DatasetHead(
    name="phantom",
    classes=CLASSES,
    channels=("intensity",),
    spacing=(1.0, 1.0, 1.0),
    intensities=(None,),
    normalisation=(Normalisation(scheme="zscore"),),
    outputs=len(CLASSES),
)


def write_phantom(
    out: Path,
    *,
    cases: int = 16,
    shape: Triple = (48, 48, 48),
    seed: int = 0,
    classes: int = FEWEST_CLASSES,
    free_air: bool = False,
    noise: float = NOISE,
    lesion_share: float = LESION_SHARE,
    margin: int = 0,
    name: str | None = None,
    on_case: Callable[[int], None] | None = None,
) -> Dataset:
    """Write a phantom Dataset; equal arguments give equal voxels.

    A case does not depend on how many there are. Each holds both foreground classes: one or two
    organs, about 3 % of the voxels together, and two or three bright lesions, about 0.7 %, close
    together so that most random patches miss them. Hollow shells as bright as a lesion, a bias
    field and noise make it less easy. Further classes are an organ each, ``organ_3`` and so on, of
    different sizes and intensities, about 3 % together.

    Args:
        out: The Dataset folder; must not exist.
        cases: Number of cases; a quarter of them is for validation.
        shape: Voxels ``(z, y, x)`` of every case.
        seed: All draws follow from it.
        classes: How many, without the background.
        free_air: Label the air round the bodies of the pool at no cost, as ingest does.
        noise: Standard deviation; a lesion is 1 brighter than air.
        lesion_share: Of a case's voxels, of all its lesions together, on average.
        margin: Voxels of air on each side beside those that surround the body anyway, as round a
            patient in a wide field of view; ``shape`` holds them, all shares are of what is within.
        name: Of the Dataset, which tables and figures show; no part of its fingerprint. Default:
            phantom.
        on_case: Called with the number of finished cases.

    Raises:
        DatasetError: Too few cases, too small a shape, too few or too many classes, or ``out``
            exists.
    """
    if cases < FEWEST_CASES:
        raise DatasetError(
            f"--cases {cases}: a phantom needs at least {FEWEST_CASES}, one of them to validate on"
        )
    _check_room(shape, margin)
    head = _head(classes, name)
    ids = [f"phantom_{index:03d}" for index in range(cases)]
    validation = draw_validation({one: one for one in ids})
    source = Source(
        shape=shape,
        spacing=(1.0, 1.0, 1.0),
        affine=_identity(),
        crop=Box(start=(0, 0, 0), size=shape),
        files={},
    )
    with new_dataset(out) as root:
        infos = []
        for case in ids:
            drawn = stream(seed, "phantom", case)
            image, labels = make_case(
                drawn, shape, classes, noise=noise, lesion_share=lesion_share, margin=margin
            )
            part: Part = "validation" if case in validation else "pool"
            free = _free(image, labels) if free_air and part == "pool" else None
            prepared = PreparedCase(case, part, zscore(image)[None], labels, source, free)
            infos.append(write_case(root, head, prepared))
            if on_case is not None:
                on_case(len(infos))
        write_manifest(root, head, infos)
    return Dataset.open(out)


def _check_room(shape: Triple, margin: int) -> None:
    if margin < 0:
        raise DatasetError(f"--margin {margin}: write 0 or more voxels")
    if min(shape) - 2 * margin < SMALLEST_SHAPE:
        within = f" within a margin of {margin}" if margin else ""
        mend = "write larger numbers" + (", or a smaller margin" if margin else "")
        raise DatasetError(
            f"--shape {' '.join(map(str, shape))}: a lesion needs at least {SMALLEST_SHAPE} voxels "
            f"on each axis{within}; {mend}"
        )


def _head(classes: int, name: str | None) -> DatasetHead:
    if not FEWEST_CLASSES <= classes <= MOST_CLASSES:
        raise DatasetError(
            f"--classes {classes}: a phantom has {FEWEST_CLASSES} to {MOST_CLASSES} classes beside "
            "the background"
        )
    if name is not None and not (name.strip() and name.isprintable()):
        raise DatasetError(f"--name {name!r}: write a name of one line")
    further = (f"organ_{label}" for label in range(len(CLASSES), classes + 1))
    named = _HEAD.name if name is None else name
    return replace(_HEAD, name=named, classes=(*CLASSES, *further), outputs=classes + 1)


def _free(image: Float32[np.ndarray, "z y x"], labels: LabelMap) -> LabelMap | None:
    return derive(air_mask([image], _HEAD.spacing), labels)[1]


def make_case(
    rng: np.random.Generator,
    shape: Triple,
    classes: int = FEWEST_CLASSES,
    *,
    noise: float = NOISE,
    lesion_share: float = LESION_SHARE,
    margin: int = 0,
) -> tuple[Float32[np.ndarray, "z y x"], LabelMap]:
    """Draw one case.

    Returns:
        Intensities before normalisation, and labels.
    """
    z, y, x = shape
    inner = (z - 2 * margin, y - 2 * margin, x - 2 * margin)
    scene = _Scene(rng, inner)
    labels = np.zeros(inner, dtype=np.uint8)
    lesions = scene.cluster(int(rng.integers(2, 4)), lesion_share)
    organs = scene.blobs(int(rng.integers(1, 3)), _ORGAN_SHARE)
    shells = scene.blobs(int(rng.integers(1, 4)), lesion_share * 1.5)
    values = np.where(scene.body, _INTENSITY["body"], _INTENSITY["air"])
    _draw_further(scene, classes - FEWEST_CLASSES, labels, values)
    for blob in organs:
        labels[blob], values[blob] = _ORGAN, _INTENSITY["organ"]
    for blob in lesions:
        labels[blob], values[blob] = _LESION, _INTENSITY["lesion"]
    for blob in shells:
        values[blob & ~ndimage.binary_erosion(blob)] = _INTENSITY["lesion"]
    bias = np.exp(0.1 * _smooth(rng, inner))
    image = np.pad(values * bias, margin) + rng.normal(0.0, noise, shape)
    return image.astype(np.float32), np.pad(labels, margin)


def _draw_further(scene: _Scene, count: int, labels: LabelMap, values: Field) -> None:
    """Draw an organ for each further class; neighbours in intensity differ in size."""
    if count == 0:
        return
    share = min(_LARGEST_FURTHER, _FURTHER_SHARE / count)
    shares = [share * _FURTHER_SIZES[index % len(_FURTHER_SIZES)] for index in range(count)]
    intensities = np.linspace(*_FURTHER_INTENSITIES, count)
    # The largest first: they find no room any more between the others.
    for index in sorted(range(count), key=lambda one: -shares[one]):
        organ = scene.organ(shares[index])
        labels[organ], values[organ] = _LESION + 1 + index, intensities[index]


@dataclass(frozen=True)
class _Ball:
    """A sphere in coordinates where the volume is the cube ``[-1, 1]^3``."""

    centre: Point
    radius: float

    def clear_of(self, other: _Ball) -> bool:
        gap = float(np.linalg.norm(self.centre - other.centre))
        return gap > 1.15 * (self.radius + other.radius)


class _Scene:
    """A body, and the places in it that are still free."""

    def __init__(self, rng: np.random.Generator, shape: Triple) -> None:
        self._rng = rng
        axes = [(np.arange(n) + 0.5) * 2.0 / n - 1.0 for n in shape]
        self._grid = np.stack(np.meshgrid(*axes, indexing="ij"))
        self._taken: list[_Ball] = []
        radii = _BODY_RADIUS * rng.uniform(0.92, 1.08, size=(3, 1, 1, 1))
        distance = np.sqrt(((self._grid / radii) ** 2).sum(axis=0))
        self.body: Mask = distance + 0.03 * _smooth(rng, shape) < 1.0

    def blobs(self, count: int, share: float) -> list[Mask]:
        """Draw ``count`` blobs without contact, anywhere in the body.

        Args:
            count: How many.
            share: Of the volume's voxels, of all blobs together, on average.
        """
        return self._draw(count, share, self._anywhere)

    def organ(self, share: float) -> Mask:
        """Draw a blob anywhere in the body, smaller than asked for where there is no room."""
        ball = self._place(float(np.cbrt(6.0 * share / np.pi)), self._anywhere, tries=1000)
        return self._blob(ball, np.pi * ball.radius**3 / 6.0)

    def cluster(self, count: int, share: float) -> list[Mask]:
        """Draw blobs like :meth:`blobs`, but close together under the surface of the body.

        A random patch then either holds them all or, more often, none.
        """
        corner = self._rng.choice([-1.0, 1.0], size=3) * self._rng.uniform(0.7, 1.3, size=3)
        anchor = 0.68 * corner / np.linalg.norm(corner)

        def near(radius: float) -> Point:
            return np.asarray(anchor + _CLUSTER / _REACH * self._anywhere(radius))

        return self._draw(count, share, near)

    def _draw(self, count: int, share: float, centre: Callable[[float], Point]) -> list[Mask]:
        shares = self._rng.dirichlet(np.full(count, 8.0)) * share * self._rng.uniform(0.75, 1.25)
        balls = [self._place(float(np.cbrt(6.0 * s / np.pi)), centre) for s in shares]
        return [self._blob(ball, s) for ball, s in zip(balls, shares, strict=True)]

    def _place(self, radius: float, centre: Callable[[float], Point], tries: int = 50) -> _Ball:
        """A free place; radii shrink slowly in the search, so that it always ends."""
        while True:
            for _ in range(tries):
                ball = _Ball(centre(radius), radius)
                inside = np.linalg.norm(ball.centre) + radius <= _REACH
                if inside and all(ball.clear_of(other) for other in self._taken):
                    self._taken.append(ball)
                    return ball
            radius *= 0.9

    def _anywhere(self, radius: float) -> Point:
        """A uniformly random centre of a ball inside the body."""
        direction = self._rng.normal(size=3)
        direction /= np.linalg.norm(direction)
        return np.asarray(direction * (_REACH - radius) * np.cbrt(self._rng.uniform()))

    def _blob(self, ball: _Ball, share: float) -> Mask:
        """A bumpy ellipsoid round the ball's centre with exactly its share of the voxels."""
        shape = self.body.shape
        offset = self._grid - ball.centre.reshape(3, 1, 1, 1)
        stretch = self._rng.uniform(0.85, 1.15, size=(3, 1, 1, 1))
        distance = np.sqrt(((offset / stretch) ** 2).sum(axis=0))
        distance *= 1.0 + 0.08 * _smooth(self._rng, (shape[0], shape[1], shape[2]))
        count = max(1, round(share * distance.size))
        edge = np.partition(distance.ravel(), count - 1)[count - 1]
        return np.asarray(distance <= edge)


def _smooth(rng: np.random.Generator, shape: Triple) -> Field:
    """A smooth random field with unit variance at its nodes, a few bumps along each axis."""
    nodes = rng.normal(size=(4, 4, 4))
    zoom = [n / 4 for n in shape]
    field: Field = ndimage.zoom(nodes, zoom, order=3, mode="nearest", grid_mode=True)
    return field


def _identity() -> tuple[
    tuple[float, float, float, float],
    tuple[float, float, float, float],
    tuple[float, float, float, float],
    tuple[float, float, float, float],
]:
    return (1.0, 0.0, 0.0, 0.0), (0.0, 1.0, 0.0, 0.0), (0.0, 0.0, 1.0, 0.0), (0.0, 0.0, 0.0, 1.0)
