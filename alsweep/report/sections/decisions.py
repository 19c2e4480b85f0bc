"""What a schedule or a person stopped: who, when, why, what that spared, and what still holds."""

from collections.abc import Iterator
from typing import Any

import pandas as pd

from alsweep.report.captions import count, some, span
from alsweep.report.declared import declared_schedule
from alsweep.report.figures import axis, layout, panels, plain
from alsweep.report.section import Block, Caption, Figure, Figures, Material, Section, Tables
from alsweep.report.study import Study
from alsweep.report.tables import NamedTable, Table
from alsweep.results.stopping import NEVER, overruled, seconds_spared, stopping

_STATES = {
    "done": ("done", "#33658a", "#fefefe"),
    "truncated": ("truncated", "#f6ae2d", "#14181f"),
    NEVER: ("never run", "#d5dae1", "#14181f"),
    "running": ("not finished", "#86bbd8", "#14181f"),
    "failed": ("failed", "#b3434a", "#fefefe"),
}
"""What the table says to what people read, and the colours of a cell and its text."""

_COLUMNS = (
    *("Strategy", "Order", "Stopped after", "By, and why"),
    *("Done / truncated / never run", "Loops spared", "Hours spared"),
)
_RACE, _HALVING = "race", "asha"


def _applies(material: Material) -> bool:
    runs = material.study.runs
    return any(run.decisions for run in runs) and bool(len(_stopped(material)) or overruled(runs))


def _blocks(material: Material) -> Iterator[Block]:
    cells, stopped = material.once(_cells), _stopped(material)
    if len(stopped):
        yield Caption(_spared(material.study, cells, stopped), strong=True)
        yield Figures(panels(material.study, lambda study, name: _grid(study, cells, name)))
        yield Tables(_tables(material.study, cells))
    yield Caption(_caption(material.study, cells, stopped))


def _cells(study: Study) -> pd.DataFrame:
    """Every trajectory that can be told; ``order`` counts the looks at which some were stopped."""
    cells = stopping(study.runs)
    cells = cells[cells["setting"].isin(list(study.settings))].reset_index(drop=True)
    return cells.assign(order=_order(cells), seconds=seconds_spared(cells, study.table))


def _order(cells: pd.DataFrame) -> pd.Series:
    """Number of the look in its setting, from 1: a race looks at strategies, others one by one."""
    mine = cells.groupby(["setting", "strategy"])
    reached = mine.cumcount() * (cells["planned"].max() + 1) + cells["loops"]
    last = reached.where(cells["loops"] > 0).groupby([cells["setting"], cells["strategy"]])
    moment = last.transform("max").where(cells["by"] == _RACE, cells["place"].astype("Float64"))
    moment = moment.where(cells["by"].notna())
    ranks: pd.Series = moment.groupby([cells["setting"], cells["by"]]).rank("dense")
    return ranks.astype("Int64")


def _stopped(material: Material) -> pd.DataFrame:
    cells = material.once(_cells)
    return cells[cells["by"].notna()]


def _grid(study: Study, cells: pd.DataFrame, setting: str) -> Figure:
    """Strategies by seeds: what was made of each, and at which look it was stopped."""
    rows = cells[cells["setting"] == setting]
    seeds = [int(seed) for seed in dict.fromkeys(rows["seed"])]
    names = _names(study, rows)
    states = list(_STATES)
    heat: Figure = {
        "type": "heatmap",
        "x": [f"seed {seed}" for seed in seeds],
        "y": [plain(name) for name in names.values()],
        "zmin": -0.5,
        "zmax": len(states) - 0.5,
        "colorscale": _scale(),
        "showscale": False,
        "xgap": 3,
        "ygap": 3,
        "hoverongaps": False,
        "hovertemplate": "<b>%{y}</b>, %{x}: %{customdata}<extra></extra>",
    }
    at: dict[Any, Any] = {(row.strategy, row.seed): row for row in rows.itertuples()}
    grid = [[at.get((strategy, seed)) for seed in seeds] for strategy in names]
    heat["z"] = [[None if one is None else states.index(one.status) for one in r] for r in grid]
    heat["customdata"] = [["" if one is None else _hover(one) for one in r] for r in grid]
    return {
        "data": [heat, *_legend(rows)],
        "layout": layout(
            showlegend=True,
            legend={"orientation": "h", "y": 1.0, "yanchor": "bottom", "x": 0},
            margin={"l": 64, "r": 16, "t": 44, "b": 48},
            xaxis=axis("seeds in the order of running", showgrid=False, ticks=""),
            yaxis=axis("", autorange="reversed", showgrid=False, ticks=""),
            annotations=_texts(names, grid, heat["x"]),
            height=150 + 38 * len(names),
        ),
    }


def _names(study: Study, rows: pd.DataFrame) -> dict[str, str]:
    """Label to name of the strategies of a setting; who never began stands last."""
    known = {look.strategy: look.name for look in study.looks}
    every = dict.fromkeys([*known, *rows["strategy"]])
    here = set(rows["strategy"])
    return {label: known.get(label, label) for label in every if label in here}


def _scale() -> list[tuple[float, str]]:
    """Each state's colour over its share of the scale."""
    share = 1 / len(_STATES)
    ends = [(n * share, (n + 1) * share) for n in range(len(_STATES))]
    colours = [colour for _, colour, _ in _STATES.values()]
    return [(end, c) for pair, c in zip(ends, colours, strict=True) for end in pair]


def _legend(rows: pd.DataFrame) -> list[Figure]:
    """Empty traces that explain the colours that are there."""
    return [
        {
            "type": "scatter",
            "mode": "markers",
            "name": name,
            "x": [None],
            "y": [None],
            "marker": {"symbol": "square", "size": 12, "color": colour},
            "hoverinfo": "skip",
        }
        for state, (name, colour, _) in _STATES.items()
        if (rows["status"] == state).any()
    ]


def _hover(cell: Any) -> str:
    text = f"{_STATES[cell.status][0]}, {cell.loops} of {count(cell.planned, 'loop')}"
    return text if pd.isna(cell.order) else f"{text}; {plain(cell.why)} ({cell.by})"


def _texts(names: dict[str, str], grid: list[list[Any]], seeds: list[str]) -> list[Figure]:
    """Loops in each cell; and the number of the look in the first that it spared."""
    found = []
    for name, row in zip(names.values(), grid, strict=True):
        told: set[int] = set()
        for seed, cell in zip(seeds, row, strict=True):
            if cell is None:
                continue
            text = (
                str(cell.loops)
                if cell.loops in (0, cell.planned)
                else f"{cell.loops}/{cell.planned}"
            )
            if not pd.isna(cell.order) and cell.order not in told:
                told.add(cell.order)
                text += f" <b>#{cell.order}</b>"
            colour = _STATES[cell.status][2]
            found.append({"x": seed, "y": plain(name), "text": text, "showarrow": False})
            found[-1]["font"] = {"size": 11, "color": colour}
    return found


def _tables(study: Study, cells: pd.DataFrame) -> tuple[NamedTable, ...]:
    """A row for each strategy of which somebody stopped something, in the order of deciding."""
    found = []
    for setting, name in study.settings.items():
        rows = cells[cells["setting"] == setting]
        names, lines = _names(study, rows), []
        for (by, strategy), mine in rows.groupby(["by", "strategy"]):
            everything = rows[rows["strategy"] == strategy]
            lines.append((mine["place"].min(), _line(names, str(by), mine, everything)))
        found.append((name, Table(_COLUMNS, tuple(line for _, line in sorted(lines)))))
    return tuple(found)


def _line(names: dict[str, str], by: str, mine: pd.DataFrame, own: pd.DataFrame) -> tuple[str, ...]:
    whys = mine["why"].value_counts(sort=False)
    each = [str(why) if len(whys) == 1 else f"{why} ({n})" for why, n in whys.items()]
    return (
        names[str(mine["strategy"].iloc[0])],
        span(mine["order"].dropna().astype(int)),
        _when(by, mine, own),
        f"{by}: {some(each)}",
        " / ".join(
            str((rows["status"] == state).sum())
            for rows, state in ((own, "done"), (mine, "truncated"), (mine, NEVER))
        ),
        str(int((mine["planned"] - mine["loops"]).sum())),
        _hours(float(mine["seconds"].sum())),
    )


def _when(by: str, mine: pd.DataFrame, own: pd.DataFrame) -> str:
    """A race stops a strategy; anybody else trajectories, each after its own loops."""
    cut = mine.loc[mine["loops"] > 0, "loops"]
    if by != _RACE:
        return span(mine["loops"], "loop")
    before = own[own["by"].isna() & (own["loops"] > 0)]
    return f"{count(len(before), 'seed')}" + (
        f" and {count(cut.iloc[0], 'loop')}" if len(cut) else ""
    )


def _hours(seconds: float) -> str:
    return f"{seconds / 3600:,.2f}" if seconds >= 36 else f"{seconds / 3600:.2g}"


def _spared(study: Study, cells: pd.DataFrame, stopped: pd.DataFrame) -> str:
    """What it is all about, in one sentence."""
    seconds = ["train_seconds", "evaluate_seconds", "query_seconds"]
    spent = float(study.table.drop_duplicates(["trajectory", "loop"])[seconds].sum().sum())
    spared = float(stopped["seconds"].sum())
    loops, planned = int((stopped["planned"] - stopped["loops"]).sum()), int(cells["planned"].sum())
    never = int((stopped["status"] == NEVER).sum())
    share = f" ({100 * spared / (spent + spared):.0f} %)" if spent + spared else ""
    return (
        f"{count(len(stopped), 'trajectory', 'trajectories')} of {len(cells)} did not do all their "
        f"loops: {never} never began, {len(stopped) - never} were truncated. That spared {loops} "
        f"of {count(planned, 'loop')}, about {_hours(spared)} of the {_hours(spent + spared)} "
        f"hours that all of them would have taken{share}."
    )


def _caption(study: Study, cells: pd.DataFrame, stopped: pd.DataFrame) -> str:
    parts = [_reading(), *_rules(study, stopped), _kept(study, stopped)] if len(stopped) else []
    again = overruled(study.runs)
    if again:
        were = "was" if again == 1 else "were"
        parts.append(
            f"{count(again, 'trajectory', 'trajectories')} that {were} stopped went on later, "
            "since nobody decided any more."
        )
    return " ".join(parts)


def _reading() -> str:
    return (
        "Cells: loops that are finished; #1, #2, … the looks at which something was stopped, in "
        "their order. Hours: each loop that was left out counts the mean seconds of that loop in "
        "its setting (train, evaluate, query); the first loop's training, which all strategies of "
        "a seed share, is in no loop's seconds."
    )


def _rules(study: Study, stopped: pd.DataFrame) -> Iterator[str]:
    """What whoever stopped something went by, and what follows for the numbers."""
    by = set(stopped["by"])
    controls = {one.control for one in map(declared_schedule, _paths(study)) if one.kind == _RACE}
    if _RACE in by:
        yield _of_race({control for control in controls if control is not None})
    if _HALVING in by:
        yield (
            "Halving (asha) cuts by Dice at equal loops and decides by noise: what is finished is "
            "what was lucky, so that means over it lie too high and strategies cannot be compared "
            "by it."
        )
    others = sorted(by - {_RACE, _HALVING})
    if others:
        yield f"Stopped by hand or by another program: {some(others)}."


def _paths(study: Study) -> Iterator[Any]:
    return (run.path for run in study.runs)


def _of_race(controls: set[str]) -> str:
    if controls:
        rival = f"the declared control ({', '.join(sorted(controls))})"
        return (
            f"The race tested each strategy against {rival} at a level that holds over all looks."
        )
    return (
        "The leader whom each was tested against is chosen by the data: the level of the race "
        "allows for that, the p-values elsewhere on this page do not."
    )


def _kept(study: Study, stopped: pd.DataFrame) -> str:
    """What other sections make of it."""
    keys = ["setting", "strategy"]
    counts = study.done.groupby(keys)["seed"].nunique()
    short = counts.reindex(pd.MultiIndex.from_frame(stopped[keys].drop_duplicates()), fill_value=0)
    whole = counts[~counts.index.isin(short.index)]
    others = f", others on {span(whole, 'seed')}" if len(whole) else ""
    return (
        "What was stopped stays out of curves, AUBC, win matrix, ranking and comparisons, where "
        f"stopped strategies so rest on {span(short, 'seed')}{others}, and tests on those that a "
        "pair shares; alsweep.results takes it in where asked (statuses). A strategy that was "
        "stopped because it looked bad has a mean that rather lies too low."
    )


def _csv(material: Material) -> bytes:
    cells = material.once(_cells).drop(columns="place")
    return cells.rename(columns={"seconds": "seconds_spared"}).to_csv(index=False).encode()


SECTION = Section(
    id="decisions",
    title="What was stopped",
    place=37,
    blocks=_blocks,
    files={"decisions.csv": _csv},
    applies=_applies,
    still="decisions",
)
