"""What all interactive figures share: plotly's own JSON, so that the page needs plotly.js alone."""

from collections.abc import Callable, Iterable
from html import escape
from typing import Any

from alsweep.report.section import Figure
from alsweep.report.study import PALETTE, Look, Study

INK = "#1c2430"
PALE, FRAME = "#d4d9e0", "#b6bec9"
"""Of help lines and of what is round a figure."""

_FONT = {"family": "system-ui, -apple-system, Segoe UI, Roboto, sans-serif", "color": INK}
_GRID = "#e8ebef"
_BRIGHT = (
    *("#4aa8e0", "#f08339", "#2fc79b", "#d98fb8", "#c9a227"),
    *("#7cc8f2", "#d96c9f", "#b9bec6", "#5cc9b7", "#d07bc4"),
)
"""The palette where paper is black, in its order."""

_LETTERS = 24
"""What a name may have beside a figure."""

BAND, SINGLE = 0.13, 0.6
"""How much is seen of a colour in bands, and in the lines of single seeds."""


def faint(colour: str, alpha: float) -> str:
    """A colour through which others are seen, in plotly's words."""
    red, green, blue = (int(colour[at : at + 2], 16) for at in (1, 3, 5))
    return f"rgba({red},{green},{blue},{alpha})"


def dark_colours() -> dict[str, str]:
    """Each colour of figures to what it is where paper is black; others stay as they are."""
    found = {INK: "#e6eaf0", _GRID: "#2a323d", "#ffffff": "#171d26", "#a7afba": "#6b7686"}
    found |= {PALE: "#3d4754", FRAME: "#5a6573", "#dfe5ec": "#28313d", "#8a94a3": "#7d8896"}
    for day, night in zip(PALETTE, _BRIGHT, strict=True):
        found |= {day: night} | {faint(day, a): faint(night, a) for a in (BAND, SINGLE)}
    return found


def both(colour: str) -> str:
    """A colour by day and by night, in the words of style sheets."""
    return f"light-dark({colour}, {dark_colours().get(colour, colour)})"


def layout(**changes: Any) -> dict[str, Any]:
    """Return the layout that all figures share, with changes."""
    return {
        "font": {**_FONT, "size": 13},
        "paper_bgcolor": "rgba(0,0,0,0)",
        "plot_bgcolor": "rgba(0,0,0,0)",
        "margin": {"l": 64, "r": 16, "t": 16, "b": 48},
        "hoverlabel": {"font": {"size": 12}},
        "showlegend": False,
        "modebar": {"bgcolor": "rgba(0,0,0,0)", "color": "#a7afba", "activecolor": INK},
        **changes,
    }


def legend_above(height: int) -> dict[str, Any]:
    """Changes of a layout that name the traces above a figure of that height."""
    place = {"orientation": "h", "y": 1.0, "yanchor": "bottom", "x": 0}
    margin = {"l": 64, "r": 16, "t": 40, "b": 48}
    return {"showlegend": True, "legend": place, "margin": margin, "height": height}


def axis(title: str | dict[str, Any], **changes: Any) -> dict[str, Any]:
    """Return an axis with the shared look; its title may be switched."""
    return {
        "title": {"text": title, "standoff": 8},
        "gridcolor": _GRID,
        "zeroline": False,
        "linecolor": FRAME,
        "ticks": "outside",
        "tickcolor": FRAME,
        "automargin": True,
        **changes,
    }


def names_axis(names: Iterable[str], title: str = "", **changes: Any) -> dict[str, Any]:
    """Return an axis of strategies, by their places; long names are shortened on it alone."""
    each = list(names)
    ticks = {"tickvals": [plain(name) for name in each], "ticktext": [short(n) for n in each]}
    return axis(title, **ticks, **changes)


def short(name: str) -> str:
    """A name as it fits beside a figure on a phone: its ends, as plotly shows them."""
    half = _LETTERS // 2
    return plain(name if len(name) <= _LETTERS else f"{name[:half]}…{name[1 - half :]}")


def plain(text: str) -> str:
    """Text that plotly shows as it is: by itself it takes ``<`` and ``&`` for markup."""
    return escape(text, quote=False)


def marker(look: Look, size: int = 8) -> dict[str, Any]:
    """Marker of a strategy: white inside for baselines."""
    fill = "#ffffff" if look.baseline else look.colour
    line = {"color": look.colour, "width": 2}
    return {"symbol": look.symbol, "size": size, "color": fill, "line": line}


def panels(study: Study, draw: Callable[[Study, str], Figure]) -> tuple[tuple[str, Figure], ...]:
    """One figure a setting, titled by it where there are several.

    Args:
        study: Whose settings.
        draw: Makes the figure of a setting.
    """
    several = len(study.settings) > 1
    return tuple(
        (name if several else "", draw(study, setting)) for setting, name in study.settings.items()
    )
