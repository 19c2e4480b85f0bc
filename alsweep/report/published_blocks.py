"""What a page shows of published results: grey curves, tables, a grey win matrix."""

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import pandas as pd

from alsweep.report.figures import axis, layout, plain
from alsweep.report.published import (
    DASHES,
    GREY,
    Layer,
    called_here,
    dash,
    drawn,
    layers,
    shown_as,
)
from alsweep.report.section import Block, Caption, Figure, Figures, Tables, switched
from alsweep.report.study import Study
from alsweep.report.tables import Table, percent


def curve_traces(study: Study, setting: str) -> list[Figure]:
    """Grey lines below the study's own; only mean Dice over patches is published."""
    visible = switched(
        "metric",
        {
            "mean_dice": switched(
                "x",
                {
                    "annotated_patches": True,
                    "annotated_voxels": False,
                    "foreground_fraction": False,
                },
            )
        }
        | {f"dice_{name}": False for name in study.class_names},
    )
    return [
        {
            "type": "scatter",
            "mode": "lines+markers",
            "name": f"published: {plain(shown_as(strategy))}",
            "visible": visible,
            "line": {"color": GREY, "width": 1.6, "dash": dash(index)},
            "marker": {"color": GREY, "size": 5, "symbol": "x-thin-open"},
            "x": [float(x) for x in points["patches"]],
            "y": [round(100 * float(y), 4) for y in points["mean"]],
            "customdata": [[int(loop), int(n)] for loop, n in points["seeds"].items()],  # type: ignore[call-overload]
            "hovertemplate": f"<b>published: {plain(shown_as(strategy))}</b><br>"
            f"{plain(layer.source)}, loop %{{customdata[0]}}: %{{y:.2f}} % "
            "(n = %{customdata[1]})<extra></extra>",
        }
        for index, (layer, strategy, points) in enumerate(drawn(study, setting))
    ]


def curve_blocks(study: Study) -> Iterator[Block]:
    """What is published on each setting, and what it cannot be compared for."""
    if study.published is None:
        return
    tables = []
    for setting, name in study.settings.items():
        for layer in layers(study, setting):
            yield Caption(_caption(layer, name, study, setting))
            dashes = _dashes(study, setting, layer)
            tables.append((f"Published: {layer.title}", _table(layer, dashes)))
    yield Tables(tuple({title: (title, table) for title, table in tables}.values()))


def _dashes(study: Study, setting: str, layer: Layer) -> dict[str, str]:
    """How the line of each strategy of a layer is drawn."""
    every = enumerate(drawn(study, setting))
    return {
        strategy: DASHES[dash(index)]
        for index, (one, strategy, _) in every
        if one.title == layer.title
    }


def _caption(layer: Layer, name: str, study: Study, setting: str) -> str:
    where = f"{name}: " if len(study.settings) > 1 else ""
    mine = [one for one, _, _ in drawn(study, setting) if one is layer or one.title == layer.title]
    if mine:
        how = "Grey lines are published results"
        if layer.start is None or layer.query is None:
            how += ", loop by loop at this study's budgets, since their own are not told"
    elif any(True for _ in layer.curves()):
        how = "Published curves are at budgets far from these and are not drawn: results"
    else:
        how = "Published are means over seeds without curves, in the table below: results"
    return (
        f"{where}{how} of {layer.title}, from other trainings; no test, rank or interval here "
        f"knows of them. {comparable(layer)}"
    )


def comparable(layer: Layer) -> str:
    """Whether a layer's design is that of the setting, and else what differs."""
    if layer.differences:
        return f"NOT comparable: {'; '.join(layer.differences)}."
    return "Same dataset, patch size, start and query size, as far as names tell it."


def _table(layer: Layer, dashes: Mapping[str, str]) -> Table:
    rows = layer.rows
    lines = []
    for strategy, mine in rows.groupby("strategy", sort=False):
        seeds = mine["n"].dropna()
        own = mine.loc[mine["metric"] == "mean_dice", "seed"].dropna().nunique()
        count = str(int(seeds.max())) if len(seeds) else str(own) if own else "—"
        cells = [_cell(mine, metric) for metric in ("aubc", "final", "fg_eff")]
        line = dashes.get(str(strategy), "—")
        lines.append((shown_as(str(strategy)), *cells, count, line))
    headings = ("Published strategy", "AUBC [%]", "Final [%]", "FG-Eff", "Seeds", "Grey line")
    return Table(headings, tuple(lines))


def _cell(rows: pd.DataFrame, metric: str) -> str:
    """Mean ± deviation; percent, but FG-Eff, whose deviation is the standard error of the fit."""
    found = rows[(rows["metric"] == metric) & rows["value"].notna()]
    if found.empty:
        return "—"
    value = float(found["value"].mean())
    text: Any = percent if metric != "fg_eff" else lambda number: f"{number:.2f}"
    spread = found["std"].iloc[0] if len(found) == 1 else found["value"].std()
    return text(value) if pd.isna(spread) else f"{text(value)} ± {text(float(spread))}"


def win_blocks(study: Study) -> Iterator[Block]:
    """Published win matrices, beside the study's own."""
    panels: dict[str, Figure] = {}
    captions: dict[str, str] = {}
    for setting in study.settings:
        for layer in layers(study, setting):
            wins = layer.rows[layer.rows["metric"] == "win"]
            if len(wins):
                title = f"Published: {layer.title}"
                panels.setdefault(title, _heat_map(wins))
                captions.setdefault(title, comparable(layer))
    if panels:
        shown = tuple((plain(title), figure) for title, figure in panels.items())
        yield Figures(shown, name="published")
        yield Caption(
            "Grey: win matrices as published, share of budgets at which the row beats the column "
            "significantly, by their own tests (nnActive's take in loop 0), over their own seeds "
            f"and trainings. {' '.join(dict.fromkeys(captions.values()))}"
        )


def _heat_map(wins: pd.DataFrame) -> Figure:
    names = list(dict.fromkeys([*wins["strategy"], *wins["against"]]))
    matrix = wins.pivot_table("value", "strategy", "against").reindex(index=names, columns=names)
    labels = [plain(called_here(name)) for name in names]
    values = 100 * matrix.to_numpy(dtype=np.float64)
    cells = [[None if np.isnan(v) else round(float(v), 4) for v in row] for row in values]
    across: Mapping[str, Any] = axis(
        "loses", side="bottom", showgrid=False, tickangle=-30, ticks=""
    )
    heat = {
        "type": "heatmap",
        "z": cells,
        "x": labels,
        "y": labels,
        "text": [["" if v is None else f"{v:.1f}" for v in row] for row in cells],
        "texttemplate": "%{text}",
        "zmin": 0,
        "zmax": 100,
        "colorscale": [[0, "#eef0f2"], [1, "#30363d"]],
        "xgap": 3,
        "ygap": 3,
        "showscale": False,
        "hoverongaps": False,
        "hovertemplate": "published: <b>%{y}</b> beats <b>%{x}</b><br>at %{z:.1f} % of budgets"
        "<extra></extra>",
    }
    return {
        "data": [heat],
        "layout": layout(
            margin={"l": 64, "r": 16, "t": 36, "b": 48},
            xaxis=across,
            yaxis=axis("wins", autorange="reversed", showgrid=False, ticks=""),
            height=230 + 58 * len(labels),
        ),
    }


def published_csv(study: Study) -> bytes | None:
    """All that was given as published."""
    if study.published is None:
        return None
    return study.published.to_csv(index=False).encode()
