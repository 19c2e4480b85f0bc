"""Strategies whose query covers the pool: core-set and random groups."""

from dataclasses import dataclass

from alsweep.query.base import Stages, Strategy, same_as, searchable, strategy
from alsweep.query.maps import MixedEntropyMap, ScoreMapStage
from alsweep.query.select.batches import StochasticBatches


@strategy("core_set", aliases=("coreset", "k_center"))
@dataclass(frozen=True)
class CoreSet(Strategy):
    """The patches farthest from all annotated ones in the encoders' features, k-center greedy.

    Candidates are the windows of highest predictive entropy that do not overlap, twice the most
    per case; the original's are all images.

    Source: Sener and Savarese 2018, arXiv:1708.00489, k-center greedy.
    """

    def stages(self) -> Stages:
        """Predictive entropy, box mean, k-center on encoder features."""
        return Stages(map="predictive_entropy", select="k_center")


@strategy("stochastic_batches")
@dataclass(frozen=True)
class StochasticBatch(Strategy):
    """The best of many random groups of patches: uncertain as a whole, and varied by chance.

    Source: Gaillochet et al. 2023, stochastic batch querying. Its text has the Jensen-Shannon
    divergence, which is mutual_information, and its code mixed_entropy.
    """

    base: str = searchable(
        "predictive_entropy",
        choices=("predictive_entropy", "mutual_information", "mixed_entropy"),
        help="map that scores the patches of a group",
    )
    alpha: float = same_as(MixedEntropyMap, "alpha")
    group_score: str = same_as(StochasticBatches, "group_score")
    n_groups: int = same_as(StochasticBatches, "n_groups")

    def stages(self) -> Stages:
        """The base map, box mean, the best random group."""
        mixed = self.base == "mixed_entropy"
        score: str | ScoreMapStage = MixedEntropyMap(alpha=self.alpha) if mixed else self.base
        groups = StochasticBatches(group_score=self.group_score, n_groups=self.n_groups)
        return Stages(map=score, select=groups)
