"""One patch to label, as the page that it is labelled on shows it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from alsweep.label_codes import IGNORE

if TYPE_CHECKING:
    from collections.abc import Mapping

    from jaxtyping import Float, Float64

    from alsweep.data.case import Box
    from alsweep.types import LabelMap


@dataclass(frozen=True)
class PageTask:
    """A patch with context round it, on the grid of the source image.

    All arrays have the shape of the context crop, ``(z, y, x)`` as everywhere: the last axis is the
    first one of a NIfTI file, which holds their transpose.

    Attributes:
        id: Of the patch, unique in the run; files of it begin with it.
        case: Case id.
        channels: The image as it was read, float ``(z, y, x)``, by channel name.
        affine: Of the crop: voxel index ``(x, y, z)`` to RAS, mm; the source's, moved by the crop.
        box: What is to be labelled, within the crop, ``(z, y, x)``.
        prediction: Label codes uint8, to start from; None before the first training.
        score: Higher where the strategy looked for more; None before the first training.
        label: Label codes uint8, 255 where nothing is painted.
        why: Why the patch was chosen, in words.
    """

    id: str
    case: str
    channels: Mapping[str, Float[np.ndarray, "z y x"]]
    affine: Float64[np.ndarray, "4 4"]
    box: Box
    prediction: LabelMap | None
    score: Float[np.ndarray, "z y x"] | None
    label: LabelMap
    why: str

    def __post_init__(self) -> None:
        shapes = {name: one.shape for name, one in self._arrays().items()}
        if set(shapes.values()) != {self.label.shape} or self.label.ndim != 3:
            raise ValueError(f"patch '{self.id}': arrays of one shape are expected, got {shapes}")
        stop = np.add(self.box.start, self.box.size)
        if min(self.box.start) < 0 or min(self.box.size) < 1 or (stop > self.label.shape).any():
            raise ValueError(f"patch '{self.id}': its box {self.box} leaves {self.label.shape}")

    @property
    def painted(self) -> int:
        """Voxels inside the box that have a label."""
        return int((self.label[self.box.slices] != IGNORE).sum())

    def _arrays(self) -> dict[str, np.ndarray[Any, Any]]:
        optional = {"prediction": self.prediction, "score": self.score}
        given = {name: one for name, one in optional.items() if one is not None}
        return {**self.channels, **given, "label": self.label}
