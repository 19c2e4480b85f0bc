"""What all interactive figures share: plotly's own JSON, so that the page needs plotly.js alone."""

from collections.abc import Callable
from html import escape
from typing import Any

from alsweep.report.section import Figure
from alsweep.report.study import Look, Study

INK = "#1c2430"
_FONT = {"family": "system-ui, -apple-system, Segoe UI, Roboto, sans-serif", "color": INK}
_GRID = "#e8ebef"


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


def axis(title: str | dict[str, Any], **changes: Any) -> dict[str, Any]:
    """Return an axis with the shared look; its title may be switched."""
    return {
        "title": {"text": title, "standoff": 8},
        "gridcolor": _GRID,
        "zeroline": False,
        "linecolor": "#b6bec9",
        "ticks": "outside",
        "tickcolor": "#b6bec9",
        "automargin": True,
        **changes,
    }


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
