"""From an ensemble's prediction to voxel scores: natural logarithms, higher = query first."""

from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from jaxtyping import Float
    from torch import Tensor

    from alsweep.query.base import Prediction
    from alsweep.types import Probs, ScoreMap

# Below every probability that matters and above the smallest float32, so that 0 log 0 = 0 without a
# branch.
_TINY = 1e-30

_CACHED_VALUES = 1 << 17
"""Values that are worked on at once on a CPU: they fill a quarter of a usual L2 cache."""


def entropy(probs: "Probs") -> "ScoreMap":
    """Shannon entropy over the class axis.

    Args:
        probs: Probabilities, ``(class, z, y, x)``; sum to 1 over ``class``.

    Returns:
        Nats in ``[0, log(class)]``, ``(z, y, x)``.
    """
    import torch

    flat = probs.reshape(probs.shape[0], -1)
    parts = [_minus_p_log_p(some) for some in torch.split(flat, _voxels_at_once(flat), dim=1)]
    return torch.cat(parts).reshape(probs.shape[1:])


def _minus_p_log_p(probs: "Float[Tensor, 'class voxel']") -> "Float[Tensor, ' voxel']":
    return probs.clamp_min(_TINY).log_().mul_(probs).sum(dim=0).neg_()


def _voxels_at_once(flat: "Tensor") -> int:
    """Voxels whose intermediate values stay in a CPU's cache; all of them elsewhere."""
    return _CACHED_VALUES // flat.shape[0] if flat.device.type == "cpu" else flat.shape[1]


def predictive_entropy(prediction: "Prediction") -> "ScoreMap":
    """Entropy of the ensemble's mean probability: total uncertainty.

    Returns:
        Nats in ``[0, log(class)]``, ``(z, y, x)``. Higher = query first.

    Source: Luth et al. 2025 (nnActive), predictive entropy; Settles 2009, entropy sampling.
    """
    return entropy(prediction.mean_probs)


MAPS: dict[str, Callable[["Prediction"], "ScoreMap"]] = {"predictive_entropy": predictive_entropy}
"""Voxel score maps by the name that stages use."""
