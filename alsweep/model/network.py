"""The U-Net: MONAI's DynUNet with kernels and strides that fit the training patch."""

from math import prod
from typing import TYPE_CHECKING

import torch
from monai.networks.nets import DynUNet

from alsweep.config.trajectory import TrainingConfig
from alsweep.geometry import Triple, triple

if TYPE_CHECKING:
    from alsweep.data.case import Dataset

_SMALLEST = 4
"""No axis is pooled below this many voxels (nnU-Net's rule)."""


def pooling(patch_size: Triple, levels: int) -> tuple[Triple, ...]:
    """Strides of each level: an axis is halved as long as at least four voxels remain.

    >>> pooling((8, 32, 32), 4)
    ((1, 1, 1), (2, 2, 2), (1, 2, 2), (1, 2, 2))
    """
    left = list(patch_size)
    strides: list[Triple] = [(1, 1, 1)]
    for _ in range(levels - 1):
        step = triple(2 if n >= 2 * _SMALLEST else 1 for n in left)
        left = [n // s for n, s in zip(left, step, strict=True)]
        strides.append(step)
    return tuple(strides)


def training_patch(training: TrainingConfig, dataset: "Dataset") -> Triple:
    """The network's input size: as asked, no larger than needed, divisible by the strides.

    Args:
        training: Says the size, or ``plan`` for the dataset's own.
        dataset: Its largest pool case bounds the size; more would be padding.
    """
    asked = (
        dataset.manifest.plan.patch_size if training.patch_size == "plan" else training.patch_size
    )
    largest = [max(dataset.cases[c].shape[axis] for c in dataset.pool) for axis in range(3)]
    size = triple(max(_SMALLEST, min(a, n)) for a, n in zip(asked, largest, strict=True))
    strides = pooling(size, len(training.features))
    factors = [prod(level[axis] for level in strides) for axis in range(3)]
    return triple(-(-n // f) * f for n, f in zip(size, factors, strict=True))


def build_network(
    training: TrainingConfig, patch_size: Triple, channels: int, classes: int, seed: int
) -> DynUNet:
    """Make a network whose weights follow from ``seed``; torch's global state is kept."""
    strides = pooling(patch_size, len(training.features))
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return DynUNet(
            spatial_dims=3,
            in_channels=channels,
            out_channels=classes,
            kernel_size=[3] * len(strides),
            strides=list(strides),
            upsample_kernel_size=list(strides[1:]),
            filters=list(training.features),
            norm_name=("INSTANCE", {"affine": True}),
            deep_supervision=training.deep_supervision,
            deep_supr_num=max(1, len(strides) - 2),
        )
