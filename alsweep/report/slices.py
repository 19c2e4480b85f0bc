"""Pictures of queried patches: three orthogonal slices with the box and the label contours."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from numpy.typing import NDArray

from alsweep.geometry import Patch, Triple
from alsweep.report.volumes import Volumes
from alsweep.results.records import QueriedPatch

if TYPE_CHECKING:
    from matplotlib.axes import Axes

INK, PAPER = "#e9edf2", "#0d1117"
BOX = "#ffd60a"
CONTOURS = ("#00e5ff", "#ff5da2", "#7cff6b", "#ff9f1c", "#b39dff", "#ffffff")
"""One colour a foreground class, bright on grey images."""

PLANES = ("axial", "coronal", "sagittal")
_CELL = 1.3


def patch_figure(volumes: Volumes, queried: QueriedPatch, title: str) -> Figure:
    """Draw one patch large: three slices through its centre."""
    return rows_figure(volumes, [queried], title, cell=3.2)


def rows_figure(
    volumes: Volumes, queried: Sequence[QueriedPatch], title: str, cell: float = _CELL
) -> Figure:
    """Draw patches one a row: axial, coronal and sagittal slices through the centre of each.

    Args:
        volumes: Where images and labels come from.
        queried: At least one patch.
        title: Stands above.
        cell: Inches of one slice.
    """
    height = cell * len(queried) + 0.22 * len(queried) + 0.62
    figure = Figure(figsize=(3 * cell, height), facecolor=PAPER, dpi=150)
    grid = figure.add_gridspec(
        len(queried),
        3,
        left=0.01,
        right=0.99,
        bottom=0.3 / height,
        top=1 - 0.55 / height,
        wspace=0.02,
        hspace=0.16,
    )
    for row, patch in enumerate(queried):
        for axis in range(3):
            axes = figure.add_subplot(grid[row, axis])
            _draw_slice(axes, volumes, patch.patch, axis)
            place = patch.patch.start[axis] + patch.patch.size[axis] // 2
            _caption(axes, f"{PLANES[axis]}, {'zyx'[axis]} {place}")
            if axis == 1:
                axes.set_title(_name(patch), color=INK, fontsize=7, pad=3)
    _frame(figure, volumes, title, height)
    return figure


def overview_figure(volumes: Volumes, queried: Sequence[QueriedPatch], title: str) -> Figure:
    """Draw all patches of a query small: the axial slice through the centre of each."""
    columns = min(6, len(queried))
    rows = -(-len(queried) // columns)
    height = (_CELL + 0.3) * rows + 0.7
    width = max(_CELL * columns, 4.5)
    figure = Figure(figsize=(width, height), facecolor=PAPER, dpi=150)
    grid = figure.add_gridspec(
        rows,
        columns,
        left=0.01,
        right=0.99,
        bottom=0.3 / height,
        top=1 - 0.65 / height,
        wspace=0.03,
        hspace=0.26,
    )
    for index, patch in enumerate(queried):
        axes = figure.add_subplot(grid[index // columns, index % columns])
        _draw_slice(axes, volumes, patch.patch, 0)
        axes.set_title(_name(patch, "\n"), color=INK, fontsize=5.5, pad=2)
    _frame(figure, volumes, title, height)
    return figure


def _name(queried: QueriedPatch, between: str = " · ") -> str:
    start = ", ".join(map(str, queried.patch.start))
    score = "" if queried.score is None else f" · score {queried.score:.4g}"
    return f"{queried.patch.case}{between}({start}){score}"


def _caption(axes: "Axes", text: str) -> None:
    axes.text(
        0.02,
        0.02,
        text,
        transform=axes.transAxes,
        color=INK,
        fontsize=5.5,
        bbox={"facecolor": PAPER, "alpha": 0.6, "linewidth": 0, "pad": 1.2},
    )


def _frame(figure: Figure, volumes: Volumes, title: str, height: float) -> None:
    """Title above, colour of each class below."""
    figure.text(0.5, 1 - 0.2 / height, title, color=INK, fontsize=9, ha="center", weight="bold")
    names = volumes.classes[1:]
    for index, name in enumerate(names):
        place = (index + 0.5) / len(names)
        figure.text(
            place, 0.1 / height, f"— {name}", color=_contour(index), fontsize=7, ha="center"
        )


def _contour(index: int) -> str:
    return CONTOURS[index % len(CONTOURS)]


def _draw_slice(axes: "Axes", volumes: Volumes, patch: Patch, axis: int) -> None:
    """Image, reference contours (bold where annotated, faint elsewhere) and the box."""
    spacing = volumes.spacing
    down, right = (other for other in range(3) if other != axis)
    place = patch.start[axis] + patch.size[axis] // 2
    image = np.take(volumes.image(patch.case)[0], place, axis=axis)
    labels = np.take(volumes.reference(patch.case), place, axis=axis)
    low, high = np.percentile(image, [1, 99.5])
    axes.imshow(
        image,
        cmap="gray",
        vmin=low,
        vmax=max(high, low + 1e-6),
        origin="lower",
        aspect=spacing[down] / spacing[right],
        interpolation="bilinear",
    )
    _draw_contours(axes, labels, len(volumes.classes), (0, 0), faint=True)
    inside = labels[patch.slices[down], patch.slices[right]]
    corner = (patch.start[down], patch.start[right])
    _draw_contours(axes, inside, len(volumes.classes), corner, faint=False)
    axes.add_patch(_rectangle(patch.start, patch.size, down, right))
    axes.set_axis_off()


def _rectangle(start: Triple, size: Triple, down: int, right: int) -> Rectangle:
    corner = (start[right] - 0.5, start[down] - 0.5)
    return Rectangle(corner, size[right], size[down], fill=False, edgecolor=BOX, linewidth=1.2)


def _draw_contours(
    axes: "Axes", labels: NDArray[Any], classes: int, corner: tuple[int, int], faint: bool
) -> None:
    rows, columns = (np.arange(n) + c for n, c in zip(labels.shape, corner, strict=True))
    for label in range(1, classes):
        mask = labels == label
        # A contour needs both sides of it, and an array of at least two by two.
        if mask.any() and not mask.all() and min(mask.shape) > 1:
            axes.contour(
                columns,
                rows,
                mask,
                levels=[0.5],
                colors=[_contour(label - 1)],
                linewidths=0.6 if faint else 1.2,
                alpha=0.45 if faint else 1.0,
            )
