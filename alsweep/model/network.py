"""The U-Net: MONAI's DynUNet with the levels that nnU-Net would give it."""

from dataclasses import dataclass
from math import prod
from typing import TYPE_CHECKING, Any

import torch
from monai.networks.nets import DynUNet

from alsweep.config.trajectory import TrainingConfig
from alsweep.data.plan import levels_of
from alsweep.geometry import Triple, triple

if TYPE_CHECKING:
    from alsweep.data.case import Dataset

_SMALLEST = 4
"""No training patch is shorter than this along any axis, voxels."""

_FEWEST_LEVELS = 3
"""DynUNet has no fewer; what is missing is added without pooling."""


@dataclass(frozen=True)
class Topology:
    """A U-Net's levels, from the input down.

    Attributes:
        window: Input size ``(z, y, x)``, voxels; divisible by the product of the strides.
        strides: By which each level begins; the first is 1.
        kernels: Of the convolutions of each level.
        features: Channels of each level.
    """

    window: Triple
    strides: tuple[Triple, ...]
    kernels: tuple[Triple, ...]
    features: tuple[int, ...]

    @property
    def outputs(self) -> int:
        """Scales that the loss is taken at under deep supervision, full resolution first.

        The two lowest levels have none: nnU-Net gives the lowest but one weight 0.
        """
        return max(1, len(self.strides) - 2)


def make_topology(training: TrainingConfig, dataset: "Dataset") -> Topology:
    """The levels for a training patch: the dataset's plan, or by nnU-Net's rule for a given patch.

    With ``patch_size: plan`` the features are cut to the plan's levels, or the last of them is
    repeated. A given patch is made no larger than the largest case of the pool, then padded to what
    the strides divide; it has as many levels as there are features, less where it is too small.
    """
    plan = dataset.manifest.plan
    if training.patch_size == "plan":
        return _topology(plan.patch_size, plan.strides, plan.kernels, training.features)
    largest = [max(dataset.cases[c].shape[axis] for c in dataset.pool) for axis in range(3)]
    asked = zip(training.patch_size, largest, strict=True)
    size = triple(max(_SMALLEST, min(a, n)) for a, n in asked)
    strides, kernels = levels_of(size, dataset.manifest.spacing, len(training.features))
    return _topology(size, strides, kernels, training.features)


def _topology(
    size: Triple,
    strides: tuple[Triple, ...],
    kernels: tuple[Triple, ...],
    features: tuple[int, ...],
) -> Topology:
    missing = max(0, _FEWEST_LEVELS - len(strides))
    strides, kernels = strides + ((1, 1, 1),) * missing, kernels + ((3, 3, 3),) * missing
    factors = [prod(level[axis] for level in strides) for axis in range(3)]
    return Topology(
        window=triple(-(-n // f) * f for n, f in zip(size, factors, strict=True)),
        strides=strides,
        kernels=kernels,
        features=(features + features[-1:] * len(strides))[: len(strides)],
    )


class Unet(DynUNet):
    """A DynUNet whose outputs under deep supervision keep their own resolution.

    DynUNet itself brings each to full resolution, which costs memory and time, and blurs what the
    lower scales are judged by.
    """

    def forward(self, x: torch.Tensor) -> torch.Tensor | tuple[torch.Tensor, ...]:
        """Logits ``(batch, output, z, y, x)``.

        In training under deep supervision a tuple of them, full resolution first.
        """
        logits: torch.Tensor = self.output_block(self.skip_layers(x))
        if self.training and self.deep_supervision:
            return (logits, *self.heads)
        return logits


def build_network(
    training: TrainingConfig, topology: Topology, channels: int, outputs: int, seed: int
) -> Unet:
    """Make a network whose weights follow from ``seed``; torch's global state is kept.

    Args:
        training: Says which blocks, and whether lower scales have outputs.
        topology: Its levels.
        channels: Of the image.
        outputs: Channels of the logits.
        seed: Of the initial weights.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return Unet(**network_arguments(training, topology, channels, outputs))


def network_arguments(
    training: TrainingConfig, topology: Topology, channels: int, outputs: int
) -> dict[str, Any]:
    """What DynUNet is called with: JSON values, but for tuples."""
    return {
        "spatial_dims": 3,
        "in_channels": channels,
        "out_channels": outputs,
        "kernel_size": topology.kernels,
        "strides": topology.strides,
        "upsample_kernel_size": topology.strides[1:],
        "filters": topology.features,
        "norm_name": ("INSTANCE", {"affine": True}),
        "deep_supervision": training.deep_supervision and topology.outputs > 1,
        "deep_supr_num": max(1, topology.outputs - 1),
        "res_block": training.blocks == "residual",
        "trans_bias": True,
    }
