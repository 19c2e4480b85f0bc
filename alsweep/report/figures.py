"""Interactive figures as plotly's own JSON, so that the page needs plotly.js and nothing else."""

from collections.abc import Iterable
from typing import Any

import numpy as np
import pandas as pd

from alsweep.report.study import Look, Study

Figure = dict[str, Any]

_FONT = {"family": "system-ui, -apple-system, Segoe UI, Roboto, sans-serif", "color": "#1c2430"}
_GRID = "#e8ebef"
_PHASES = (("train_seconds", "train"), ("evaluate_seconds", "evaluate"), ("query_seconds", "query"))
_PHASE_COLOURS = {"train": "#33658a", "evaluate": "#86bbd8", "query": "#f6ae2d"}


def layout(**changes: Any) -> dict[str, Any]:
    """Return the layout that all figures share, with changes."""
    return {
        "font": {**_FONT, "size": 13},
        "paper_bgcolor": "rgba(0,0,0,0)",
        "plot_bgcolor": "rgba(0,0,0,0)",
        "margin": {"l": 64, "r": 16, "t": 16, "b": 48},
        "hoverlabel": {"font": {"size": 12}},
        "showlegend": False,
        "modebar": {"bgcolor": "rgba(0,0,0,0)", "color": "#a7afba", "activecolor": "#1c2430"},
        **changes,
    }


def axis(title: str, **changes: Any) -> dict[str, Any]:
    """Return an axis with the shared look."""
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


def win_heat_map(matrix: pd.DataFrame, looks: Iterable[Look]) -> Figure:
    """Rows win, columns lose; percent on a fixed scale, the diagonal blank."""
    names = {look.strategy: look.name for look in looks}
    labels = [names[str(strategy)] for strategy in matrix.index]
    values = 100 * matrix.to_numpy(dtype=np.float64)
    cells = [[None if np.isnan(v) else round(float(v), 4) for v in row] for row in values]
    text = [["" if v is None else f"{v:.1f}" for v in row] for row in cells]
    heat = {
        "type": "heatmap",
        "z": cells,
        "x": labels,
        "y": labels,
        "text": text,
        "texttemplate": "%{text}",
        "zmin": 0,
        "zmax": 100,
        "colorscale": "Viridis",
        "xgap": 3,
        "ygap": 3,
        "hoverongaps": False,
        "hovertemplate": "<b>%{y}</b> beats <b>%{x}</b><br>at %{z:.1f} % of budgets<extra></extra>",
        "colorbar": {"title": {"text": "budgets won [%]", "side": "right"}, "thickness": 12},
    }
    across = axis("loses", side="bottom", showgrid=False, tickangle=-30, ticks="")
    down = axis("wins", autorange="reversed", showgrid=False, ticks="")
    return {
        "data": [heat],
        "layout": layout(xaxis=across, yaxis=down, height=210 + 58 * len(labels)),
    }


def rank_intervals(ranks: pd.DataFrame, looks: Iterable[Look]) -> Figure:
    """Mean rank and bootstrap interval of each strategy, best at the top."""
    by_name = {look.strategy: look for look in looks}
    data = []
    for strategy, row in ranks.iterrows():
        look = by_name[str(strategy)]
        rank = float(row["mean_rank"])
        bar: Figure = {"visible": False}
        if not pd.isna(row["low"]):
            over, under = float(row["high"]) - rank, rank - float(row["low"])
            bar = {"type": "data", "symmetric": False, "array": [over], "arrayminus": [under]} | {
                "thickness": 2.5,
                "width": 7,
                "color": look.colour,
            }
        data.append(
            {
                "type": "scatter",
                "mode": "markers",
                "x": [rank],
                "y": [look.name],
                "error_x": bar,
                "marker": marker(look, 12),
                "hovertemplate": "%{y}: mean rank %{x:.2f}<extra></extra>",
            }
        )
    across = axis("mean rank (1 = highest AUBC)", range=[0.5, len(ranks) + 0.5], dtick=1)
    down = axis("", autorange="reversed", showgrid=False)
    return {"data": data, "layout": layout(xaxis=across, yaxis=down, height=130 + 42 * len(ranks))}


def marker(look: Look, size: int = 8) -> dict[str, Any]:
    """Marker of a strategy: white inside for baselines."""
    fill = "#ffffff" if look.baseline else look.colour
    line = {"color": look.colour, "width": 2}
    return {"symbol": look.symbol, "size": size, "color": fill, "line": line}


def foreground_of_queries(study: Study, setting: str) -> Figure:
    """Share of foreground among the voxels that each loop added, mean over seeds."""
    rows = study.done[study.done["setting"] == setting].sort_values(["trajectory", "loop"])
    counts = rows.groupby("trajectory")[["foreground_voxels", "annotated_voxels"]]
    # Loop 0 has no predecessor: what it added is what it has.
    added = counts.diff().fillna(rows[["foreground_voxels", "annotated_voxels"]])
    share = 100 * added["foreground_voxels"] / added["annotated_voxels"].where(lambda v: v > 0)
    means = rows.assign(share=share).groupby(["strategy", "loop"])["share"].mean()
    data = []
    for look in study.looks:
        if look.strategy in means.index:
            mine = means.loc[look.strategy].dropna()
            data.append(_line(look, mine.index.tolist(), mine.round(4).tolist()))
    across = axis("loop (0 = starting budget)", dtick=1)
    down = axis("foreground in the new patches [%]", rangemode="tozero")
    return {"data": data, "layout": layout(xaxis=across, yaxis=down, height=340)}


def _line(look: Look, x: list[Any], y: list[Any]) -> Figure:
    return {
        "type": "scatter",
        "mode": "lines+markers",
        "name": look.name,
        "x": x,
        "y": y,
        "line": {"color": look.colour, "width": 2.5, "dash": "dash" if look.baseline else "solid"},
        "marker": marker(look),
        "hovertemplate": f"{look.name}<br>loop %{{x}}: %{{y:.2f}} %<extra></extra>",
    }


def compute_bars(study: Study, setting: str) -> Figure:
    """Seconds of a trajectory by phase, mean over seeds."""
    rows = study.done[study.done["setting"] == setting]
    phases = [name for name, _ in _PHASES]
    totals = rows.groupby(["strategy", "trajectory"])[phases].sum().groupby("strategy").mean()
    looks = [look for look in study.looks if look.strategy in totals.index]
    data = [
        {
            "type": "bar",
            "orientation": "h",
            "name": name,
            "y": [look.name for look in looks],
            "x": [round(float(totals[column].loc[look.strategy]), 3) for look in looks],
            "marker": {"color": _PHASE_COLOURS[name]},
            "hovertemplate": f"{name}: %{{x:.1f}} s<extra>%{{y}}</extra>",
        }
        for column, name in _PHASES
    ]
    legend = {"orientation": "h", "y": 1.0, "yanchor": "bottom", "x": 0, "traceorder": "normal"}
    return {
        "data": data,
        "layout": layout(
            barmode="stack",
            showlegend=True,
            legend=legend,
            margin={"l": 64, "r": 16, "t": 40, "b": 48},
            xaxis=axis("seconds a trajectory"),
            yaxis=axis("", autorange="reversed", showgrid=False),
            height=150 + 40 * len(looks),
        ),
    }
