"""Pictures of queried patches: orthogonal slices with box, label contours and scores."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.figure import Figure
from matplotlib.gridspec import GridSpec, GridSpecFromSubplotSpec, SubplotSpec
from matplotlib.patches import Rectangle
from matplotlib.patheffects import withStroke
from numpy.typing import NDArray

from alsweep.geometry import Patch, Triple
from alsweep.report.told import draw_told, told_note
from alsweep.report.views import Seen, View, centre
from alsweep.report.volumes import Volumes
from alsweep.results.records import QueriedPatch

if TYPE_CHECKING:
    from matplotlib.axes import Axes

INK, PAPER = "#e9edf2", "#0d1117"
BOX, SHARED_BOX = "#ffd60a", "#3ddc84"
CONTOURS = ("#00e5ff", "#ff5da2", "#7cff6b", "#ff9f1c", "#b39dff", "#ffffff")
"""One colour a foreground class, bright on grey images."""

PLANES = ("axial", "coronal", "sagittal")
_PREDICTED = "- - predicted"
_CELL = 1.3
_COLUMNS = 6
_PAIR_COLUMNS = 3


@dataclass(frozen=True)
class Panel:
    """One query in a picture of several.

    Attributes:
        title: Stands above its patches.
        queried: Its patches.
        seen: What the networks said there; None where they are not stored any more.
    """

    title: str
    queried: Sequence[QueriedPatch]
    seen: Seen | None = None


def patch_figure(
    volumes: Volumes, queried: QueriedPatch, title: str, seen: Seen | None = None
) -> Figure:
    """Draw one patch large: three slices through its centre, and the scores on them below."""
    return rows_figure(volumes, [queried], title, cell=3.2, seen=seen)


def rows_figure(
    volumes: Volumes,
    queried: Sequence[QueriedPatch],
    title: str,
    cell: float = _CELL,
    seen: Seen | None = None,
) -> Figure:
    """Draw patches one a row: axial, coronal and sagittal slices through the centre of each.

    Args:
        volumes: Where images and labels come from.
        queried: At least one patch.
        title: Stands above.
        cell: Inches of one slice.
        seen: What the networks said: their contours dashed, and a second row with the scores.
    """
    layers = 1 if seen is None else 2
    height = (cell * layers + 0.22) * len(queried) + 0.62
    figure = Figure(figsize=(3 * cell, height), facecolor=PAPER, dpi=150)
    grid = figure.add_gridspec(
        len(queried), 1, **_margins(0.3 / height, 1 - 0.55 / height), hspace=0.16 / layers
    )
    for row, patch in enumerate(queried):
        upper = _draw_patch(figure, grid[row], volumes, patch.patch, seen, planes=(0, 1, 2))
        for axis, axes in enumerate(upper):
            _caption(axes, f"{PLANES[axis]}, {'zyx'[axis]} {centre(patch.patch)[axis]}")
        upper[1].set_title(_name(patch), color=INK, fontsize=7, pad=3)
    _frame(figure, volumes, title, height, _notes(seen))
    return figure


def overview_figure(
    volumes: Volumes, queried: Sequence[QueriedPatch], title: str, seen: Seen | None = None
) -> Figure:
    """Draw all patches of a query small: the axial slice through the centre of each."""
    columns = min(_COLUMNS, len(queried))
    rows, layers = -(-len(queried) // columns), 1 if seen is None else 2
    height = (_CELL * layers + 0.3) * rows + 0.7
    width = max(_CELL * columns, 4.5)
    figure = Figure(figsize=(width, height), facecolor=PAPER, dpi=150)
    margins = _margins(0.3 / height, 1 - 0.65 / height)
    grid = figure.add_gridspec(rows, columns, **margins, wspace=0.03, hspace=0.26 / layers)
    _fill(figure, grid, volumes, Panel(title, queried, seen))
    _frame(figure, volumes, title, height, _notes(seen))
    return figure


def pair_figure(volumes: Volumes, left: Panel, right: Panel, title: str) -> Figure:
    """Draw two queries side by side, axial slices; patches that both have are boxed in green.

    Args:
        volumes: Where images and labels come from.
        left: A query.
        right: Another one of the same pool.
        title: Stands above.
    """
    panels = (left, right)
    rows = max(1, *(-(-len(panel.queried) // _PAIR_COLUMNS) for panel in panels))
    layers = 1 if left.seen is None and right.seen is None else 2
    height = (_CELL * layers + 0.3) * rows + 1.1
    width = 2 * _CELL * _PAIR_COLUMNS + 0.4
    figure = Figure(figsize=(width, height), facecolor=PAPER, dpi=150)
    shared = {q.patch for q in left.queried} & {q.patch for q in right.queried}
    for panel, (low, high) in zip(panels, ((0.01, 0.475), (0.525, 0.99)), strict=True):
        margins = {"left": low, "right": high, "bottom": 0.3 / height, "top": 1 - 1.05 / height}
        grid = figure.add_gridspec(
            rows, _PAIR_COLUMNS, **margins, wspace=0.03, hspace=0.26 / layers
        )
        _fill(figure, grid, volumes, panel, shared)
        middle = (low + high) / 2
        below = "" if panel.seen is None else f"\nlower: {panel.seen.score}"
        figure.text(
            middle,
            1 - 0.4 / height,
            f"{panel.title}{below}",
            color=INK,
            fontsize=7.5,
            ha="center",
            va="top",
        )
    _frame(figure, volumes, title, height, [_PREDICTED] * (layers - 1))
    return figure


def _margins(bottom: float, top: float) -> dict[str, float]:
    return {"left": 0.01, "right": 0.99, "bottom": bottom, "top": top}


def _fill(
    figure: Figure,
    grid: GridSpec,
    volumes: Volumes,
    panel: Panel,
    shared: Collection[Patch] = (),
) -> None:
    """Draw the axial slices of a query into a grid, row by row."""
    columns = grid.ncols
    for index, queried in enumerate(panel.queried):
        place = grid[index // columns, index % columns]
        box = SHARED_BOX if queried.patch in shared else BOX
        (upper,) = _draw_patch(figure, place, volumes, queried.patch, panel.seen, box=box)
        upper.set_title(_name(queried, "\n"), color=INK, fontsize=5.5, pad=2)


def _draw_patch(
    figure: Figure,
    place: SubplotSpec,
    volumes: Volumes,
    patch: Patch,
    seen: Seen | None,
    *,
    planes: Sequence[int] = (0,),
    box: str = BOX,
) -> "list[Axes]":
    """Draw slices side by side, the scores on each below it; returns the axes of the slices."""
    layers = 1 if seen is None else 2
    cells = GridSpecFromSubplotSpec(layers, len(planes), place, wspace=0.02, hspace=0.02)
    upper = []
    for column, axis in enumerate(planes):
        axes = figure.add_subplot(cells[0, column])
        view = None if seen is None else seen.views[patch]
        _draw_slice(axes, volumes, patch, axis, view, box)
        upper.append(axes)
        if view is not None:
            _draw_scores(figure.add_subplot(cells[1, column]), volumes, patch, axis, view, box)
    return upper


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


def _frame(
    figure: Figure, volumes: Volumes, title: str, height: float, notes: Sequence[str]
) -> None:
    """Title above; colour of each class and notes below."""
    figure.text(0.5, 1 - 0.2 / height, title, color=INK, fontsize=9, ha="center", weight="bold")
    legend = [(f"— {name}", _contour(i)) for i, name in enumerate(volumes.classes[1:])]
    legend += [(note, INK) for note in (*told_note(volumes.reveal), *notes)]
    for index, (text, colour) in enumerate(legend):
        place = (index + 0.5) / len(legend)
        figure.text(place, 0.1 / height, text, color=colour, fontsize=7, ha="center")


def _notes(seen: Seen | None) -> list[str]:
    return [] if seen is None else [_PREDICTED, f"lower: {seen.score}"]


def _contour(index: int) -> str:
    return CONTOURS[index % len(CONTOURS)]


def _draw_slice(
    axes: "Axes", volumes: Volumes, patch: Patch, axis: int, view: View | None, box: str
) -> None:
    """Image, reference contours (bold where annotated, faint elsewhere), prediction and box."""
    down, right = (other for other in range(3) if other != axis)
    place = centre(patch)[axis]
    volume = volumes.image(patch.case)[0]
    image = np.take(volume, place, axis=axis)
    labels = np.take(volumes.reference(patch.case), place, axis=axis)
    # Of the case, so that air stays dark where a slice holds nothing else; a part of it will do.
    low, high = np.percentile(volume[::3, ::3, ::3], [1, 99.5])
    _show(axes, image, volumes, axis, "gray", (float(low), float(high)))
    classes = len(volumes.classes)
    _draw_contours(axes, labels, classes, (0, 0), linewidths=0.6, alpha=0.45)
    if volumes.reveal == "dense":
        inside = labels[patch.slices[down], patch.slices[right]]
        corner = (patch.start[down], patch.start[right])
        _draw_contours(axes, inside, classes, corner, linewidths=1.2)
    else:
        draw_told(axes, volumes, patch, axis, _contour)
    if view is not None:
        _draw_contours(
            axes, view.labels[axis], classes, (0, 0), linewidths=0.8, linestyles="dashed"
        )
    axes.add_patch(_rectangle(patch.start, patch.size, down, right, box))


def _draw_scores(
    axes: "Axes", volumes: Volumes, patch: Patch, axis: int, view: View, box: str
) -> None:
    """Scores, brighter = higher, with the box; black and white are the same in a whole case."""
    down, right = (other for other in range(3) if other != axis)
    _show(axes, view.scores[axis], volumes, axis, "inferno", (view.low, view.high))
    _caption(axes, f"{view.low:.2g} to {view.high:.2g}")
    axes.add_patch(_rectangle(patch.start, patch.size, down, right, box))


def _show(
    axes: "Axes",
    values: NDArray[Any],
    volumes: Volumes,
    axis: int,
    colours: str,
    between: tuple[float, float],
) -> None:
    down, right = (other for other in range(3) if other != axis)
    low, high = between
    axes.imshow(
        values,
        cmap=colours,
        vmin=low,
        vmax=max(high, low + 1e-6),
        origin="lower",
        aspect=volumes.spacing[down] / volumes.spacing[right],
        interpolation="bilinear",
    )
    axes.set_axis_off()


def _rectangle(start: Triple, size: Triple, down: int, right: int, colour: str) -> Rectangle:
    corner = (start[right] - 0.5, start[down] - 0.5)
    box = Rectangle(corner, size[right], size[down], fill=False, edgecolor=colour, linewidth=1.2)
    # Without a dark rim the box would be lost on bright scores.
    box.set_path_effects([withStroke(linewidth=2.6, foreground=PAPER)])
    return box


def _draw_contours(
    axes: "Axes", labels: NDArray[Any], classes: int, corner: tuple[int, int], **style: Any
) -> None:
    rows, columns = (np.arange(n) + c for n, c in zip(labels.shape, corner, strict=True))
    for label in range(1, classes):
        mask = labels == label
        # A contour needs both sides of it, and an array of at least two by two.
        if mask.any() and not mask.all() and min(mask.shape) > 1:
            colour = _contour(label - 1)
            axes.contour(columns, rows, mask, levels=[0.5], colors=[colour], **style)
