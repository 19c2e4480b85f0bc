"""Strategies that rank patches by one plain score map."""

from dataclasses import dataclass

from alsweep.query.base import Stages, Strategy, strategy


@strategy("predictive_entropy", aliases=("pred_entropy",))
@dataclass(frozen=True)
class PredictiveEntropy(Strategy):
    """Patches with the highest mean entropy of the ensemble's mean probability.

    Source: Luth et al. 2025 (nnActive, TMLR), Predictive Entropy; Settles 2009.
    """

    def stages(self) -> Stages:
        """Predictive entropy, box mean, greedy."""
        return Stages(map="predictive_entropy")


@strategy("expected_entropy", aliases=("exp_entropy",))
@dataclass(frozen=True)
class ExpectedEntropy(Strategy):
    """Patches in which the members are uncertain each by itself.

    Source: Luth et al. 2025 (nnActive, TMLR), Expected Entropy.
    """

    def stages(self) -> Stages:
        """Expected entropy, box mean, greedy."""
        return Stages(map="expected_entropy")


@strategy("least_confidence")
@dataclass(frozen=True)
class LeastConfidence(Strategy):
    """Patches whose likeliest class is the least likely.

    Source: Settles 2009, least confident sampling.
    """

    def stages(self) -> Stages:
        """Least confidence, box mean, greedy."""
        return Stages(map="least_confidence")


@strategy("margin")
@dataclass(frozen=True)
class Margin(Strategy):
    """Patches in which the likeliest class has the smallest lead over the second.

    Source: Settles 2009, margin sampling.
    """

    def stages(self) -> Stages:
        """Margin, box mean, greedy."""
        return Stages(map="margin")
