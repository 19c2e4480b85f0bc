"""Predict one case at a time: sliding window, mirroring, members folded into running sums."""

import itertools
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any

import torch
from monai.inferers import sliding_window_inference
from torch import nn

from alsweep.geometry import Triple, triple
from alsweep.model.device import Compute, enough_memory
from alsweep.model.embedding import FeatureMean, outputs_of
from alsweep.model.ensemble_mean import EnsembleMean
from alsweep.model.gradients import GradientMean, inputs_of, targets_of
from alsweep.query.pool import Embedding, Prediction

if TYPE_CHECKING:
    from alsweep.types import Probs, Volume

_WINDOWS, _WINDOWS_ON_CARD = 2, 4
"""Windows per forward pass. One alone is up to 13 times slower on a CPU: oneDNN's fast path needs
more. On an H200 four of 128x128x128 take 0.8 of the time of two, and eight no less than 0.76."""

_OnWindows = Callable[[torch.Tensor, Sequence[Triple]], None]
"""Called after each forward pass with the windows' logits and their lowest corners."""


Encoder = Callable[[nn.Module], nn.Module]
"""The part of a network that embeddings are taken from."""

Head = Callable[[nn.Module], nn.Module]
"""The last layer of a network, that gradients are taken by."""


@dataclass(frozen=True)
class Tiling:
    """How a case is cut into windows and predicted.

    Attributes:
        window: Size of the sliding window, ``(z, y, x)``: the training patch.
        step: Distance of neighbouring windows as a share of the window, in (0, 1].
        axes: Axes (0 = z) to mirror for test-time augmentation; empty for none.
        compute: Device and precision.
        regions: Whether each output goes through a sigmoid of its own, instead of a softmax.
        encoder: Of the learner; needed for ``embedding`` alone.
        head: Of the learner; needed for ``gradient`` and ``soft_gradient`` alone.
        gaussian: Whether the middle of a window counts more than its rim, where windows overlap.
    """

    window: Triple
    step: float
    axes: tuple[int, ...]
    compute: Compute
    regions: bool = False
    encoder: Encoder | None = None
    head: Head | None = None
    gaussian: bool = True


@torch.no_grad()
def predict(
    networks: Sequence[nn.Module],
    image: "Volume",
    tiling: Tiling,
    needs: Collection[str] = ("probs",),
) -> Prediction:
    """What the members say of one case, folded over them one at a time.

    Args:
        networks: The members, on ``tiling.compute.device``.
        image: ``(channel, z, y, x)``, normalised.
        tiling: Windows, mirroring, device.
        needs: What is wanted beside the mean probability: ``mean_entropy``, ``embedding``,
            ``members``, ``gradient``, ``soft_gradient``. For gradients the first member goes over
            the case once more.

    Returns:
        Float32 tensors on ``tiling.compute.device``, float16 for features; probabilities sum to 1
        over ``class`` unless ``tiling.regions``. Memory grows with the number of members for
        ``embedding`` and ``members`` alone.

    Raises:
        TrajectoryFailedError: The device's memory does not suffice.

    Source: Isensee et al. 2021 (nnU-Net): Gaussian importance with sigma = 1/8 of the window.
    """
    # A copy: the image is a read-only memory map, which torch must not be handed.
    volume = torch.from_numpy(image.copy())[None]
    with enough_memory(f"to predict a case of {tuple(image.shape)} voxels"):
        volume = volume.to(tiling.compute.device)
        found = _fold(networks, volume, tiling, needs)
        return replace(found, **_gradients(networks, volume, tiling, needs, found.mean_probs))


def _fold(
    networks: Sequence[nn.Module], volume: torch.Tensor, tiling: Tiling, needs: Collection[str]
) -> Prediction:
    fold = EnsembleMean(len(networks), needs, tiling.regions)
    if "embedding" not in needs:
        for network in networks:
            _fold_member(fold, network, volume, tiling)
        return fold.means()
    features = []
    for network in networks:
        mean = FeatureMean(triple(volume.shape[2:]), tiling.window)
        _fold_member(fold, network, volume, tiling, mean)
        features.append(mean.mean())
    return replace(fold.means(), embedding=Embedding(torch.cat(features), mean.cell))


def _gradients(
    networks: Sequence[nn.Module],
    volume: torch.Tensor,
    tiling: Tiling,
    needs: Collection[str],
    probs: "Probs",
) -> dict[str, Any]:
    """The gradients that are needed, of the first member as it is, without mirroring."""
    targets = targets_of(probs, tiling.regions, alone=len(networks) == 1 and not tiling.axes)
    means = {
        need: GradientMean(target(), tiling.window, tiling.regions)
        for need, target in targets.items()
        if need in needs
    }
    if not means:
        return {}
    assert tiling.head is not None
    with inputs_of(tiling.head(networks[0])) as seen:

        def on_windows(logits: torch.Tensor, corners: Sequence[Triple]) -> None:
            features = seen.pop()[: len(corners)]
            for mean in means.values():
                mean.add(logits, features, corners)

        _slide(networks[0], volume, tiling, on_windows)
    return {need: mean.mean() for need, mean in means.items()}


def _fold_member(
    fold: EnsembleMean,
    network: nn.Module,
    volume: torch.Tensor,
    tiling: Tiling,
    features: FeatureMean | None = None,
) -> None:
    """Count one member in; its probabilities are averaged over the mirrored inputs first."""
    network.eval()
    mirrored = list(_subsets(tiling.axes))
    # The entropy is that of the average: only without mirroring it can come from the logits.
    own = EnsembleMean(len(mirrored), regions=tiling.regions) if tiling.axes else fold
    for flips in mirrored:
        dims = [axis + 2 for axis in flips]
        with _gathering(network, tiling, features, flips) as on_windows:
            logits = _slide(network, volume.flip(dims) if dims else volume, tiling, on_windows)
        own.add_logits((logits.flip(dims) if dims else logits)[0])
    if tiling.axes:
        fold.add(own.means().mean_probs)


@contextmanager
def _gathering(
    network: nn.Module, tiling: Tiling, features: FeatureMean | None, flips: tuple[int, ...]
) -> Iterator[_OnWindows]:
    """What to do after each forward pass: hand its encoder features on, or nothing."""
    if features is None:
        yield lambda logits, corners: None
        return
    assert tiling.encoder is not None
    with outputs_of(tiling.encoder(network)) as seen:
        yield lambda logits, corners: features.add(seen.pop()[: len(corners)], corners, flips)


def _slide(
    network: nn.Module, volume: torch.Tensor, tiling: Tiling, on_windows: _OnWindows
) -> torch.Tensor:
    """Logits of the whole volume, ``(1, class, z, y, x)``."""
    # A small volume is padded on both sides, and window places are those in the padded one.
    padding = triple(
        max(w - n, 0) // 2 for w, n in zip(tiling.window, volume.shape[2:], strict=True)
    )
    logits: torch.Tensor = sliding_window_inference(
        volume,
        roi_size=tiling.window,
        sw_batch_size=_WINDOWS_ON_CARD if volume.is_cuda else _WINDOWS,
        predictor=partial(_forward, network, tiling.compute, padding, on_windows),
        overlap=1 - tiling.step,
        mode="gaussian" if tiling.gaussian else "constant",
        sigma_scale=0.125,
        with_coord=True,
    )
    return logits


def _forward(
    network: nn.Module,
    compute: Compute,
    padding: Triple,
    on_windows: _OnWindows,
    windows: torch.Tensor,
    places: Sequence[Sequence[slice]],
) -> torch.Tensor:
    alone = windows.shape[0] == 1
    with compute.autocast():
        # See _WINDOWS: a lone window is sent twice, which is still faster than once.
        logits = network(windows.repeat(2, 1, 1, 1, 1) if alone else windows)
    corners = [
        triple(axis.start - before for axis, before in zip(place[2:], padding, strict=True))
        for place in places
    ]
    found = logits[:1] if alone else logits
    on_windows(found, corners)
    return found.float()


def _subsets(axes: Iterable[int]) -> Iterable[tuple[int, ...]]:
    """All sets of axes, the empty one first."""
    chosen = tuple(axes)
    return itertools.chain.from_iterable(
        itertools.combinations(chosen, k) for k in range(len(chosen) + 1)
    )
