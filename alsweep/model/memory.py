"""How much of the device's memory is left for a case, and what predicting one takes."""

from collections.abc import Callable
from dataclasses import dataclass
from math import prod
from typing import TYPE_CHECKING

import torch

from alsweep.geometry import Triple
from alsweep.model.device import Compute

if TYPE_CHECKING:
    from alsweep.config.sweep import ResourcesConfig

GIB = 1 << 30

_CONTEXT = GIB // 2
"""Bytes that CUDA itself takes in each process, which torch does not count."""

FLOAT = 4

_MAPS = 6
"""Volumes of one channel that are made beside the probabilities: weights, entropies, scores."""


def allowed_bytes(device: torch.device, resources: "ResourcesConfig") -> int | None:
    """Bytes of the device's memory that a worker may hold: what was given, or its share of a card.

    None on a CPU of which nothing was said.
    """
    if resources.gpu_memory_gib is not None:
        return int(resources.gpu_memory_gib * GIB)
    if device.type != "cuda":
        return None
    share = min(1.0, resources.gpus) or 1.0
    return int(share * torch.cuda.get_device_properties(device).total_memory)


def free_bytes(compute: Compute) -> int | None:
    """Bytes that may still be taken now; None for no bound.

    On a card what this process holds is counted, and what others have left; on a CPU, where torch
    does not count, it is all that is allowed.
    """
    if compute.allowed is None or compute.device.type != "cuda":
        return compute.allowed
    free, _ = torch.cuda.mem_get_info(compute.device)
    held = torch.cuda.memory_allocated(compute.device)
    unused = torch.cuda.memory_reserved(compute.device) - held
    return max(0, min(compute.allowed - _CONTEXT - held, free + unused))


def held_bytes(device: torch.device) -> int | None:
    """Most bytes of a card that this process held so far, with CUDA's own; None elsewhere."""
    if device.type != "cuda":
        return None
    return torch.cuda.max_memory_reserved(device) + _CONTEXT


def extra_bytes(compute: Compute, run: Callable[[], object]) -> int:
    """Most bytes that ``run`` takes at once on a card; 0 elsewhere, where it is not run."""
    if compute.device.type != "cuda":
        return 0
    torch.cuda.reset_peak_memory_stats(compute.device)
    held = torch.cuda.memory_allocated(compute.device)
    run()
    return max(0, torch.cuda.max_memory_allocated(compute.device) - held)


@dataclass(frozen=True)
class Need:
    """What it takes to predict a case, or some of its planes.

    Attributes:
        shape: Of the case, ``(z, y, x)``.
        outputs: Channels of the probabilities.
        volumes: How many of all channels are held at once: the sum over members, the logits of one
            and, where those of mirrored images are averaged, their sum and those turned back.
        beside: Bytes that do not grow with the planes.
    """

    shape: Triple
    outputs: int
    volumes: int
    beside: int

    @property
    def each_plane(self) -> int:
        """Bytes."""
        return FLOAT * (self.volumes * self.outputs + _MAPS) * prod(self.shape[1:])

    def planes_in(self, free: int) -> int:
        """Planes that so many bytes suffice for; at least one, and all at most."""
        return min(self.shape[0], max(1, (free - self.beside) // self.each_plane))
