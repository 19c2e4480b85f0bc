"""Starts without labels and without a network: from images alone, for whoever has no more yet."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from alsweep.geometry import Patch, QueriedPatch, Triple
from alsweep.otsu import otsu
from alsweep.query.base import Pool, Request, Strategy, Streams, searchable, strategy
from alsweep.query.candidates import Candidate, CaseLimit
from alsweep.query.clusters import (
    nearest_to_centres,
    representative_uncertain,
    standardised,
    typical,
)
from alsweep.query.features import described_by, features_named
from alsweep.query.placement import Placer
from alsweep.query.pool import PoolCase
from alsweep.query.proposing import RandomTiling
from alsweep.query.room import space_of
from alsweep.query.select.clustered import one_of_each

if TYPE_CHECKING:
    from alsweep.types import Volume

_FACTOR = 4
_MOST = 5000
"""Tiles that kernel k-means is asked about, drawn at random: it compares each with each."""

_BINS = 64

_CENTRES = 20_000
"""Voxels of a body that patches may be centred on, drawn for each case."""


def _features() -> Any:
    return searchable(
        "texture",
        help="intensity, texture, pretrained, or the name of an entry point alsweep.features",
    )


@dataclass(frozen=True)
class OfImages(Strategy):
    """One patch of each cluster of the tiles of all cases; which one is said by the subclass."""

    reads_loops: ClassVar[bool] = False

    features: str = _features()

    @property
    def needs(self) -> tuple[str, ...]:
        """What the features read; where they are unknown, that is a StrategyError."""
        return features_named(self.features).needs

    def query(self, pool: Pool, request: Request, rng: Streams) -> list[QueriedPatch]:
        """Choose among random tiles, in the order of the clusters; there are no scores."""
        described = features_named(self.features)
        tiles: list[Patch] = []
        rows: list[np.ndarray] = []
        for case in pool.cases:
            own = tiles_of(case, request, rng)
            if own:
                found = described_by(described, pool, case.case, own)
                tiles += own
                rows += list(self.measured(found, pool, own))
        if not tiles:
            return []
        candidates = [Candidate(tile, 0.0) for tile in tiles]
        clusters = self.clusters(np.array(rows), request.patches, rng("clusters"))
        chosen = one_of_each(clusters, candidates, request.patches, CaseLimit(request.per_case))
        return [QueriedPatch(candidate.patch, None) for candidate in chosen]

    def measured(self, features: np.ndarray, pool: Pool, tiles: Sequence[Patch]) -> np.ndarray:
        """What is kept of the tiles of one case, ``(tile, feature)``."""
        return features

    def clusters(
        self, rows: np.ndarray, k: int, rng: np.random.Generator
    ) -> Iterable[Sequence[int]]:
        """Clusters of tiles, those to be chosen first in front.

        Args:
            rows: What was kept of all tiles, ``(tile, feature)``.
            k: Most clusters.
            rng: For all draws.
        """
        raise NotImplementedError


def tiles_of(case: PoolCase, request: Request, rng: Streams) -> list[Patch]:
    """Tiles of a case at random places, beside what is taken; they begin at quarters of a patch."""
    z, y, x = (max(1, size // 4) for size in request.patch_size)
    coarse: Triple = (z, y, x)
    space = space_of(case, replace(request, strides=coarse))
    level = np.zeros([len(starts) for starts in space.windows.grid], dtype=np.float32)
    boxes = RandomTiling()(level, space, _FACTOR * request.per_case, rng("tiles", case.case))
    return [Patch(case.case, box.start, box.size) for box in boxes]


@strategy("kmeans_start")
@dataclass(frozen=True)
class KMeansStart(OfImages):
    """k-means on the features of random tiles; of each cluster the tile nearest to its centre.

    Adapted: tiles of volumes, and features of intensities unless ``pretrained`` are asked for; the
    original's are whole images, and features of a network trained without labels.

    Source: Liu et al. 2023, arXiv:2307.12004 (COLosSAL), k-means as a cold start.
    """

    def clusters(
        self, rows: np.ndarray, k: int, rng: np.random.Generator
    ) -> Iterable[Sequence[int]]:
        """By k-means, the nearest to the centre first."""
        return nearest_to_centres(standardised(rows), k, rng)


@strategy("typiclust_start")
@dataclass(frozen=True)
class TypiclustStart(OfImages):
    """k-means on the features of random tiles; of each cluster the most typical tile.

    Typical is who has near neighbours: one over the mean distance to the 20 nearest of the cluster.

    Adapted: tiles of volumes, and features of intensities unless ``pretrained`` are asked for; the
    original's are natural images, with features of a network trained without labels.

    Source: Hacohen et al. 2022, arXiv:2202.02794 (TypiClust).
    """

    def clusters(
        self, rows: np.ndarray, k: int, rng: np.random.Generator
    ) -> Iterable[Sequence[int]]:
        """By k-means, the most typical first."""
        return typical(standardised(rows), k, rng)


@strategy("urds_start")
@dataclass(frozen=True)
class UrdsStart(OfImages):
    """Kernel k-means on random tiles; of each cluster one that is typical and uncertain.

    Of the three tiles of the least mean cosine distance inside the cluster it takes the most
    uncertain.

    Adapted: uncertainty is the entropy of a tile's intensities, since nothing is trained yet; the
    original's is of an ensemble trained without labels, and its cases are whole volumes. Of more
    than 5,000 tiles so many are drawn.

    Source: CSAL-3D (MICCAI 2025), URDS, as in its code.
    """

    typical: int = searchable(
        3, low=1, high=100, help="typical tiles of a cluster, of which the most uncertain is taken"
    )

    @property
    def needs(self) -> tuple[str, ...]:
        """And images, for the entropy."""
        return tuple(dict.fromkeys(("images", *super().needs)))

    def measured(self, features: np.ndarray, pool: Pool, tiles: Sequence[Patch]) -> np.ndarray:
        """The features, and the entropy in the last column."""
        image = pool.image(tiles[0].case)
        return np.column_stack([features, intensity_entropy(image, tiles)])

    def clusters(
        self, rows: np.ndarray, k: int, rng: np.random.Generator
    ) -> Iterable[Sequence[int]]:
        """By kernel k-means, typical and uncertain first."""
        drawn = rng.permutation(len(rows))[:_MOST]
        points, uncertainty = standardised(rows[drawn, :-1]), rows[drawn, -1]
        found = representative_uncertain(points, uncertainty, k, self.typical, rng)
        return ([int(drawn[i]) for i in cluster] for cluster in found)


def intensity_entropy(image: "Volume", tiles: Sequence[Patch]) -> np.ndarray:
    """Entropy of the histogram of intensities in each tile, nats, mean over channels, ``(tile,)``.

    All tiles of a case share 64 bins between the 0.5 % and 99.5 % quantiles of the case.
    """
    total = np.zeros(len(tiles))
    for channel in image:
        low, high = (float(edge) for edge in np.quantile(channel, (0.005, 0.995)))
        for index, tile in enumerate(tiles):
            scaled = (channel[tile.slices] - low) / max(high - low, 1e-12) * _BINS
            counts = np.bincount(np.clip(scaled, 0, _BINS - 1).astype(np.int64).ravel())
            shares = counts[counts > 0] / counts.sum()
            total[index] -= float((shares * np.log(shares)).sum())
    return total / max(1, len(image))


@strategy("random_body")
@dataclass(frozen=True)
class RandomBody(Strategy):
    """Patches at random places in the body: centred on a voxel brighter than what is round it.

    The body is what exceeds the threshold that parts a case's intensities best in two, of its first
    channel; a case without contrast is body throughout. No label is asked, unlike for free labels
    of air, which an ingest makes.

    Source: Otsu 1979, doi:10.1109/TSMC.1979.4310076, in place of a foreground that nobody labelled.
    """

    needs: ClassVar[tuple[str, ...]] = ("images",)
    reads_loops: ClassVar[bool] = False

    def query(self, pool: Pool, request: Request, rng: Streams) -> list[QueriedPatch]:
        """Place the patches; the order is that of placement, and there are no scores."""

        def body(case: str) -> np.ndarray:
            return _some_of(body_mask(pool.image(case)), rng("body", case))

        placer = Placer(pool.cases, ("background", "body"), body, request)
        placer.fill(request.patches, ("seg",), rng("placement"))
        return [QueriedPatch(patch, None) for patch in placer.placed[: request.patches]]


def _some_of(mask: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Voxels drawn from a mask, as labels of one class: all of them would be kept for each case."""
    drawn = rng.choice(np.flatnonzero(mask), size=min(_CENTRES, int(mask.sum())), replace=False)
    labels = np.zeros(mask.shape, dtype=np.uint8)
    labels.flat[drawn] = 1
    return labels


def body_mask(image: "Volume") -> np.ndarray:
    """Voxels of the body, ``(z, y, x)``, by Otsu's threshold on the first channel."""
    values = np.asarray(image[0], dtype=np.float32)
    limit = otsu(values)
    return np.ones(values.shape, dtype=bool) if limit is None else values > limit
