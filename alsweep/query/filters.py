"""Filters: which candidates are worth choosing from at all."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from alsweep.query.candidates import Annotated, Candidate
from alsweep.query.parameters import searchable
from alsweep.query.stage import Stage, stage
from alsweep.registry import Registry

if TYPE_CHECKING:
    from torch import Tensor

    from alsweep.geometry import Patch
    from alsweep.query.pool import Prediction, Request


@dataclass(frozen=True)
class Filter(Stage):
    """A stage that measures candidates while their case is there, and later drops some.

    Attributes:
        candidates_factor: Candidates kept per case, as a multiple of the most per case.
    """

    candidates_factor: ClassVar[int] = 1

    def measure(self, prediction: "Prediction", patches: "Sequence[Patch]") -> np.ndarray:
        """Measure each candidate of a case, as long as its voxels are there.

        Args:
            prediction: Of the case; ``mean_probs`` is ``(class, z, y, x)``.
            patches: The candidates.

        Returns:
            What :attr:`Candidate.worth` is to be, ``(patch,)``.
        """
        return np.zeros(len(patches))

    def keep(
        self, candidates: list[Candidate], request: "Request", annotated: Annotated
    ) -> list[Candidate]:
        """The candidates of all cases that are left, in the order in which they came.

        The others are chosen from only where these do not fill the query.

        Args:
            candidates: Best first; :attr:`Candidate.features` are ``(feature,)`` where ``needs``
                name the embedding.
            request: How many patches are wanted.
            annotated: ``features`` are ``(patch, feature)``, ``classes`` ``(patch, label)``.
        """
        return candidates


FILTERS: Registry[type[Filter]] = Registry("filter")
"""Filters by the name that stages use."""


@stage(FILTERS, "none")
@dataclass(frozen=True)
class NoFilter(Filter):
    """Every candidate may be chosen.

    Source: Luth et al. 2025 (nnActive), greedy top-k.
    """


@stage(FILTERS, "label_entropy")
@dataclass(frozen=True)
class LabelEntropy(Filter):
    """Keep the patches whose predicted foreground is spread most evenly over the classes.

    Source: Luo et al. 2023 (CRB), concise label sampling; shares of predicted voxels instead of
    counts of boxes.
    """

    keep_factor: float = searchable(
        5.0, low=1.0, high=100.0, log=True, help="candidates kept, as a multiple of the query size"
    )

    def measure(self, prediction: "Prediction", patches: "Sequence[Patch]") -> np.ndarray:
        """Entropy of the classes' shares of the predicted foreground, nats; 0 without any."""
        import torch

        if not patches:
            return np.zeros(0)
        counts = torch.stack([_class_counts(prediction, patch) for patch in patches])
        shares = counts.cpu().numpy().astype(np.float64)
        shares /= np.maximum(shares.sum(axis=1, keepdims=True), 1)
        logs = np.log(shares, out=np.zeros_like(shares), where=shares > 0)
        return np.asarray(-(shares * logs).sum(axis=1))

    def keep(
        self, candidates: list[Candidate], request: "Request", annotated: Annotated
    ) -> list[Candidate]:
        """The ``keep_factor * patches`` candidates of the highest label entropy."""
        most = max(request.patches, round(self.keep_factor * request.patches))
        # Stable: of equal label entropy, the better score stays.
        kept = sorted(candidates, key=lambda c: -c.worth)[:most]
        patches = {candidate.patch for candidate in kept}
        return [candidate for candidate in candidates if candidate.patch in patches]


@stage(FILTERS, "purity")
@dataclass(frozen=True)
class Purity(Filter):
    """Keep the patches that look most like annotated foreground to the encoders.

    Each foreground class has a prototype: the mean features of the annotated patches that hold some
    of it. What counts is a patch's cosine with the nearest prototype. No label is read but those of
    annotated patches; as long as these hold no foreground, every candidate stays.

    Source: Zhong et al. 2025 (OpenPath), purity filter; patches without foreground stand for its
    images from outside the distribution.
    """

    needs: ClassVar[tuple[str, ...]] = ("probs", "embedding", "annotated_labels")
    candidates_factor: ClassVar[int] = 4

    keep_share: float = searchable(
        0.25, low=0.01, high=1.0, log=True, help="share of the candidates kept"
    )

    def keep(
        self, candidates: list[Candidate], request: "Request", annotated: Annotated
    ) -> list[Candidate]:
        """The share of the candidates nearest to a prototype, and at least a query."""
        prototypes = _prototypes(annotated)
        if not candidates or not len(prototypes):
            return candidates
        features = np.array([c.features for c in candidates], dtype=np.float64)
        nearness = (_directions(features) @ _directions(prototypes).T).max(axis=1)
        most = max(request.patches, round(self.keep_share * len(candidates)))
        # Stable: of equally near ones, the better score stays.
        kept = np.sort(np.argsort(-nearness, kind="stable")[:most])
        return [candidates[index] for index in kept]


def _prototypes(annotated: Annotated) -> np.ndarray:
    """Mean features of the patches that hold each foreground class, ``(class, feature)``."""
    held = (annotated.classes[:, 1:] > 0).T
    features = annotated.features.astype(np.float64)
    return np.array([features[patches].mean(axis=0) for patches in held if patches.any()])


def _directions(features: np.ndarray) -> np.ndarray:
    norms = np.linalg.norm(features, axis=1, keepdims=True)
    return np.asarray(features / np.maximum(norms, 1e-12))


def _class_counts(prediction: "Prediction", patch: "Patch") -> "Tensor":
    """Voxels of the patch that are predicted as each foreground class."""
    probs = prediction.box(patch.slices).mean_probs
    if prediction.regions:
        return (probs > 0.5).sum(dim=(1, 2, 3))
    return probs.argmax(dim=0).flatten().bincount(minlength=probs.shape[0])[1:]
