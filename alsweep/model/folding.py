"""Members folded one at a time into running means: memory does not grow with their number."""

from collections.abc import Collection
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor

    from alsweep.types import Probs, ScoreMap

# Below every probability that matters and above the smallest float32: 0 log 0 = 0 without a branch.
_TINY = 1e-30

_CACHED_VOXELS = 1 << 15
"""Voxels of one class that are worked on at once on a CPU: a few such rows fit its L2 cache."""


@dataclass(frozen=True)
class Folded:
    """What the ensemble says of one case.

    Attributes:
        probs: Mean probability, ``(class, z, y, x)``.
        mean_entropy: Mean over members of each member's entropy, ``(z, y, x)`` in nats; None unless
            asked for.
        features: Encoder features on a coarse grid, ``(feature, z, y, x)``, those of all members
            one after the other; None unless asked for.
        cell: Voxels per grid cell, ``(z, y, x)``; None without features.
        members: Each member's probabilities, float16; empty unless asked for, since their memory
            grows with the number of members.
    """

    probs: "Probs"
    mean_entropy: "ScoreMap | None" = None
    features: "Tensor | None" = None
    cell: tuple[float, float, float] | None = None
    members: "tuple[Probs, ...]" = ()


class Fold:
    """Running sums over members.

    Args:
        needs: With ``mean_entropy`` entropies are summed, too; with ``members`` each member is
            kept. Other names change nothing here.
        regions: Whether channels are regions, whose binary entropies are summed.
    """

    def __init__(self, needs: Collection[str], regions: bool = False) -> None:
        self._regions = regions
        self._needs = frozenset(needs)
        self._count = 0
        self._members: list[Probs] = []
        self._probs: Probs | None = None
        self._entropy: ScoreMap | None = None

    def add(self, probs: "Probs") -> None:
        """Count a member in; its tensor is the fold's from now on and may be overwritten."""
        if "members" in self._needs:
            self._members.append(probs.half())
        if "mean_entropy" in self._needs:
            if self._entropy is None:
                self._entropy = probs.new_zeros(probs.shape[1:])
            _add_entropy(probs, self._entropy)
            if self._regions:
                _add_entropy(1 - probs, self._entropy)
        self._probs = probs if self._probs is None else self._probs.add_(probs)
        self._count += 1

    def means(self) -> Folded:
        """The means over all members; ends the fold, whose sums become the means."""
        assert self._probs is not None, "an ensemble has at least one member"
        mean_entropy = None if self._entropy is None else self._entropy.div_(self._count)
        return Folded(self._probs.div_(self._count), mean_entropy, members=tuple(self._members))


def _add_entropy(probs: "Probs", total: "ScoreMap") -> None:
    """Add the entropy over the class axis to ``total``, without a tensor as large as ``probs``."""
    flat, sums = probs.reshape(probs.shape[0], -1), total.view(-1)
    voxels = _CACHED_VOXELS if flat.device.type == "cpu" else flat.shape[1]
    for first in range(0, flat.shape[1], voxels):
        part = slice(first, first + voxels)
        for row in flat[:, part]:
            sums[part].addcmul_(row, row.clamp_min(_TINY).log_(), value=-1)
