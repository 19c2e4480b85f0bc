"""Predictive entropy."""

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
