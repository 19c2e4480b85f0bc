"""Candidates: what is left of a case once its voxels are gone."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from alsweep.geometry import Patch

if TYPE_CHECKING:
    from alsweep.query.pool import Embedding

GENERAL = 0
"""Channel of the map itself; the channel of a class is its id."""


@dataclass(frozen=True)
class Candidate:
    """A patch that a strategy may choose.

    Attributes:
        patch: It overlaps no other candidate more than the request allows.
        score: Higher = query first.
        channel: The stratum that it was taken for.
        spare: Taken beyond its case's shares; used only when all strata fall short.
        worth: What a filter measured of it.
        features: Mean embedding over the patch; this and what follows are None where no stage needs
            it.
        gradient: Mean gradient embedding over the patch.
        soft_gradient: The same of the soft one.
        volumes: Voxels predicted as each foreground class, ``(class,)``.
        probs: Mean probability of each channel of the prediction.
    """

    patch: Patch
    score: float
    channel: int = GENERAL
    spare: bool = False
    worth: float = 0.0
    features: np.ndarray | None = None
    gradient: np.ndarray | None = None
    soft_gradient: np.ndarray | None = None
    volumes: np.ndarray | None = None
    probs: np.ndarray | None = None


@dataclass(frozen=True)
class Annotated:
    """The patches annotated so far, of all cases; a row each.

    Attributes:
        features: Mean embedding, ``(patch, feature)``; empty where no stage needs it.
        classes: Voxels of each label, ``(patch, label)``; empty where no stage needs it.
        volumes: Voxels predicted as each foreground class, ``(patch, class)``; likewise.
        probs: Mean probability of each channel, ``(patch, channel)``; likewise.
    """

    features: np.ndarray
    classes: np.ndarray
    volumes: np.ndarray = field(default_factory=lambda: np.zeros((0, 0)))
    probs: np.ndarray = field(default_factory=lambda: np.zeros((0, 0)))


@dataclass(frozen=True)
class Known:
    """What a selection may know beside the candidates that it chooses among.

    Attributes:
        annotated: The patches annotated so far.
        every: The candidates of all cases, best first, with those that a filter left out.
    """

    annotated: Annotated
    every: Sequence[Candidate] = ()


def ordered(candidates: Iterable[Candidate]) -> list[Candidate]:
    """Best first; ties go to the lowest start, then to the smaller case id."""
    return sorted(candidates, key=lambda c: (-c.score, c.patch.start, c.patch.case))


def features_of(candidates: Sequence[Candidate], others: Sequence[np.ndarray]) -> np.ndarray:
    """Features ``(candidate + other, feature)``, each divided by its spread over the candidates.

    Source: Luth et al. 2025 (nnActive), KMeansBALD.
    """
    own = np.array([c.features for c in candidates], dtype=np.float64)
    spread = own.std(axis=0) + 1e-6
    every = np.concatenate([own, np.asarray(others, dtype=np.float64)]) if len(others) else own
    return np.asarray(every / spread)


def patch_features(embedding: "Embedding", patches: Sequence[Patch]) -> np.ndarray:
    """Mean features over each patch's footprint, at least one cell: ``(patch, feature)``, float32.

    Source: Luth et al. 2025 (nnActive), KMeansBALD.
    """
    import torch

    features = embedding.features
    if not patches:
        return np.zeros((0, features.shape[0]), dtype=np.float32)
    pooled = []
    for patch in patches:
        axes = zip(patch.start, patch.stop, embedding.cell, features.shape[1:], strict=True)
        box = [_cells(start, stop, cell, length) for start, stop, cell, length in axes]
        pooled.append(features[(slice(None), *box)].float().mean(dim=(1, 2, 3)))
    return np.asarray(torch.stack(pooled).cpu().numpy())


def _cells(start: int, stop: int, cell: float, length: int) -> slice:
    """Cells along one axis that a patch touches; the last one where the grid ends before it."""
    first = min(int(start / cell), length - 1)
    return slice(first, max(first + 1, min(int(np.ceil(stop / cell)), length)))


class CaseLimit:
    """Counts what was chosen per case, against the most that a request allows.

    Args:
        most: Patches per case.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._chosen: Counter[str] = Counter()

    def take(self, candidate: Candidate) -> bool:
        """Count the candidate if its case has room for it; say whether it had."""
        if self.full(candidate):
            return False
        self._chosen[candidate.patch.case] += 1
        return True

    def full(self, candidate: Candidate) -> bool:
        """Whether the candidate's case can take no more."""
        return self._chosen[candidate.patch.case] >= self._most
