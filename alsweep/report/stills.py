"""The figures that papers and slides need as files: learning curves and win matrix as PNG."""

import io
from typing import TYPE_CHECKING, Literal

import numpy as np
import pandas as pd
from matplotlib import rc_context
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from alsweep.report.published import GREY, dash, drawn, shown_as
from alsweep.report.study import Look, Study
from alsweep.results.fulldata import mean_full_dice

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_MARKERS = {"circle": "o", "square": "s", "diamond": "D", "triangle-up": "^", "cross": "P"}
_DASHES = {
    "solid": "-",
    "dash": "--",
    "dot": ":",
    "dashdot": "-.",
    "longdash": (0, (8, 3)),
    "longdashdot": (0, (8, 3, 1, 3)),
}
_MOST_COLUMNS = 3
_LETTERS = 24
_INCHES_A_LETTER = 0.09
"""What a longer name needs beside the win matrix, or in a legend."""


def png(figure: Figure) -> bytes:
    """Render a figure; the same figure gives the same bytes."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", metadata={"Software": None})
    return buffer.getvalue()


def vector(figure: Figure, kind: Literal["pdf", "svg"]) -> bytes:
    """Render a figure to be scaled; the same figure gives the same bytes."""
    undated = {"CreationDate": None} if kind == "pdf" else {"Date": None}
    buffer = io.BytesIO()
    # Ids in an SVG would be drawn anew each time without a salt.
    with rc_context({"svg.hashsalt": "alsweep", "pdf.fonttype": 42}):
        figure.savefig(buffer, format=kind, metadata=undated)
    return buffer.getvalue()


def plain(text: str) -> str:
    """Text that is drawn as it is: between two dollar signs, matplotlib reads mathematics."""
    return text.replace("$", r"\$")


def learning_curves(study: Study, table: pd.DataFrame) -> Figure:
    """Draw mean Dice over annotated patches, one small multiple a setting.

    Args:
        study: For names, colours and order.
        table: From :func:`alsweep.report.sections.curves.curve_table`.
    """
    settings = list(study.settings.items())
    columns = max(1, min(_MOST_COLUMNS, len(settings)))
    rows = max(1, -(-len(settings) // columns))
    figure = Figure(figsize=(5.6 * columns, 3.9 * rows + 0.5), dpi=150, layout="constrained")
    for index, (setting, name) in enumerate(settings):
        axes = figure.add_subplot(rows, columns, index + 1)
        _draw_published(axes, study, setting)
        _draw_curves(axes, study, table[table["setting"] == setting])
        _draw_full_data(axes, study, setting)
        axes.set_title(plain(name), fontsize=9, loc="left")
    handles = figure.axes[0].get_legend_handles_labels() if figure.axes else ([], [])
    if handles[0]:
        longest = max(map(len, handles[1]))
        beside = int(5.6 * columns / (_INCHES_A_LETTER * longest + 0.6))
        ncols = max(1, min(4, beside, len(handles[0])))
        figure.legend(*handles, loc="outside lower center", ncols=ncols, frameon=False)
    return figure


def _draw_published(axes: "Axes", study: Study, setting: str) -> None:
    """Other people's curves, in grey, below the study's own."""
    for index, (_, strategy, points) in enumerate(drawn(study, setting)):
        axes.plot(
            points["patches"].to_numpy(dtype=np.float64),
            100 * points["mean"].to_numpy(dtype=np.float64),
            label=plain(f"published: {shown_as(strategy)}"),
            color=GREY,
            linewidth=1.1,
            linestyle=_DASHES[dash(index)],
        )


def _draw_curves(axes: "Axes", study: Study, table: pd.DataFrame) -> None:
    for look in study.looks:
        mine = table[table["strategy"] == look.strategy]
        x, mean, std = (
            mine[name].to_numpy(dtype=np.float64) for name in ("annotated_patches", "mean", "std")
        )
        axes.fill_between(
            x, 100 * (mean - std), 100 * (mean + std), color=look.colour, alpha=0.13, lw=0
        )
        _draw_line(axes, look, x, 100 * mean)
        if len(mine) and mine["seeds"].iloc[-1] < table["seeds"].max():
            # Where a line lacks seeds, their number stands at its end.
            note, end = f"   n = {mine['seeds'].iloc[-1]}", (x[-1], 100 * mean[-1])
            axes.annotate(note, end, color=look.colour, fontsize=7, va="center")
    axes.set_xlabel("Annotated patches")
    axes.set_ylabel("Mean Dice [%]")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.grid(color="#e5e8ec", linewidth=0.8)
    axes.spines[["top", "right"]].set_visible(False)


def _draw_full_data(axes: "Axes", study: Study, setting: str) -> None:
    references = study.references.get(setting, ())
    if references:
        level = 100 * mean_full_dice(references)
        axes.axhline(level, color="#1c2430", linewidth=1.2, linestyle=":", label="full data")


def _draw_line(axes: "Axes", look: Look, x: "np.ndarray", y: "np.ndarray") -> None:
    axes.plot(
        x,
        y,
        label=plain(look.name),
        color=look.colour,
        linewidth=1.8,
        markersize=5,
        marker=_MARKERS[look.symbol],
        linestyle="--" if look.baseline else "-",
        markerfacecolor="white" if look.baseline else look.colour,
    )


def win_matrix_figure(matrix: pd.DataFrame, names: dict[str, str], title: str) -> Figure:
    """Draw a win matrix as a heat map, 0 to 100 percent.

    Args:
        matrix: Square frame of fractions, in the order to draw.
        names: Strategy to the name to print.
        title: Stands above.
    """
    labels = [plain(names[str(strategy)]) for strategy in matrix.index]
    longest = max(map(len, labels), default=0)
    edge = 0.75 * len(matrix) + 2.4 + _INCHES_A_LETTER * max(0, longest - _LETTERS)
    figure = Figure(figsize=(edge + 0.6, edge), dpi=150, layout="constrained")
    axes = figure.add_subplot()
    values = 100 * matrix.to_numpy(dtype=np.float64)
    image = axes.imshow(values, cmap="viridis", vmin=0, vmax=100)
    axes.set_xticks(range(len(labels)), labels, rotation=35, ha="right", rotation_mode="anchor")
    axes.set_yticks(range(len(labels)), labels)
    axes.set_xlabel("loses")
    axes.set_ylabel("wins")
    axes.spines[:].set_visible(False)
    for (row, column), value in np.ndenumerate(values):
        if np.isfinite(value):
            ink = "black" if value > 60 else "white"
            axes.text(column, row, f"{value:.1f}", ha="center", va="center", color=ink, fontsize=9)
    figure.suptitle(plain(title), fontsize=9, x=0.02, ha="left")
    figure.colorbar(image, ax=axes, label="budgets won [%]", shrink=0.8)
    return figure
