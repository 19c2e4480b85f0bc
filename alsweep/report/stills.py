"""Pictures for papers and slides: figures of the page side by side, as PNG, PDF and SVG."""

import base64
import io
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Literal

from matplotlib import rc_context
from matplotlib.figure import Figure as Picture

from alsweep.report.drawing import Panel, words

if TYPE_CHECKING:
    from alsweep.report.section import Figure

Kind = Literal["png", "pdf", "svg"]
KINDS: tuple[Kind, ...] = ("png", "pdf", "svg")

_MOST_COLUMNS = 3
_WIDTH, _HEIGHT = 5.4, 3.8
"""Of a panel, inches; a figure that tells its height has that."""

_LETTER, _LINE = 0.078, 0.22
"""Inches of a letter across, and of a line of text."""

_DOTS = 100
"""Of the page in an inch of a picture."""


def png(picture: Picture) -> bytes:
    """Render a picture; the same one gives the same bytes."""
    return rendered(picture, "png")


def embedded(picture: Picture) -> str:
    """Render a picture of voxels for the page: WebP in base64, a fifth of a PNG of as many dots."""
    buffer = io.BytesIO()
    # At a quality of 90 outlines of one dot stay as they are; below, their colours run.
    picture.savefig(buffer, format="webp", pil_kwargs={"quality": 90})
    return base64.b64encode(buffer.getvalue()).decode()


def rendered(picture: Picture, kind: Kind) -> bytes:
    """Render a picture; the same one gives the same bytes."""
    undated = {"png": {"Software": None}, "pdf": {"CreationDate": None}, "svg": {"Date": None}}
    buffer = io.BytesIO()
    # Ids in an SVG would be drawn anew each time without a salt.
    with rc_context({"svg.hashsalt": "alsweep", "pdf.fonttype": 42}):
        picture.savefig(buffer, format=kind, metadata=undated[kind])
    return buffer.getvalue()


def still(panels: Sequence[tuple[str, "Figure"]]) -> Picture:
    """Draw figures of the page, up to three a row, with one legend below.

    Places are counted in letters, since looking for them takes longer than drawing.

    Args:
        panels: Title and plotly's JSON of each, in which nothing is left to be switched.
    """
    titles, every = [title for title, _ in panels], [Panel(figure) for _, figure in panels]
    columns = min(_MOST_COLUMNS, len(every))
    rows = [
        range(first, min(first + columns, len(every))) for first in range(0, len(every), columns)
    ]
    heights = [max(_height(every[i]) for i in row) for row in rows]
    below = _LINE * _legend_rows(every, columns) + 0.05
    size = (columns * _WIDTH, sum(heights) + below)
    picture = Picture(figsize=size, dpi=150)
    left, under, top = _left(every), _under(every), size[1]
    above = 0.4 if any(titles) else 0.15
    for row, tall in zip(rows, heights, strict=True):
        top -= tall
        for column, i in enumerate(row):
            room = (_WIDTH - left - (0.75 if every[i].has_bar else 0.2), tall - under - above)
            corner = (column * _WIDTH + left, top + under)
            box = (corner[0] / size[0], corner[1] / size[1], room[0] / size[0], room[1] / size[1])
            axes = picture.add_axes(box)
            every[i].draw(axes)
            axes.set_title(words(titles[i]), fontsize=9, loc="left", y=1.02)
    _legend(picture, every, columns)
    return picture


def _height(panel: Panel) -> float:
    return float(panel.layout.get("height", _HEIGHT * _DOTS)) / _DOTS


def _left(every: Sequence[Panel]) -> float:
    """Room for the names beside the panels."""
    return 0.55 + _LETTER * max(panel.up.longest for panel in every)


def _under(every: Sequence[Panel]) -> float:
    """Room for the names below the panels, which may be turned."""
    turned = [panel.across.longest for panel in every if panel.across.asked.get("tickangle")]
    return 0.6 + 0.55 * _LETTER * max(turned, default=0)


def _names(every: Sequence[Panel]) -> list[str]:
    return list(dict.fromkeys(name for panel in every for name in panel.names))


def _legend_rows(every: Sequence[Panel], columns: int) -> int:
    names = _names(every)
    return -(-len(names) // _legend_columns(names, columns)) if names else 0


def _legend_columns(names: Sequence[str], columns: int) -> int:
    beside = int(columns * _WIDTH / (_LETTER * max(map(len, names)) + 0.7))
    return max(1, min(6, beside, len(names)))


def _legend(picture: Picture, every: Sequence[Panel], columns: int) -> None:
    """Each name once, however many panels have it."""
    known: dict[str, Any] = {}
    for axes in picture.axes:
        for handle, name in zip(*axes.get_legend_handles_labels(), strict=True):
            known.setdefault(name, handle)
    names = [name for name in _names(every) if name in known]
    if names:
        ncols = _legend_columns(names, columns)
        look: dict[str, Any] = {"loc": "lower center", "ncols": ncols, "frameon": False}
        picture.legend([known[name] for name in names], names, fontsize=8, **look)
