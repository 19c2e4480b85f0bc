"""How much of a case is worked on at once."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor

CACHED_VOXELS = 1 << 17
"""Voxels that are worked on at once on a CPU: more leave its cache, fewer pay for the calls."""


def planes_at_once(values: "Tensor") -> int:
    """Planes ``(..., plane, y, x)`` that stay in a CPU's cache; all of them elsewhere."""
    if values.device.type != "cpu":
        return max(1, values.shape[-3])
    return max(1, CACHED_VOXELS // values.shape[-2:].numel())
