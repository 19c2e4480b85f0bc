"""CRB."""

from dataclasses import dataclass

from alsweep.query.base import Stages, Strategy, same_as, strategy
from alsweep.query.filters import LabelEntropy
from alsweep.query.presets.diverse import StochasticBatch
from alsweep.query.select.crb import Crb


@strategy("crb")
@dataclass(frozen=True)
class CrbStrategy(Strategy):
    """Patches that are concise, representative and balanced, in three steps of ever fewer.

    Adapted: the original is for detection in 3D point clouds. Candidates are the tiles of a random
    tiling of each case; predicted voxels of a class take the place of boxes, the first member
    against the ensemble's mean that of one dropout pass against the mean of many. A class that is
    absent counts nothing for the label entropy; the original's pseudo-count of one box would be one
    voxel.

    Source: Luo et al. 2023, arXiv:2301.09249 (CRB).
    """

    keep_factor: float = same_as(LabelEntropy, "keep_factor")
    prototypes: float = same_as(Crb, "prototypes")
    include_annotated: bool = same_as(Crb, "include_annotated")
    candidates: str = same_as(StochasticBatch, "candidates")

    def stages(self) -> Stages:
        """A random tiling, label entropy, k-means++ on gradients, balance."""
        return Stages(
            map="predictive_entropy",
            candidates=self.candidates,
            filter=LabelEntropy(keep_factor=self.keep_factor),
            select=Crb(prototypes=self.prototypes, include_annotated=self.include_annotated),
        )
