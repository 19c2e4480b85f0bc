"""Strategies whose query covers the pool: core-set, random groups, BADGE."""

from dataclasses import dataclass

from alsweep.query.base import Stages, Strategy, same_as, searchable, strategy
from alsweep.query.maps import MixedEntropyMap
from alsweep.query.presets.bases import base_field, base_map
from alsweep.query.select.batches import StochasticBatches


@strategy("core_set", aliases=("coreset", "k_center"))
@dataclass(frozen=True)
class CoreSet(Strategy):
    """The patches farthest from all annotated ones in the encoders' features, k-center greedy.

    Adapted: candidates are the windows of highest predictive entropy that do not overlap, twice the
    most per case; the original's are all images.

    Source: Sener and Savarese 2018, arXiv:1708.00489, k-center greedy.
    """

    def stages(self) -> Stages:
        """Predictive entropy, box mean, k-center on encoder features."""
        return Stages(map="predictive_entropy", select="k_center")


@strategy("stochastic_batches")
@dataclass(frozen=True)
class StochasticBatch(Strategy):
    """The best of many random groups of patches: uncertain as a whole, and varied by chance.

    Adapted: tiles of volumes, and the members as passes; the original has 2D slices, ten a query,
    scored by eight passes under dropout or test-time augmentation. Groups smaller than the query
    are ours, since of groups as large as it one is nearly random where queries are large.

    Source: Gaillochet et al. 2023, stochastic batch querying. Its text has the Jensen-Shannon
    divergence, which is jsd, and its code the mean of total and expected entropy, mixed_entropy.
    """

    base: str = base_field()
    alpha: float = same_as(MixedEntropyMap, "alpha")
    group_score: str = same_as(StochasticBatches, "group_score")
    n_groups: int = same_as(StochasticBatches, "n_groups")
    group_size: int = same_as(StochasticBatches, "group_size")
    candidates: str = searchable(
        "tiling",
        choices=("tiling", "best"),
        neutral="best",
        help="a random tiling of each case, or its best windows",
    )

    def stages(self) -> Stages:
        """The base map, box mean, a random tiling, the best random groups."""
        groups = StochasticBatches(
            group_score=self.group_score, n_groups=self.n_groups, group_size=self.group_size
        )
        score = base_map(self.base, self.alpha)
        return Stages(map=score, candidates=self.candidates, select=groups)


@strategy("badge")
@dataclass(frozen=True)
class BadgeStrategy(Strategy):
    """Patches whose gradients are long and point in different directions.

    Adapted: candidates are the tiles of a random tiling of each case, the original's all images;
    the gradient is the first member's against the ensemble's likeliest class, the mean over a
    patch.

    Source: Ash et al. 2020, arXiv:1906.03671 (BADGE).
    """

    candidates: str = same_as(StochasticBatch, "candidates")

    def stages(self) -> Stages:
        """A random tiling, k-means++ on gradient embeddings."""
        return Stages(map="predictive_entropy", candidates=self.candidates, select="badge")
