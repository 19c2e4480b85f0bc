"""Predict one case at a time: sliding window, mirroring, members folded into running sums."""

import itertools
from collections.abc import Iterable, Sequence
from functools import partial
from typing import TYPE_CHECKING

import torch
from monai.inferers import sliding_window_inference
from torch import nn

from alsweep.errors import TrajectoryFailedError
from alsweep.geometry import Triple
from alsweep.model.device import Compute

if TYPE_CHECKING:
    from alsweep.types import Probs, Volume

_WINDOWS = 2
"""Windows per forward pass. One alone is up to 13 times slower: oneDNN's fast path needs more."""


@torch.no_grad()
def predict(
    networks: Sequence[nn.Module],
    image: "Volume",
    window: Triple,
    step: float,
    axes: tuple[int, ...],
    compute: Compute,
) -> "Probs":
    """Mean softmax of the members for one case.

    Args:
        networks: The members, on ``compute.device``.
        image: ``(channel, z, y, x)``, normalised.
        window: Size of the sliding window: the training patch.
        step: Distance of neighbouring windows as a share of the window, in (0, 1].
        axes: Axes (0 = z) to mirror for test-time augmentation; empty for none.
        compute: Device and precision.

    Returns:
        Probabilities ``(class, z, y, x)``, float32, on ``compute.device``; sum to 1 over ``class``.

    Raises:
        TrajectoryFailedError: The device's memory does not suffice.

    Source: Isensee et al. 2021 (nnU-Net): Gaussian importance with sigma = 1/8 of the window.
    """
    # A copy: the image is a read-only memory map, which torch must not be handed.
    volume = torch.from_numpy(image.copy())[None].to(compute.device)
    total: torch.Tensor | None = None
    try:
        for network in networks:
            probs = _predict_member(network, volume, window, step, axes, compute)
            total = probs if total is None else total.add_(probs)
    except torch.OutOfMemoryError as error:
        raise TrajectoryFailedError(
            f"the GPU's memory does not suffice to predict a case of {tuple(image.shape)} voxels; "
            f"raise resources.gpus so that fewer trajectories share a card"
        ) from error
    assert total is not None, "an ensemble has at least one member"
    return total.div_(len(networks))


def _predict_member(
    network: nn.Module,
    volume: torch.Tensor,
    window: Triple,
    step: float,
    axes: tuple[int, ...],
    compute: Compute,
) -> torch.Tensor:
    """Softmax of one member, averaged over the mirrored inputs: ``(class, z, y, x)``."""
    network.eval()
    total: torch.Tensor | None = None
    mirrored = list(_subsets(axes))
    for flips in mirrored:
        dims = [axis + 2 for axis in flips]
        logits = sliding_window_inference(
            volume.flip(dims) if dims else volume,
            roi_size=window,
            sw_batch_size=_WINDOWS,
            predictor=partial(_forward, network, compute),
            overlap=1 - step,
            mode="gaussian",
            sigma_scale=0.125,
        )
        probs = (logits.flip(dims) if dims else logits)[0].softmax(dim=0)
        total = probs if total is None else total.add_(probs)
    assert total is not None
    return total.div_(len(mirrored))


def _forward(network: nn.Module, compute: Compute, windows: torch.Tensor) -> torch.Tensor:
    alone = windows.shape[0] == 1
    with compute.autocast():
        # See _WINDOWS: a lone window is sent twice, which is still faster than once.
        logits = network(windows.repeat(2, 1, 1, 1, 1) if alone else windows)
    return (logits[:1] if alone else logits).float()


def _subsets(axes: Iterable[int]) -> Iterable[tuple[int, ...]]:
    """All sets of axes, the empty one first."""
    chosen = tuple(axes)
    return itertools.chain.from_iterable(
        itertools.combinations(chosen, k) for k in range(len(chosen) + 1)
    )
