"""What stages may ask to be measured of patches, as long as their case is there."""

from collections.abc import Callable, Collection, Sequence
from typing import TYPE_CHECKING

import numpy as np

from alsweep.query.candidates import patch_features

if TYPE_CHECKING:
    from torch import Tensor

    from alsweep.geometry import Patch
    from alsweep.query.pool import Embedding, Prediction

Rows = dict[str, np.ndarray]
"""By field of a candidate, ``(patch, ...)``."""


def measured(needs: Collection[str], prediction: "Prediction", patches: "Sequence[Patch]") -> Rows:
    """Measure what is needed of patches of one case.

    Args:
        needs: Of a composition; those that no measure goes with are none of ours.
        prediction: Of the case.
        patches: Candidates or others.

    Returns:
        Rows by field of :class:`alsweep.query.candidates.Candidate`.
    """
    return {
        field: measure(prediction, patches)
        for need, (field, measure) in MEASURES.items()
        if need in needs
    }


def class_volumes(prediction: "Prediction", patches: "Sequence[Patch]") -> np.ndarray:
    """Voxels of each patch that are predicted as each foreground class, ``(patch, class)``."""
    import torch

    if not patches:
        return np.zeros((0, prediction.foreground_channels), dtype=np.int64)
    counts = torch.stack([_class_counts(prediction, patch) for patch in patches])
    return np.asarray(counts.cpu().numpy())


def _class_counts(prediction: "Prediction", patch: "Patch") -> "Tensor":
    probs = prediction.box(patch.slices).mean_probs
    if prediction.regions:
        return (probs > 0.5).sum(dim=(1, 2, 3))
    return probs.argmax(dim=0).flatten().bincount(minlength=probs.shape[0])[1:]


def _class_probs(prediction: "Prediction", patches: "Sequence[Patch]") -> np.ndarray:
    import torch

    if not patches:
        return np.zeros((0, prediction.channels))
    means = [prediction.box(patch.slices).mean_probs.mean(dim=(1, 2, 3)) for patch in patches]
    return np.asarray(torch.stack(means).cpu().numpy())


def _embedded(which: str) -> "Callable[[Prediction, Sequence[Patch]], np.ndarray]":
    def measure(prediction: "Prediction", patches: "Sequence[Patch]") -> np.ndarray:
        embedding: Embedding | None = getattr(prediction, which)
        if embedding is None:
            return np.zeros((len(patches), 0), dtype=np.float32)
        return patch_features(embedding, patches)

    return measure


MEASURES: "dict[str, tuple[str, Callable[[Prediction, Sequence[Patch]], np.ndarray]]]" = {
    "embedding": ("features", _embedded("embedding")),
    "gradient": ("gradient", _embedded("gradient")),
    "soft_gradient": ("soft_gradient", _embedded("soft_gradient")),
    "class_volumes": ("volumes", class_volumes),
    "class_probs": ("probs", _class_probs),
}
"""Need to the field of a candidate that holds it, and how it is measured."""


def label_entropy(volumes: np.ndarray, absent: int = 0) -> np.ndarray:
    """Entropy of the classes' shares of what is predicted in patches, nats; 0 without any.

    Args:
        volumes: Voxels of each foreground class, ``(patch, class)``.
        absent: What a class counts that is not there, beside others that are.

    Source: Luo et al. 2023 (CRB), concise label sampling; shares of predicted voxels instead of
    counts of boxes.
    """
    counts = np.where(volumes > 0, volumes, absent).astype(np.float64)
    counts[~(volumes > 0).any(axis=1)] = 0
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    logs = np.log(shares, out=np.zeros_like(shares), where=shares > 0)
    return np.asarray(-(shares * logs).sum(axis=1))
