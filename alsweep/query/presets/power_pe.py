"""Predictive entropy with power noise."""

from dataclasses import dataclass

from alsweep.query.base import Stages, Strategy, same_as, strategy
from alsweep.query.noise import Power


@strategy("power_pe")
@dataclass(frozen=True)
class PowerPe(Strategy):
    """Predictive entropy with Gumbel noise on the log score.

    Source: Luth et al. 2025 (nnActive, TMLR), PowerPE; Kirsch et al. 2021, arXiv:2106.12059.
    """

    beta: float = same_as(Power, "beta")

    def stages(self) -> Stages:
        """Predictive entropy, box mean, power noise, greedy."""
        return Stages(map="predictive_entropy", noise=Power(beta=self.beta))
