"""Logits of a case, or of any part of it, from windows that slide over it.

A part has the same bits as in the whole: each window is computed on as many windows at a time, and
the windows that hold a voxel are added up in the same order. What windows stick out of the part is
dropped, so that neighbouring parts compute the windows that straddle them twice and hold nothing
for one another.
"""

from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from math import prod
from typing import TYPE_CHECKING

import torch
from monai.data.utils import compute_importance_map
from torch import nn
from torch.nn import functional

from alsweep.geometry import Triple, triple
from alsweep.model.device import Compute
from alsweep.model.lattice import Box, Lattice, mirrored, whole

if TYPE_CHECKING:
    from jaxtyping import Float
    from torch import Tensor

    from alsweep.types import Probs

    Image = Float[Tensor, "channel z y x"]

_WINDOWS = 2
"""Windows per forward pass, but on CUDA. On a CPU one alone is up to 13 times slower: oneDNN's fast
path needs more."""

_TIMES_ON_CARD = {4: 0.8, 3: 0.9, 2: 1.0}
"""Windows per forward pass on CUDA, and the time that each takes then. On an H200 four of
128x128x128 take 0.8 of the time of two, and eight no less than 0.76; three were not timed."""

_VALUES_ON_CARD = 1 << 28
"""Logits that a forward pass on a card may give, if it can be helped: 1 GiB as float32."""

OnWindows = Callable[[torch.Tensor, Sequence[Triple]], None]
"""Called after each forward pass with the windows' logits and their lowest corners, which are
negative where the case was padded, and those of the mirrored case where it was mirrored."""

Part = Callable[[nn.Module], nn.Module]
"""A part of a network, such as the one that embeddings are taken from."""


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
        outputs: Channels of the logits; None where nobody says, and a case is never cut then.
    """

    window: Triple
    step: float
    axes: tuple[int, ...]
    compute: Compute
    regions: bool = False
    encoder: Part | None = None
    head: Part | None = None
    gaussian: bool = True
    outputs: int | None = None

    def lattice(self, shape: Triple) -> Lattice:
        """Where the windows lie in a case."""
        return Lattice(shape, self.window, self.step)

    def windows_at_once(self, shape: Triple) -> int:
        """Windows of a forward pass: as many for each of a case, whatever part of it is wanted."""
        if self.compute.device.type != "cuda":
            return _WINDOWS
        most = max(1, _VALUES_ON_CARD // ((self.outputs or 1) * prod(self.window)))
        count = self.lattice(shape).windows
        # All passes are full ones: what the last one lacks is computed for nothing.
        taken = {n: -(-count // n) * n * time for n, time in _TIMES_ON_CARD.items() if n <= most}
        return min(taken, key=lambda n: taken[n], default=1)


def slide(
    network: nn.Module,
    image: "Image",
    tiling: Tiling,
    on_windows: OnWindows | None = None,
    flips: Collection[int] = (),
    box: Box | None = None,
) -> "Probs":
    """Logits of a part of a case, ``(class, z, y, x)``, as they are in the whole.

    Args:
        network: On the tiling's device, in ``eval`` mode.
        image: Of the whole case, on any device.
        tiling: Windows and device.
        on_windows: Hears of each forward pass.
        flips: Axes (0 = z) along which the case is mirrored before windows are cut from it; its
            logits are turned back.
        box: The part; all of the case where it is left out.

    Source: Isensee et al. 2021 (nnU-Net): Gaussian importance with sigma = 1/8 of the window; to
    the last bit what MONAI's ``sliding_window_inference`` gives of the whole.
    """
    shape = triple(image.shape[1:])
    wanted = mirrored(box or whole(shape), shape, tuple(flips))
    weight = _importance(tiling)
    total, weights = None, weight.new_zeros([part.stop - part.start for part in wanted])
    for corners, logits in passes(network, image, tiling, flips, wanted):
        if on_windows is not None:
            on_windows(logits, corners)
        weighted = logits.float().mul_(weight)
        if total is None:
            total = weight.new_zeros((weighted.shape[1], *weights.shape))
        for one, corner in zip(weighted, corners, strict=True):
            inside, place = _common(corner, tiling.window, wanted)
            total[:, *place] += one[:, *inside]
            weights[place] += weight[inside]
        del logits, weighted
    assert total is not None, "a part has at least one window"
    total.div_(weights)
    return total.flip([axis + 1 for axis in flips]) if flips else total


def forward(network: nn.Module, windows: "Tensor", compute: Compute, at_once: int) -> "Tensor":
    """Logits of windows; the last one is repeated where they are fewer than ``at_once``.

    So each pass runs the same algorithms, and on a CPU a lone window is sent twice, which is still
    faster than once.
    """
    missing = at_once - len(windows)
    filled = torch.cat([windows, windows[-1:].repeat(missing, 1, 1, 1, 1)]) if missing else windows
    with compute.autocast():
        logits: Tensor = network(filled)
    return logits[: len(windows)]


def passes(
    network: nn.Module,
    image: "Image",
    tiling: Tiling,
    flips: Collection[int] = (),
    wanted: Box | None = None,
) -> "Iterator[tuple[Sequence[Triple], Tensor]]":
    """Corners and logits of the windows that hold any of what is wanted, a pass at a time.

    Args:
        network: On the tiling's device, in ``eval`` mode.
        image: Of the whole case, on any device.
        tiling: Windows and device.
        flips: Axes (0 = z) along which the case is mirrored first.
        wanted: Part of the mirrored case; all of it where it is left out.
    """
    shape = triple(image.shape[1:])
    at_once, device = tiling.windows_at_once(shape), tiling.compute.device
    corners = tiling.lattice(shape).corners(wanted or whole(shape))
    for first in range(0, len(corners), at_once):
        some = corners[first : first + at_once]
        windows = torch.stack([_window(image, tiling.window, c, flips) for c in some])
        yield some, forward(network, windows.to(device), tiling.compute, at_once)


def _window(image: "Image", window: Triple, corner: Triple, flips: Collection[int]) -> "Image":
    """One window of the mirrored case; zero where it sticks out."""
    shape = triple(image.shape[1:])
    ends = [min(c + w, n) for c, w, n in zip(corner, window, shape, strict=True)]
    z, y, x = (slice(max(c, 0), end) for c, end in zip(corner, ends, strict=True))
    inside = mirrored((z, y, x), shape, tuple(flips))
    cut = image[:, *inside].flip([axis + 1 for axis in flips]) if flips else image[:, *inside]
    padding = [
        side
        for c, w, end in reversed(list(zip(corner, window, ends, strict=True)))
        for side in (max(-c, 0), c + w - end)
    ]
    return functional.pad(cut, padding) if any(padding) else cut


def _common(corner: Triple, window: Triple, wanted: Box) -> tuple[Box, Box]:
    """What a window and a part have in common: where it is in the window, and in the part."""
    ends = [
        (max(c, part.start), min(c + w, part.stop))
        for c, w, part in zip(corner, window, wanted, strict=True)
    ]
    inside = tuple(slice(a - c, b - c) for (a, b), c in zip(ends, corner, strict=True))
    place = tuple(slice(a - p.start, b - p.start) for (a, b), p in zip(ends, wanted, strict=True))
    return inside, place  # type: ignore[return-value]


def _importance(tiling: Tiling) -> "Float[Tensor, 'z y x']":
    """How much each voxel of a window counts."""
    return _weights(tiling.window, tiling.gaussian, tiling.compute.device)


@lru_cache(maxsize=4)
def _weights(window: Triple, gaussian: bool, device: torch.device) -> "Tensor":
    mode = "gaussian" if gaussian else "constant"
    weight: Tensor = compute_importance_map(window, mode=mode, sigma_scale=0.125, device=device)
    return weight
