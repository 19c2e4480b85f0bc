"""What an annotator told of a patch, where that was less than every voxel."""

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from alsweep.config.reveal import Reveal
from alsweep.data.labels.revealing import revealed
from alsweep.geometry import Patch
from alsweep.label_codes import boxed
from alsweep.report.study import Study
from alsweep.report.volumes import Volumes

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_WORDS: dict[Reveal, str] = {
    "box": "boxes and a seed in each",
    "points": "a point in each piece of a class",
    "scribbles": "a stroke through each piece of a class",
}

Colour = Callable[[int], str]
"""Of a foreground class, from 0."""


def told_note(mode: Reveal) -> list[str]:
    """For the legend of a picture; nothing where all is told."""
    return [] if mode == "dense" else [f"dots: {_WORDS[mode]}, of all slices"]


def draw_told(axes: "Axes", volumes: Volumes, patch: Patch, axis: int, colour: Colour) -> None:
    """Draw into a slice through a patch what was told of all its slices.

    Args:
        axes: Hold the slice.
        volumes: Where labels come from, and what is told of them.
        patch: The slice goes through it.
        axis: Across which the slice lies.
        colour: Of each class.
    """
    labels = np.array(volumes.reference(patch.case)[patch.slices], dtype=np.uint8)
    classes = len(volumes.classes)
    told = revealed(labels, volumes.reveal, classes)
    down, right = (other for other in range(3) if other != axis)
    for value in range(1, classes):
        rows, columns = np.nonzero((told == value).any(axis=axis))
        corner = patch.start[down], patch.start[right]
        axes.plot(columns + corner[1], rows + corner[0], ".", color=colour(value - 1), markersize=3)
        _draw_box(axes, (told == boxed(value, classes)).any(axis=axis), corner, colour(value - 1))


def _draw_box(
    axes: "Axes", inside: NDArray[np.bool_], corner: tuple[int, int], colour: str
) -> None:
    """Outline what a class's boxes cover."""
    if inside.any():
        # A contour needs both sides of it.
        padded = np.pad(inside, 1)
        rows, columns = (np.arange(n) + c - 1 for n, c in zip(padded.shape, corner, strict=True))
        axes.contour(columns, rows, padded, levels=[0.5], colors=[colour], linestyles="dotted")


def told_caption(study: Study) -> str:
    """One sentence where annotators told less than every voxel; else nothing."""
    modes = _modes(study)
    if not modes:
        return ""
    what = "; ".join(_WORDS[mode] for mode in modes)
    return (
        f" Told of a patch: {what}. Foreground counts are of voxels whose class was told, voxels "
        "are all of the patches."
    )


def _modes(study: Study) -> Iterable[Reveal]:
    configs = (t.config for run in study.runs for t in run.trajectories)
    found = {config.annotator.reveal for config in configs if config is not None}
    return sorted(found - {"dense"})
