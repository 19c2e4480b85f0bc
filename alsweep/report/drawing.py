"""Figures of the page for papers and slides: plotly's JSON, drawn by matplotlib.

What is drawn is what the page holds, so that no number is made twice. Only what sections use is
known here: lines, markers, texts, bands, bars, heat maps, and straight lines and boxes across.
"""

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from html import unescape
from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib import colormaps
from matplotlib.colors import Colormap, LinearSegmentedColormap, to_rgb
from matplotlib.ticker import MaxNLocator, MultipleLocator
from matplotlib.transforms import blended_transform_factory

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from numpy.typing import NDArray

    from alsweep.report.section import Figure

MARKERS = {
    **{"circle": "o", "square": "s", "diamond": "D", "triangle-up": "^", "cross": "P"},
    "x-thin-open": "x",
}
DASHES: Mapping[str, Any] = {
    **{"solid": "-", "dash": "--", "dot": ":", "dashdot": "-."},
    "longdash": (0, (8, 3)),
    "longdashdot": (0, (8, 3, 1, 3)),
}
_POINTS = 0.72
"""Of a pixel of the page."""

_DARK = 0.45
"""Cells below that brightness bear white text."""

_NAMELESS = "_"
"""What no legend of matplotlib shows."""

_PLACES = {"left": "right", "center": "center", "right": "left"}
"""Where plotly puts a text, to the side of it that matplotlib has there."""


def plain(text: str) -> str:
    """Text that is drawn as it is: between two dollar signs, matplotlib reads mathematics."""
    return text.replace("$", r"\$")


def words(text: object) -> str:
    """A text of the page as it is drawn: no markup, and no formula."""
    return plain(unescape(re.sub(r"</?(b|br|i)/?>", " ", str(text))).strip())


def colour(given: str) -> Any:
    """A colour in matplotlib's words."""
    parts = re.fullmatch(r"rgba\((\d+),(\d+),(\d+),([\d.]+)\)", given)
    if parts is None:
        return given
    red, green, blue, alpha = (float(part) for part in parts.groups())
    return (red / 255, green / 255, blue / 255, alpha)


class Scale:
    """One axis of a figure: where its values lie, be they numbers or names.

    Attributes:
        names: In their order where it has names, else empty.
        asked: The axis in plotly's words.
    """

    def __init__(self, figure: "Figure", letter: str) -> None:
        self.asked: Mapping[str, Any] = figure["layout"].get(f"{letter}axis", {})
        values = [one for trace in figure["data"] for one in trace.get(letter, ())]
        named = any(isinstance(one, str) for one in values)
        order = [*self.asked.get("categoryarray", ()), *values] if named else []
        self.names = list(dict.fromkeys(one for one in order if one is not None))

    def at(self, values: Iterable[Any]) -> "NDArray[np.float64]":
        """Where values lie; NaN where there is none."""
        places = {name: float(place) for place, name in enumerate(self.names)}
        found = (places[v] if v in places else math.nan if v is None else float(v) for v in values)
        return np.array(list(found), dtype=np.float64)

    def ticks(self) -> tuple["NDArray[np.float64]", list[str]] | None:
        """Places and texts; None where matplotlib may choose."""
        asked = self.asked.get("tickvals", self.names)
        texts = zip(asked, self.asked.get("ticktext", asked), strict=True)
        # An axis may name those that are drawn with another control alone.
        known = {at: words(text) for at, text in texts if at in self.names or not self.names}
        return (self.at(known), list(known.values())) if known else None

    @property
    def title(self) -> str:
        """As it is drawn."""
        return words(self.asked.get("title", {}).get("text", ""))

    @property
    def longest(self) -> int:
        """Letters of the longest tick."""
        ticks = self.ticks()
        return 5 if ticks is None else max(map(len, ticks[1]))


class Panel:
    """One figure of the page on axes of its own."""

    def __init__(self, figure: "Figure") -> None:
        self.figure = figure
        self.layout: Mapping[str, Any] = figure["layout"]
        self.across, self.up = Scale(figure, "x"), Scale(figure, "y")
        self._below: dict[tuple[float, bool], float] = {}

    @property
    def names(self) -> list[str]:
        """What the legend holds."""
        every = [self._named(trace) for trace in self._shown]
        return list(dict.fromkeys(name for name in every if name != _NAMELESS))

    @property
    def has_bar(self) -> bool:
        """Whether the colours of cells are explained beside them."""
        heat_maps = [one for one in self._shown if one["type"] == "heatmap"]
        return any(one.get("showscale", True) for one in heat_maps)

    @property
    def _shown(self) -> list["Figure"]:
        return [one for one in self.figure["data"] if one.get("visible", True) is not False]

    def draw(self, axes: "Axes") -> None:
        """Draw all of it."""
        kinds = {"scatter": self._scatter, "bar": self._bar, "heatmap": self._heat_map}
        for trace in self._shown:
            kinds[trace["type"]](axes, trace)
        for shape in self.layout.get("shapes", ()):
            self._shape(axes, shape)
        for note in self.layout.get("annotations", ()):
            self._note(axes, note)
        self._finish(axes)

    def _named(self, trace: Mapping[str, Any]) -> str:
        """What the legend calls a trace; those of no name, or without a legend, are in none."""
        asked = self.layout.get("showlegend", False) or "lines" in trace.get("mode", "")
        shown = asked and trace.get("showlegend", True) and "name" in trace
        return words(trace["name"]) if shown else _NAMELESS

    def _scatter(self, axes: "Axes", trace: Mapping[str, Any]) -> None:
        x, y = self.across.at(trace["x"]), self.up.at(trace["y"])
        if trace.get("fill") == "toself":
            axes.fill(x, y, facecolor=colour(trace["fillcolor"]), linewidth=0)
            return
        self._errors(axes, x, y, trace)
        if isinstance(trace.get("marker", {}).get("size"), list) or isinstance(
            trace.get("marker", {}).get("color"), list
        ):
            self._blobs(axes, x, y, trace)
        else:
            self._line(axes, x, y, trace)
        if "text" in trace["mode"]:
            self._texts(axes, x, y, trace)

    def _line(self, axes: "Axes", x: Any, y: Any, trace: Mapping[str, Any]) -> None:
        line, marker = trace.get("line", {}), trace.get("marker", {})
        rim = marker.get("line", {})
        drawn = "lines" in trace["mode"]
        axes.plot(
            x,
            y,
            label=self._named(trace),
            color=colour(line.get("color", rim.get("color", marker.get("color", "#000000")))),
            linestyle=DASHES[line.get("dash", "solid")] if drawn else "none",
            linewidth=_POINTS * line.get("width", 2),
            drawstyle="steps-post" if line.get("shape") == "hv" else "default",
            marker=MARKERS[marker.get("symbol", "circle")] if "markers" in trace["mode"] else "",
            markersize=_POINTS * marker.get("size", 6),
            markerfacecolor=colour(marker.get("color", "#000000")),
            markeredgecolor=colour(rim.get("color", marker.get("color", "#000000"))),
            markeredgewidth=_POINTS * rim.get("width", 1),
            alpha=trace.get("opacity", 1),
        )

    def _blobs(self, axes: "Axes", x: Any, y: Any, trace: Mapping[str, Any]) -> None:
        marker = trace["marker"]
        colours = marker["color"] if isinstance(marker["color"], list) else [marker["color"]]
        axes.scatter(
            x,
            y,
            s=(_POINTS * np.asarray(marker["size"], dtype=np.float64)) ** 2,
            c=[colour(one) for one in colours],
            marker=MARKERS[marker.get("symbol", "circle")],
            edgecolors=colour(marker["line"]["color"]),
            linewidths=_POINTS * marker["line"]["width"],
            alpha=marker.get("opacity"),
            zorder=2,
        )

    def _errors(self, axes: "Axes", x: Any, y: Any, trace: Mapping[str, Any]) -> None:
        """Intervals with caps; one drawn from few seeds need not hold what it belongs to."""
        for side, cap in (("x", "|"), ("y", "_")):
            error = trace.get(f"error_{side}", {})
            over = error.get("array", ())
            for at, more, less in zip(
                zip(x, y, strict=True), over, error.get("arrayminus", over), strict=False
            ):
                ends = (at[side == "y"] - less, at[side == "y"] + more)
                across, up = (ends, [at[1]] * 2) if side == "x" else ([at[0]] * 2, ends)
                look: dict[str, Any] = {"linewidth": _POINTS * error["thickness"], "marker": cap}
                look |= {"color": colour(error["color"]), "markersize": error.get("width", 5)}
                axes.plot(across, up, label=_NAMELESS, **look)

    def _texts(self, axes: "Axes", x: Any, y: Any, trace: Mapping[str, Any]) -> None:
        down, _, side = trace.get("textposition", "middle center").partition(" ")
        font = trace.get("textfont", {})
        look = {"color": colour(font.get("color", "#1c2430")), "size": font.get("size", 11) * 0.7}
        place: dict[str, Any] = {"ha": _PLACES[side], "va": "bottom" if down == "top" else "center"}
        place |= {"xytext": (0, 5 if down == "top" else 0), "textcoords": "offset points"}
        for text, point in zip(trace["text"], zip(x, y, strict=True), strict=True):
            if np.isfinite(point).all():
                axes.annotate(words(text), point, **place, **look)

    def _bar(self, axes: "Axes", trace: Mapping[str, Any]) -> None:
        """Bars on those that are there already, those below zero under each other."""
        flat = trace.get("orientation") == "h"
        names, values = ("y", "x") if flat else ("x", "y")
        places = (self.up if flat else self.across).at(trace[names])
        heights = np.array([math.nan if v is None else v for v in trace[values]], dtype=np.float64)
        ends = [
            self._below.get((place, h < 0), 0.0) for place, h in zip(places, heights, strict=True)
        ]
        for place, height, end in zip(places, heights, ends, strict=True):
            self._below[place, bool(height < 0)] = end + height
        marker = trace["marker"]
        look = {
            "color": marker["color"],
            "alpha": marker.get("opacity"),
            "label": self._named(trace),
        }
        if flat:
            axes.barh(places, heights, 0.75, left=ends, **look)
        else:
            axes.bar(places, heights, 0.75, bottom=ends, **look)
        self._ends(axes, trace, places, heights)

    def _ends(self, axes: "Axes", trace: Mapping[str, Any], places: Any, heights: Any) -> None:
        """What stands at the ends of upright bars."""
        for text, place, height in zip(trace.get("text", ()), places, heights, strict=False):
            up = height >= 0
            look: dict[str, Any] = {"ha": "center", "va": "bottom" if up else "top", "size": 7.5}
            look |= {"xytext": (0, 2 if up else -2), "textcoords": "offset points"}
            axes.annotate(words(text), (place, height), **look)

    def _heat_map(self, axes: "Axes", trace: Mapping[str, Any]) -> None:
        values = np.array(
            [[math.nan if v is None else v for v in row] for row in trace["z"]], dtype=np.float64
        )
        rows, columns = values.shape
        colours = _colours(trace["colorscale"])
        low, high = trace["zmin"], trace["zmax"]
        cells = axes.pcolormesh(
            np.arange(columns + 1) - 0.5,
            np.arange(rows + 1) - 0.5,
            np.ma.masked_invalid(values),
            **{"cmap": colours, "vmin": low, "vmax": high, "edgecolors": "white", "linewidth": 2},
        )
        for (row, column), value in np.ndenumerate(values):
            text = trace["text"][row][column] if "text" in trace else ""
            if text and np.isfinite(value):
                brightness = np.dot(
                    (0.299, 0.587, 0.114), colours((value - low) / (high - low))[:3]
                )
                ink = "white" if brightness < _DARK else "black"
                axes.text(column, row, text, ha="center", va="center", color=ink, size=8)
        axes.tick_params(length=0)
        axes.spines[:].set_visible(False)
        if trace.get("showscale", True) and axes.figure is not None:
            bar = axes.figure.colorbar(cells, ax=axes, fraction=0.05, pad=0.02)
            bar.set_label(words(trace["colorbar"]["title"]["text"]))

    def _shape(self, axes: "Axes", shape: Mapping[str, Any]) -> None:
        """A straight line, or a box: which of its ends are shares of the panel is said by refs."""
        move = self._move(axes, shape)
        x, y = [shape["x0"], shape["x1"]], [shape["y0"], shape["y1"]]
        look: dict[str, Any] = {"transform": move}
        if shape["type"] == "line":
            line = shape["line"]
            look |= {"linestyle": DASHES[line.get("dash", "solid")]}
            look |= {"color": colour(line["color"]), "linewidth": _POINTS * line["width"]}
            axes.plot(
                x, y, label=_NAMELESS, scaley=shape.get("yref") != "paper", scalex=False, **look
            )
        else:
            corners = [x[0], x[1], x[1], x[0]], [y[0], y[0], y[1], y[1]]
            axes.fill(*corners, facecolor=shape["fillcolor"], linewidth=0, zorder=0, **look)

    def _note(self, axes: "Axes", note: Mapping[str, Any]) -> None:
        font = note.get("font", {})
        place = [scale.at([note[k]])[0] for k, scale in (("x", self.across), ("y", self.up))]
        axes.annotate(
            words(note["text"]),
            (place[0], place[1]),
            xycoords=self._move(axes, note),
            xytext=(0, _POINTS * note.get("yshift", 2)),
            textcoords="offset points",
            ha=note.get("xanchor", "center"),
            va=note.get("yanchor", "center").replace("middle", "center"),
            color=colour(font.get("color", "#1c2430")),
            size=0.7 * font.get("size", 12),
        )

    def _move(self, axes: "Axes", one: Mapping[str, Any]) -> Any:
        sides = [
            axes.transAxes if one.get(f"{k}ref") == "paper" else axes.transData for k in ("x", "y")
        ]
        return blended_transform_factory(sides[0], sides[1])

    def _finish(self, axes: "Axes") -> None:
        flat = any(trace["type"] == "heatmap" for trace in self.figure["data"])
        for letter, scale in (("x", self.across), ("y", self.up)):
            self._axis(axes, letter, scale)
            if scale.asked.get("showgrid", True) and not scale.names:
                axes.grid(axis=letter, color="#e5e8ec", linewidth=0.8)  # type: ignore[arg-type]
        axes.set_axisbelow(True)
        if not flat:
            axes.spines[["top", "right"]].set_visible(False)
        axes.tick_params(labelsize=8)

    def _axis(self, axes: "Axes", letter: str, scale: Scale) -> None:
        one, asked = getattr(axes, f"{letter}axis"), scale.asked
        limit = getattr(axes, f"set_{letter}lim")
        if asked.get("type") == "log":
            getattr(axes, f"set_{letter}scale")("log")
        elif (ticks := scale.ticks()) is not None:
            one.set_ticks(*ticks)
        elif "dtick" in asked:
            one.set_major_locator(MultipleLocator(asked["dtick"]))
        else:
            one.set_major_locator(MaxNLocator(5))
        if "range" in asked:
            limit(*asked["range"])
        elif scale.names:
            limit(-0.5, len(scale.names) - 0.5)
        elif asked.get("rangemode") == "tozero":
            limit(0)
        if asked.get("autorange") == "reversed":
            one.set_inverted(True)
        if asked.get("zeroline"):
            getattr(axes, "axvline" if letter == "x" else "axhline")(0, color="#8a94a3", lw=0.8)
        if letter == "x" and asked.get("tickangle"):
            axes.tick_params(axis="x", rotation=-asked["tickangle"])
            for text in axes.get_xticklabels():
                text.set(ha="right", rotation_mode="anchor")
        getattr(axes, f"set_{letter}label")(scale.title, size=9)


def _colours(scale: str | Sequence[tuple[float, str]]) -> Colormap:
    if isinstance(scale, str):
        return colormaps[scale.lower()]
    steps = [(float(place), to_rgb(given)) for place, given in scale]
    return LinearSegmentedColormap.from_list("page", steps)
