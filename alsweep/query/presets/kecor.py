"""KECOR."""

from dataclasses import dataclass

from alsweep.query.base import Stages, Strategy, same_as, strategy
from alsweep.query.maps import MixedEntropyMap
from alsweep.query.presets.bases import base_field, base_map
from alsweep.query.select.log_det import LogDet


@strategy("kecor")
@dataclass(frozen=True)
class Kecor(Strategy):
    """The set of patches with the largest kernel coding rate, given what is annotated.

    Adapted: the original is for detection in 3D point clouds, with all frames as candidates. These
    are the windows of the highest base score, twice the most per case and 5,000 at most, with the
    mean encoder features of all members; entropies are of predicted voxels instead of boxes.

    Source: Luo et al. 2023, arXiv:2307.07942 (KECOR).
    """

    kernel: str = same_as(LogDet, "kernel")
    eta: float = same_as(LogDet, "eta")
    base: str = base_field()
    alpha: float = same_as(MixedEntropyMap, "alpha")

    def stages(self) -> Stages:
        """The base map, box mean, greedy log-determinant of the posterior kernel."""
        select = LogDet(kernel=self.kernel, eta=self.eta)
        return Stages(map=base_map(self.base, self.alpha), select=select)
