"""From an ensemble's prediction to voxel scores: natural logarithms, higher = query first."""

from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from alsweep.query.base import Prediction
    from alsweep.types import Probs, ScoreMap

# Below every probability that matters and above the smallest float32, so that 0 log 0 = 0 without a
# branch.
_TINY = 1e-30


def entropy(probs: "Probs") -> "ScoreMap":
    """Shannon entropy over the class axis.

    Args:
        probs: Probabilities, ``(class, z, y, x)``; sum to 1 over ``class``.

    Returns:
        Nats in ``[0, log(class)]``, ``(z, y, x)``.
    """
    return -(probs * probs.clamp_min(_TINY).log()).sum(dim=0)


def predictive_entropy(prediction: "Prediction") -> "ScoreMap":
    """Entropy of the ensemble's mean probability: total uncertainty.

    Returns:
        Nats in ``[0, log(class)]``, ``(z, y, x)``. Higher = query first.

    Source: Luth et al. 2025 (nnActive), predictive entropy; Settles 2009, entropy sampling.
    """
    return entropy(prediction.mean_probs)


MAPS: dict[str, Callable[["Prediction"], "ScoreMap"]] = {"predictive_entropy": predictive_entropy}
"""Voxel score maps by the name that stages use."""
