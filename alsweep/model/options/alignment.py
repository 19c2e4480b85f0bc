"""Whether what is learnt without labels goes the way of what is learnt with them."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch
from torch import nn

if TYPE_CHECKING:
    from jaxtyping import Float
    from torch import Tensor

_SCALE = 2.0**12
"""So that what a voxel adds is not lost in half precision; a power of two changes no other bit."""


def last_layer(network: nn.Module) -> "list[nn.Parameter]":
    """The parameters that make logits of the last features of a U-Net, at full resolution."""
    block = network.output_block
    assert isinstance(block, nn.Module)
    return list(block.parameters())


def gradient(loss: "Tensor", parameters: "Sequence[Tensor]") -> "Float[Tensor, ' parameter']":
    """Of a loss by some parameters, flat; the graph stays for the step itself."""
    found = torch.autograd.grad(_SCALE * loss, parameters, retain_graph=True)
    return torch.cat([one.detach().float().flatten() for one in found]) / _SCALE


def cosine(a: "Float[Tensor, ' n']", b: "Float[Tensor, ' n']") -> float:
    """-1..1; 0 where either is nothing."""
    norms = a.norm() * b.norm()
    return float(a @ b / norms) if norms > 0 else 0.0
