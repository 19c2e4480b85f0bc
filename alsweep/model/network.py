"""The U-Net: MONAI's DynUNet with the levels that nnU-Net would give it."""

from typing import Any

import torch
from monai.networks.nets import DynUNet

from alsweep.config.trajectory import TrainingConfig
from alsweep.model.topology import Topology


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
