"""Members folded one at a time into running means: memory does not grow with their number."""

from collections.abc import Collection
from dataclasses import dataclass
from typing import TYPE_CHECKING

from alsweep.query.maps import entropy

if TYPE_CHECKING:
    from torch import Tensor

    from alsweep.types import Probs, ScoreMap


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
    """

    probs: "Probs"
    mean_entropy: "ScoreMap | None" = None
    features: "Tensor | None" = None
    cell: tuple[float, float, float] | None = None


class Fold:
    """Running sums over members.

    Args:
        needs: ``mean_entropy`` sums entropies, too; other names change nothing here.
    """

    def __init__(self, needs: Collection[str]) -> None:
        self._wants_entropy = "mean_entropy" in needs
        self._members = 0
        self._probs: Probs | None = None
        self._entropy: ScoreMap | None = None

    def add(self, probs: "Probs") -> None:
        """Count a member in; its tensor is the fold's from now on and may be overwritten."""
        if self._wants_entropy:
            own = entropy(probs)
            self._entropy = own if self._entropy is None else self._entropy.add_(own)
        self._probs = probs if self._probs is None else self._probs.add_(probs)
        self._members += 1

    def means(self) -> Folded:
        """The means over all members; ends the fold, whose sums become the means."""
        assert self._probs is not None, "an ensemble has at least one member"
        mean_entropy = None if self._entropy is None else self._entropy.div_(self._members)
        return Folded(self._probs.div_(self._members), mean_entropy)
