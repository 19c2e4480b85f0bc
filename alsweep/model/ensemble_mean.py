"""Members folded one at a time into running means: memory does not grow with their number."""

from collections.abc import Callable, Collection
from typing import TYPE_CHECKING, TypeAlias

from alsweep.model.outputs import activate
from alsweep.query.maps import minus_p_log_p
from alsweep.query.pool import Prediction

if TYPE_CHECKING:
    import torch
    from jaxtyping import Float
    from torch import Tensor

    from alsweep.types import Probs, ScoreMap

    Slab: TypeAlias = Float[Tensor, "class voxel"]
    Entropies: TypeAlias = Float[Tensor, " voxel"]

_CACHED_VALUES = 1 << 18
"""Values that are worked on at once on a CPU: more leave its cache, fewer pay for the calls."""

_VALUES_ON_CARD = 1 << 25
"""Likewise on a card, where a few volumes of so many are made in between: 128 MiB each."""


class EnsembleMean:
    """Running sums over members.

    Each member is read once: in slabs that stay in the cache, it is turned into probabilities, its
    entropy is summed and it is added to the others.

    Args:
        count: Members to come.
        needs: With ``mean_entropy`` entropies are summed, too; with ``members`` each member is
            kept. Other names change nothing here.
        regions: Whether channels are regions, whose binary entropies are summed.
    """

    def __init__(self, count: int, needs: Collection[str] = (), regions: bool = False) -> None:
        self._regions = regions
        self._missing = self._count = count
        self._needs = frozenset(needs)
        self._members: list[Probs] = []
        self._sum: Probs | None = None
        self._entropy: ScoreMap | None = None

    def add(self, probs: "Probs") -> None:
        """Count a member in; its tensor is the fold's from now on and may be overwritten."""
        self._add(probs, self._given)

    def add_logits(self, logits: "Probs") -> None:
        """Like :meth:`add`, from a network's output: no second volume, and fewer logarithms."""
        self._add(logits, self._activated)

    def _add(
        self,
        member: "Probs",
        read: "Callable[[Slab, bool], tuple[Slab, Entropies | None]]",
    ) -> None:
        self._missing -= 1
        member = member.contiguous()
        first = self._sum is None
        if self._sum is None:
            # The first member's tensor becomes the sum.
            self._sum = member
        if "mean_entropy" in self._needs and self._entropy is None:
            self._entropy = member.new_zeros(member.shape[1:])
        if "members" in self._needs:
            self._members.append(member.new_empty(member.shape).half())
        flat, total = member.flatten(1), self._sum.flatten(1)
        for part in _slabs(flat):
            slab, summed = flat[:, part], total[:, part]
            probs, entropy = read(slab, self._entropy is not None)
            if self._entropy is not None and entropy is not None:
                self._entropy.view(-1)[part] += entropy
            if self._members:
                self._members[-1].flatten(1)[:, part] = probs
            if not first:
                summed.add_(probs)
            elif probs is not slab:
                summed.copy_(probs)
            if not self._missing:
                summed.div_(self._count)

    def _given(self, probs: "Slab", entropy: bool) -> "tuple[Slab, Entropies | None]":
        return probs, minus_p_log_p(probs, self._regions) if entropy else None

    def _activated(self, logits: "Slab", entropy: bool) -> "tuple[Slab, Entropies | None]":
        probs = activate(logits, self._regions)
        if self._regions or not entropy:
            return self._given(probs, entropy)
        return probs, _softmax_entropy(logits, probs)

    def means(self) -> Prediction:
        """The means over all members; ends the fold, whose sums become the means."""
        assert self._sum is not None, "an ensemble has at least one member"
        assert not self._missing, "all members were counted in"
        mean_entropy = None if self._entropy is None else self._entropy.div_(self._count)
        members = tuple(self._members)
        return Prediction(self._sum, mean_entropy, members=members, regions=self._regions)


def _softmax_entropy(logits: "Slab", probs: "Slab") -> "Entropies":
    """Entropy of a softmax, as ``sum p (max z - z) - log max p``.

    That is one logarithm for each voxel instead of one for each class, and no difference of large
    numbers: no term is negative.
    """
    below = (logits.amax(dim=0) - logits).mul_(probs)
    return below.sum(dim=0).sub_(probs.amax(dim=0).log_())


def temporary_bytes(device: "torch.device") -> int:
    """What is made in between while a member is counted in, at most."""
    return 4 * 4 * _values_at_once(device)


def _values_at_once(device: "torch.device") -> int:
    return _CACHED_VALUES if device.type == "cpu" else _VALUES_ON_CARD


def _slabs(flat: "Slab") -> list[slice]:
    """Cut the voxels so that a part stays in a CPU's cache, or leaves a card's memory free."""
    voxels = flat.shape[1]
    parts = max(1, round(flat.numel() / _values_at_once(flat.device)))
    step = -(-voxels // parts)
    return [slice(first, first + step) for first in range(0, voxels, step)]
