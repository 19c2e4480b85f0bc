"""Windows without labels as options want them: as they are, and changed as by another scanner."""

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import torch

from alsweep.config.augmentation import AugmentationConfig
from alsweep.data.patches import UnlabelledWindows
from alsweep.model.augment import Augmentation
from alsweep.model.learner import Setup
from alsweep.rng import stream

if TYPE_CHECKING:
    from jaxtyping import Bool, Float32, Int64
    from numpy.typing import NDArray
    from torch import Tensor

STRONG = AugmentationConfig(
    noise=0.5, blur=0.3, brightness=0.5, contrast=0.5, low_resolution=0.25, gamma=0.5
)
"""How the intensities of a view are changed, more often than those of training patches."""


class Views(NamedTuple):
    """Windows of the pool's images, annotated or not.

    Attributes:
        numbers: Of each window's place; 0 where places are not numbered.
        weak: ``(window, channel, z, y, x)``, as they are.
        strong: The same places, intensities changed; nothing is moved.
        flips: ``(window, axis)``: along which of the spatial axes it is to be mirrored.
    """

    numbers: "Int64[Tensor, ' window']"
    weak: "Float32[Tensor, 'window channel z y x']"
    strong: "Float32[Tensor, 'window channel z y x']"
    flips: "Bool[Tensor, 'window 3']"

    def mirrored(self, volumes: "Tensor") -> "Tensor":
        """Mirror each window's volume ``(..., z, y, x)`` along its axes; twice is not at all."""
        pairs = zip(volumes, self.flips.tolist(), strict=True)
        return torch.stack([one.flip([a - 3 for a in range(3) if own[a]]) for one, own in pairs])


class UnlabelledViews:
    """Draws :class:`Views`, as arrays.

    Args:
        setup: Gives the images, the window, and the axes that may be mirrored.
        count: Windows a draw.
        places: Draw among so many places, the same throughout a trajectory, so that something can
            be known of each; None for any place.
    """

    def __init__(self, setup: Setup, count: int, places: int | None = None) -> None:
        self._setup = setup
        self._places = places
        self._any = UnlabelledWindows(setup.dataset, setup.topology.window, count)
        self._one = UnlabelledWindows(setup.dataset, setup.topology.window, 1)
        self._count = count
        self._strong = Augmentation(STRONG, setup.topology.window, ())

    def draw(self, rng: np.random.Generator) -> "tuple[NDArray[Any], ...]":
        """The fields of :class:`Views`."""
        numbers, weak = self._drawn(rng)
        nothing = np.zeros(self._setup.topology.window, dtype=np.uint8)
        strong = np.stack([self._strong(window, nothing, rng)[0] for window in weak])
        flips = rng.random((self._count, 3)) < 0.5
        flips &= np.isin(range(3), self._setup.axes)
        return numbers, weak, strong, flips

    def _drawn(self, rng: np.random.Generator) -> "tuple[NDArray[Any], NDArray[Any]]":
        if self._places is None:
            return np.zeros(self._count, dtype=np.int64), self._any.draw(rng)
        numbers = rng.choice(self._places, self._count, replace=False)
        return numbers, np.concatenate([self._at(int(number)) for number in numbers])

    def _at(self, number: int) -> "NDArray[Any]":
        return self._one.draw(stream(self._setup.seed, "place", number))
