"""Learning curves: Dice over what was annotated, for every class and every kind of budget."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import numpy as np
import pandas as pd

from alsweep.report import published_blocks
from alsweep.report.backgrounds import background_notices
from alsweep.report.costing import HOURS, Costed, column, costed
from alsweep.report.curve_captions import curves_caption
from alsweep.report.figures import BAND, INK, SINGLE, axis, faint, layout, marker, plain
from alsweep.report.section import (
    Block,
    Box,
    Caption,
    Chips,
    Controls,
    Figure,
    Figures,
    Material,
    Section,
    Switch,
    Tables,
    chip,
    switched,
)
from alsweep.report.study import Look, Study
from alsweep.report.tables import NamedTable, mean_and_std, per_setting, with_best
from alsweep.results.fulldata import mean_full_dice

Axes = Mapping[str, str]
"""Columns that a learning curve can be drawn against, and their axis titles."""

_BUDGETS: Axes = {
    "annotated_patches": "Annotated patches",
    "annotated_voxels": "Annotated voxels",
    "foreground_fraction": "Annotated share of the pool's foreground [%]",
}

_MEASURED = ("mean", "std", "count")
_PERCENT = ("foreground_fraction",)
_SHORT = ("Patches", "Voxels", "Foreground share")
_X = "x"
_METRIC = "metric"
_SEEDS = Box("seeds", "single seeds")


def _blocks(material: Material) -> Iterator[Block]:
    study = material.study
    yield from (Caption(text, strong=True) for text in background_notices(study))
    metrics = {"mean_dice": "all classes (mean)"} | {f"dice_{c}": c for c in study.class_names}
    menu = Switch(_METRIC, "Dice of", tuple(metrics.items()), menu=True)
    axes = _axes(material.once(costed))
    texts = (*_SHORT, *list(axes.values())[len(_SHORT) :])
    across = Switch(_X, "Horizontal axis", tuple(zip(axes, texts, strict=True)), menu=True)
    yield Controls((across, menu, _SEEDS))
    yield Chips(study.looks)
    yield Figures(
        tuple(
            (name, _figure(material, setting, list(metrics)))
            for setting, name in study.settings.items()
        )
    )
    yield Caption(curves_caption(study))
    yield from published_blocks.curve_blocks(study)
    if len(study.done):
        yield Tables(_loop_tables(study), folded=True)


def _loop_tables(study: Study) -> tuple[NamedTable, ...]:
    """Mean Dice after each loop, a column a loop."""
    loops = sorted(set(map(int, study.done["loop"])))

    def cells(mine: pd.DataFrame) -> tuple[str, ...]:
        by_loop = dict(list(mine.groupby("loop")["mean_dice"]))
        return tuple(mean_and_std(by_loop[k]) if k in by_loop else "—" for k in loops)

    columns = ("Strategy", *(f"Loop {k} [%]" for k in loops))
    each = {k: study.done[study.done["loop"] == loop] for k, loop in enumerate(loops, start=1)}
    values = {k: (rows, "mean_dice") for k, rows in each.items()}
    return with_best(study, per_setting(study, study.done, columns, cells), values)


def _axes(found: Costed) -> Axes:
    """All that a curve can be drawn against: budgets, machine hours, cost models."""
    costs = {
        column(model): f"Cost: {model.name} [{model.unit}]"
        for model in found.models
        if model.column not in _BUDGETS
    }
    return {**_BUDGETS, HOURS: "Machine hours", **costs}


def curve_table(study: Study) -> pd.DataFrame:
    """Mean and spread over seeds of every finished curve.

    Returns:
        One row a (setting, strategy, loop): the mean of each budget column; ``mean``, ``std``
        (ddof 1, NaN for one seed) and ``seeds`` of mean Dice, fractions.
    """
    grouped = study.done.groupby(["setting", "strategy", "loop"], sort=False)
    budgets = {name: (name, "mean") for name in _BUDGETS}
    dice = {
        name: ("mean_dice", how)
        for name, how in (("mean", "mean"), ("std", "std"), ("seeds", "count"))
    }
    return grouped.agg(**budgets, **dice).reset_index()


def _figure(material: Material, setting: str, metrics: list[str]) -> Figure:
    """The curves of one setting: bands below all lines, so that none hides another's line."""
    study, found = material.study, material.once(costed)
    rows, axes = found.table[found.table["setting"] == setting], _axes(found)
    each = [(look, rows[rows["strategy"] == look.strategy]) for look in study.looks]
    there = [(look, mine, _means(mine, metrics, axes)) for look, mine in each if len(mine)]
    bands = [_band(look, means) for look, _, means in there]
    lines = [
        trace
        for look, mine, means in there
        for trace in (
            _singles(look, mine, metrics, axes),
            _line(look, means) | _leads(material, look, mine),
        )
    ]
    every = rows["seed"].nunique()
    lacking = [(k, means) for k, mine, means in there if mine["seed"].nunique() < every]
    lines += [_own_number(look, means) for look, means in lacking]
    level = _full_data(study, setting, metrics)
    return {
        "data": [
            *published_blocks.curve_traces(study, setting),
            *bands,
            *lines,
            *_height(rows, level, axes),
        ],
        "layout": layout(
            margin={"l": 60, "r": 48 if lacking else 14, "t": 12, "b": 52},
            height=400,
            hovermode="closest",
            xaxis=axis(switched(_X, axes)),
            yaxis=axis("Dice [%]"),
            shapes=switched(_METRIC, {m: _level_line(y) for m, y in level.items()}),
            annotations=switched(_METRIC, {m: _level_text(y) for m, y in level.items()}),
        ),
    }


def _means(rows: pd.DataFrame, metrics: Iterable[str], axes: Axes) -> dict[str, pd.DataFrame]:
    """By metric: the mean of each budget, ``mean``, ``std`` and ``seeds``, one row a loop.

    Only seeds that have a value there enter, so that a point's place is that of its seeds.
    """
    found, whole = {}, rows.groupby("loop")
    every = whole[list(axes)].mean()
    for metric in metrics:
        known = rows[metric].notna()
        grouped = whole if known.all() else rows[known].groupby("loop")
        budgets = every if known.all() else grouped[list(axes)].mean()
        found[metric] = budgets.join(grouped[metric].agg(["mean", "std", "count"]))
    return found


def _band(look: Look, means: dict[str, pd.DataFrame]) -> Figure:
    """One standard deviation to both sides, where there are seeds for it."""
    known = {metric: table.dropna(subset=["std"]) for metric, table in means.items()}
    edges = {
        metric: _percent([*(t["mean"] + t["std"]), *(t["mean"] - t["std"])[::-1]])
        for metric, t in known.items()
    }
    return {
        "type": "scatter",
        "mode": "lines",
        "hoverinfo": "skip",
        "fill": "toself",
        "line": {"width": 0},
        "fillcolor": faint(look.colour, BAND),
        "visible": _shown(look),
        "x": switched(_METRIC, {m: _budgets(pd.concat([t, t[::-1]])) for m, t in known.items()}),
        "y": switched(_METRIC, edges),
    }


def _line(look: Look, means: dict[str, pd.DataFrame]) -> Figure:
    notes = {
        metric: [_note(loop, row) for loop, row in table.iterrows()]
        for metric, table in means.items()
    }
    return {
        "type": "scatter",
        "mode": "lines+markers",
        "name": plain(look.name),
        "visible": _shown(look),
        "line": {"color": look.colour, "width": 2.6, "dash": "dash" if look.baseline else "solid"},
        "marker": marker(look),
        "x": switched(_METRIC, {m: _budgets(table) for m, table in means.items()}),
        "y": switched(_METRIC, {m: _percent(table["mean"]) for m, table in means.items()}),
        "customdata": switched(_METRIC, notes),
        "hovertemplate": f"<b>{plain(look.name)}</b><br>loop %{{customdata[0]}}: "
        "%{y:.2f}%{customdata[1]} % (n = %{customdata[2]})<extra></extra>",
    }


def _own_number(look: Look, means: dict[str, pd.DataFrame]) -> Figure:
    """How many seeds a line has, at its end, where it has not all of the setting."""
    ends = {metric: table.tail(1) for metric, table in means.items()}
    return {
        "type": "scatter",
        "mode": "text",
        "hoverinfo": "skip",
        "cliponaxis": False,
        "visible": _shown(look),
        "x": switched(_METRIC, {m: _budgets(end) for m, end in ends.items()}),
        "y": switched(_METRIC, {m: _percent(end["mean"]) for m, end in ends.items()}),
        "text": switched(
            _METRIC, {m: [f"\u00a0\u00a0n = {n}" for n in end["count"]] for m, end in ends.items()}
        ),
        "textposition": "middle right",
        "textfont": {"size": 11, "color": look.colour},
    }


def _leads(material: Material, look: Look, rows: pd.DataFrame) -> dict[str, Any]:
    """Where a click on a point of a line leads: to the patches that made it, if they are shown."""
    own = set(rows["trajectory"])
    shown = {one.loop: one.value for one in material.explored if one.trajectory.id in own}
    if not shown:
        return {}
    to = {"section": "explore", "choice": "shown"}
    loops = sorted(set(map(int, rows["loop"])))
    return {"meta": {"go": [to | {"value": shown[k]} if k in shown else None for k in loops]}}


def _note(loop: Any, row: "pd.Series[float]") -> list[Any]:
    """What is said on a point: its loop, the deviation, the number of seeds."""
    spread = "" if pd.isna(row["std"]) else f" ± {100 * row['std']:.2f}"
    return [int(loop), spread, int(row["count"])]


def _singles(look: Look, rows: pd.DataFrame, metrics: Iterable[str], axes: Axes) -> Figure:
    """All seeds in one trace, with a gap after each."""
    seeds = [group.sort_values("loop") for _, group in rows.groupby("seed", sort=True)]
    gap = pd.DataFrame([{}])
    table = pd.concat([part for seed in seeds for part in (seed, gap)])
    names = [None if pd.isna(seed) else int(seed) for seed in table["seed"]]
    return {
        "type": "scatter",
        "mode": "lines",
        "name": f"{plain(look.name)}, single seeds",
        "visible": switched(_SEEDS.name, {"on": _shown(look), "off": False}),
        "line": {"color": faint(look.colour, SINGLE), "width": 1},
        "x": _budgets(table[list(axes)]),
        "y": switched(_METRIC, {metric: _percent(table[metric]) for metric in metrics}),
        "customdata": names,
        "hovertemplate": f"{plain(look.name)}, seed %{{customdata}}<br>%{{y:.2f}} %<extra></extra>",
    }


def _shown(look: Look) -> dict[str, Any]:
    return switched(chip(look), {"on": True, "off": False})


def _budgets(table: pd.DataFrame) -> dict[str, Any]:
    """The place of each point on the axis that is chosen."""
    names = [name for name in table.columns if name not in _MEASURED]
    scale = {name: 100 if name in _PERCENT else 1 for name in names}
    return switched(_X, {name: _numbers(scale[name] * table[name]) for name in names})


def _percent(values: Iterable[float]) -> list[float | None]:
    return _numbers(100 * np.asarray(list(values), dtype=np.float64))


def _numbers(values: Iterable[float]) -> list[float | None]:
    rounded = np.round(np.asarray(list(values), dtype=np.float64), 4).tolist()
    return [None if value != value else value for value in rounded]


def _full_data(study: Study, setting: str, metrics: Iterable[str]) -> dict[str, float | None]:
    """What the same recipe reaches on the fully annotated pool, percent; None where unknown."""
    references = study.references.get(setting, ())
    classes = {f"dice_{name}": name for name in study.class_names}
    means = {metric: mean_full_dice(references, classes.get(metric)) for metric in metrics}
    return dict(zip(means, _percent(means.values()), strict=True))


def _level_line(level: float | None) -> list[Figure]:
    if level is None:
        return []
    line = {"color": INK, "width": 1.5, "dash": "dot"}
    return [
        {"type": "line", "xref": "paper", "x0": 0, "x1": 1, "y0": level, "y1": level}
        | {"line": line}
    ]


def _level_text(level: float | None) -> list[Figure]:
    if level is None:
        return []
    place = {"xref": "paper", "x": 0, "xanchor": "left", "y": level, "yanchor": "bottom"}
    font = {"size": 12, "color": INK}
    return [{**place, "showarrow": False, "text": f"full data: {level:.2f}", "font": font}]


def _height(rows: pd.DataFrame, level: dict[str, float | None], axes: Axes) -> list[Figure]:
    """Axes follow traces alone, so an invisible point gives them the height of the line."""
    if rows.empty or all(y is None for y in level.values()):
        return []
    return [
        {
            "type": "scatter",
            "mode": "markers",
            "opacity": 0,
            "hoverinfo": "skip",
            "x": _budgets(rows.sort_values("loop")[:1][list(axes)]),
            "y": switched(_METRIC, {metric: [y] for metric, y in level.items()}),
        }
    ]


def _full_table(study: Study) -> pd.DataFrame:
    """Full-data references: one row a (setting, seed); ``mean_dice`` and ``dice_<class>``."""
    rows = [
        {"setting": setting, "seed": record.seed, "mean_dice": record.mean_dice}
        | {f"dice_{name}": record.dice.get(name) for name in study.class_names}
        for setting, records in study.references.items()
        for record in records
    ]
    return pd.DataFrame(rows)


def _full_csv(material: Material) -> bytes | None:
    study = material.study
    return _full_table(study).to_csv(index=False).encode() if study.references else None


SECTION = Section(
    id="curves",
    title="Learning curves",
    place=10,
    blocks=_blocks,
    files={
        "learning_curves.csv": lambda material: (
            material.once(curve_table).to_csv(index=False).encode()
        ),
        "full_data.csv": _full_csv,
        "published.csv": lambda material: published_blocks.published_csv(material.study),
    },
    still="learning_curves",
)
