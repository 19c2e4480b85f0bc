"""OpenPath: among the patches that look like annotated foreground, one of each cluster."""

from dataclasses import dataclass

from alsweep.query.base import Stages, Strategy, same_as, searchable, strategy
from alsweep.query.filters import Purity
from alsweep.query.maps import MixedEntropyMap
from alsweep.query.noise import Power
from alsweep.query.presets.bases import base_field, base_map
from alsweep.query.select.clustered import KMeans

_SAMPLED = 4.0
"""Survivors drawn in proportion to their score, as a multiple of the query."""


@strategy("openpath")
@dataclass(frozen=True)
class OpenPath(Strategy):
    """Patches that look like annotated foreground, one of each of as many clusters as are wanted.

    Adapted: the original has whole images, of which many show what nobody asked for; patches
    without foreground take their place, so that it is a foreground-aware choice without ground
    truth. ``guided`` is in the paper and not in its code: survivors are drawn in proportion to
    their score, which is power noise with beta = 1, before they are clustered. The original also
    trains itself on pseudo labels after each query, which is no part of a strategy.

    Source: Zhong et al. 2025, arXiv:2506.15318 (OpenPath).
    """

    keep_share: float = same_as(Purity, "keep_share")
    base: str = base_field()
    alpha: float = same_as(MixedEntropyMap, "alpha")
    guided: bool = searchable(
        False, help="whether only survivors drawn in proportion to their score are clustered"
    )

    def stages(self) -> Stages:
        """The base map, box mean, purity, k-means on encoder features."""
        return Stages(
            map=base_map(self.base, self.alpha),
            noise=Power(beta=1.0) if self.guided else "none",
            filter=Purity(keep_share=self.keep_share),
            select=KMeans(keep_factor=_SAMPLED if self.guided else 0.0),
        )
