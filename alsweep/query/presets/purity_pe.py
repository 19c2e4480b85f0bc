"""Predictive entropy among the patches that look like annotated foreground."""

from dataclasses import dataclass

from alsweep.query.base import Stages, Strategy, same_as, strategy
from alsweep.query.filters import Purity
from alsweep.query.noise import Power


@strategy("purity_pe")
@dataclass(frozen=True)
class PurityPe(Strategy):
    """Predictive entropy with power noise, of patches that look like annotated foreground.

    Adapted: patches without foreground stand for images from outside the distribution, and the
    k-means at the end is left out; with it, it is openpath.

    Source: Zhong et al. 2025 (OpenPath), purity filter and entropy-guided stochastic sampling.
    """

    keep_share: float = same_as(Purity, "keep_share")
    beta: float = same_as(Power, "beta")

    def stages(self) -> Stages:
        """Predictive entropy, box mean, power noise, purity, greedy."""
        purity = Purity(keep_share=self.keep_share)
        return Stages(map="predictive_entropy", noise=Power(beta=self.beta), filter=purity)
