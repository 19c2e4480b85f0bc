"""Published results beside a study: a grey layer that no test of the study knows of.

They are from other trainings, so nothing here is compared by a test; where the design differs too,
that is said, setting by setting.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from alsweep.config.strategy import StrategySpec
from alsweep.errors import AlsweepError
from alsweep.query.base import label_of
from alsweep.report.figures import axis, layout, plain
from alsweep.report.section import Block, Caption, Figure, Figures, Tables, switched
from alsweep.report.study import Study
from alsweep.report.tables import Table, percent

GREY = "#8a93a0"
DASHES = {
    "solid": "solid",
    "dash": "dashed",
    "dot": "dotted",
    "dashdot": "dash and dot",
    "longdash": "long dashes",
    "longdashdot": "long dash and dot",
}
"""Plotly's dashes, and how they are called."""

_PARTS = {
    "patch": re.compile(r"(?:^|__)patch-(\d+)_(\d+)_(\d+)"),
    "start": re.compile(r"(?:^|__)sbs-(\d+)"),
    "query": re.compile(r"(?:^|__)qs-(\d+)"),
}
_DATASET = 10
"""Weight of another dataset among the differences, which no other difference outweighs."""
_MOST_DRAWN = 2
_FARTHEST = 3.0
"""Budgets this many times those of the study would squeeze its own curves."""


@dataclass(frozen=True, eq=False)
class Layer:
    """A published setting as it is shown beside one of the study's.

    Attributes:
        source: Whose it is.
        setting: As its source names it.
        rows: Its values.
        differences: What its design has otherwise, in words; none where it is the same.
        start: Patches annotated at its loop 0; None where its name does not say it.
        query: Patches of each query; None likewise.
    """

    source: str
    setting: str
    rows: pd.DataFrame
    differences: tuple[str, ...]
    start: int | None
    query: int | None

    @property
    def title(self) -> str:
        """For people."""
        return f"{self.source}, {self.setting}"

    def curves(self) -> Iterator[tuple[str, pd.DataFrame]]:
        """Each strategy's mean over seeds at each loop: ``mean``, ``seeds``, ``patches``."""
        dice = self.rows[self.rows["metric"] == "mean_dice"]
        for strategy, mine in dice.groupby("strategy", sort=False):
            values = mine.groupby("loop")["value"].agg(mean="mean", seeds="count")
            loops = values.index.to_numpy(dtype=np.int64)
            known = self.start is not None and self.query is not None
            patches = self.start + self.query * loops if known else np.nan  # type: ignore[operator]
            yield str(strategy), values.assign(patches=patches).dropna(subset=["mean"])


def layers(study: Study, setting: str) -> list[Layer]:
    """The published settings that are nearest to one of the study's; few, the nearest first."""
    if study.published is None:
        return []
    groups = study.published.groupby(["source", "setting"], sort=False)
    found = [_layer(study, setting, str(key[0]), str(key[1]), rows) for key, rows in groups]
    distances = [_distance(layer) for layer in found]
    nearest = [layer for layer, d in zip(found, distances, strict=True) if d == min(distances)]
    return _joined(nearest)[:_MOST_DRAWN]


def _joined(found: list[Layer]) -> list[Layer]:
    """Layers of one setting from two places, curves and tables of the same runs, as one."""
    first: dict[tuple[str, str], Layer] = {}
    for layer in found:
        key = (_plain_dataset(layer.source), layer.setting)
        known = first.get(key)
        rows = layer.rows if known is None else pd.concat([known.rows, layer.rows])
        kept = layer if known is None else known
        first[key] = Layer(
            kept.source, kept.setting, rows, kept.differences, kept.start, kept.query
        )
    return list(first.values())


def _distance(layer: Layer) -> int:
    return sum(_DATASET if "dataset" in text else 1 for text in layer.differences)


def _layer(study: Study, setting: str, source: str, name: str, rows: pd.DataFrame) -> Layer:
    parts = {part: known.search(name) for part, known in _PARTS.items()}
    start, query = (int(parts[p][1]) if parts[p] else None for p in ("start", "query"))  # type: ignore[index]
    patch = None if parts["patch"] is None else "x".join(parts["patch"].groups())
    here = study.table[study.table["setting"] == setting].iloc[0]
    first = study.table.loc[study.table["setting"] == setting, "annotated_patches"].min()
    theirs = {"patch size": patch, "start": start, "query size": query}
    ours = {"patch size": here["patch_size"], "start": first, "query size": here["query_size"]}
    differences = [
        f"{what} {their} (here {our})" if their is not None else f"{what} not told (here {our})"
        for (what, their), our in zip(theirs.items(), ours.values(), strict=True)
        if their != our
    ]
    dataset = str(here["dataset"])
    if _plain_dataset(dataset) not in (_plain_dataset(source), _plain_dataset(name)):
        differences.insert(0, f"dataset {source} (here {dataset})")
    if name == study.settings[setting]:
        differences = []  # so the one who wrote the mapping means it
    return Layer(source, name, rows, tuple(differences), start, query)


def _plain_dataset(name: str) -> str:
    """``Dataset004_Hippocampus`` and ``hippocampus`` are one."""
    return re.sub(r"[^a-z0-9]", "", re.sub(r"^(dataset|task)\d+_", "", name.lower()))


def called_here(strategy: str) -> str:
    """The name that a published strategy has here; its own, where it has none."""
    try:
        return label_of(StrategySpec(name=strategy))
    except AlsweepError:
        return strategy


def shown_as(strategy: str) -> str:
    """A published strategy with the name that it has here, where that is another."""
    here = called_here(strategy)
    return strategy if here == strategy else f"{here} ({strategy})"


def drawn(study: Study, setting: str) -> list[tuple[Layer, str, pd.DataFrame]]:
    """What of published curves fits on a setting's axis: layer, strategy, points.

    Where a source does not tell its budgets, its loops are placed at those of the study.
    """
    rows = study.done[study.done["setting"] == setting]
    budgets = rows.groupby("loop")["annotated_patches"].mean()
    found = []
    for layer in layers(study, setting):
        for strategy, points in layer.curves():
            if points["patches"].isna().all():
                points = points.assign(patches=budgets.reindex(points.index)).dropna()
            if len(points) and not _far(points["patches"], budgets):
                found.append((layer, strategy, points))
    return found


def _far(patches: "pd.Series[float]", budgets: "pd.Series[float]") -> bool:
    return len(budgets) > 0 and (
        patches.max() > _FARTHEST * budgets.max() or patches.max() < budgets.min() / _FARTHEST
    )


def dash(index: int) -> str:
    """How the line of a published curve is dashed."""
    return list(DASHES)[index % len(DASHES)]


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
        yield Figures(tuple((plain(title), figure) for title, figure in panels.items()))
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
