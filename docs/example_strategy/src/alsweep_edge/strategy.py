"""A strategy for borders between an organ and its background."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from alsweep.query import MAPS, Power, Stages, Strategy, VoxelMap, same_as, searchable, strategy
from alsweep.query.stage import stage

if TYPE_CHECKING:
    from torch import Tensor

    from alsweep.query import Prediction


@stage(MAPS, "edge_margin")
@dataclass(frozen=True)
class EdgeMarginMap(VoxelMap):
    """High where background and foreground are level, whatever the class of the foreground.

    Source: an example.
    """

    sharpness: float = searchable(1.0, low=0.1, high=10.0, log=True, help="exponent")

    def __call__(self, prediction: "Prediction") -> "Tensor":
        """In ``[0, 1]``, ``(z, y, x)``."""
        foreground = prediction.foreground.sum(dim=0).clamp_max(1)
        return (1 - (2 * foreground - 1).abs()) ** self.sharpness


@strategy("edge_margin")
@dataclass(frozen=True)
class EdgeMargin(Strategy):
    """Patches on predicted borders, with power noise.

    Source: an example.
    """

    sharpness: float = same_as(EdgeMarginMap, "sharpness")
    beta: float = same_as(Power, "beta", 10.0)

    def stages(self) -> Stages:
        """Edge margin, box mean, power noise, greedy."""
        return Stages(map=EdgeMarginMap(sharpness=self.sharpness), noise=Power(beta=self.beta))
