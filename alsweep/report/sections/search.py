"""What a search has found: the best configuration and how far to trust it, and what matters."""

import math
from collections.abc import Iterator, Sequence
from typing import Any

import pandas as pd

from alsweep.errors import ConfigError
from alsweep.report.captions import count
from alsweep.report.figures import axis, layout, plain
from alsweep.report.section import Block, Caption, Figure, Figures, Material, Section, Tables
from alsweep.report.study import PALETTE, Study
from alsweep.report.tables import Table
from alsweep.results.searched import (
    ENOUGH,
    Searched,
    Tried,
    importances,
    interval,
    read_search,
)

_ROWS = 10
_BEST, _OTHER = PALETTE[1], PALETTE[0]
_FRACTIONS = ("aubc", "final_dice")

Found = Searched | str
"""A search, or why it cannot be shown."""


def _blocks(material: Material) -> Iterator[Block]:
    searches = material.once(_searches)
    for found in searches:
        if isinstance(found, str):
            yield Caption(f"warning: {found}", strong=True)
        elif not found.ranked():
            yield Caption(_nothing(found))
        else:
            yield from _of_search(found, several=len(searches) > 1)


def _searches(study: Study) -> list[Found]:
    return [found for run in study.runs for found in [_search(run.path)] if found is not None]


def _search(run: Any) -> Found | None:
    try:
        return read_search(run)
    except ConfigError as error:
        return str(error)


def _nothing(found: Searched) -> str:
    if not found.tried:
        return f"The search {found.name} has not told of any configuration yet."
    limits = ", ".join(f"{name} at most {most:g}" for name, most in found.constraints.items())
    return f"None of {count(len(found.tried), 'configuration')} keeps the constraints: {limits}."


def _of_search(found: Searched, *, several: bool) -> Iterator[Block]:
    yield Caption(_best(found), strong=True)
    yield Caption(_optimism(found))
    yield Tables(((found.name if several else "", _table(found)),))
    if len(found.objectives) > 1:
        yield Figures((("Pareto front", _front(found)),))
        yield Caption(
            "Filled: no other configuration is better in one objective and no worse in the others."
        )
    yield Figures(tuple(_slices(found)))
    yield Caption(_importance(found))


def _best(found: Searched) -> str:
    best, name = found.ranked()[0], next(iter(found.objectives))
    low, high = interval(best)
    sure = "" if math.isnan(low) else f", 95 % interval {_shown(name, low)} to {_shown(name, high)}"
    return (
        f"Best of {count(len(found.distinct), 'configuration')} is trial {best.number}, "
        f"{_told(best)}: {name} {_shown(name, best.values[0])}{sure}, over "
        f"{count(best.seeds, 'seed')}."
    )


def _optimism(found: Searched) -> str:
    """The winner's curse, in numbers where there are any."""
    name, optimism = next(iter(found.objectives)), found.optimism()
    by = (
        ""
        if math.isnan(optimism)
        else f" If all were equally good, the best would look better by {_shown(name, optimism)} "
        "from the noise of seeds alone."
    )
    failed = f" {count(found.failed, 'further trial')} gave no value." if found.failed else ""
    return (
        "The best was chosen for its value, which is therefore too good, and its interval does not "
        f"know of that.{by} RUN/search/best.yaml is that configuration as a search space: run it "
        f"with other seeds for a value that can be believed.{failed}"
    )


def _told(one: Tried) -> str:
    parts = [f"{key}={_value(value)}" for key, value in one.parameters.items()]
    return ", ".join(parts)


def _value(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def _shown(name: str, value: float) -> str:
    """Dice in percent, as in all tables of the report."""
    if math.isnan(value):
        return "—"
    return f"{100 * value:.2f} %" if name in _FRACTIONS else f"{value:,.4g}"


def _table(found: Searched) -> Table:
    several = len(found.objectives) > 1
    ranked = (found.front() if several else found.ranked())[:_ROWS]
    rows = tuple((_told(one), str(one.number), *_cells(found, one)) for one in ranked)
    return Table(("Configuration", "Trial", *found.objectives), rows)


def _cells(found: Searched, one: Tried) -> Iterator[str]:
    for name, value, error in zip(found.objectives, one.values, one.errors, strict=True):
        beside = "" if math.isnan(error) else f" ± {_shown(name, error)}"
        yield f"{_shown(name, value)}{beside}"


def _points(found: Searched, shown: Sequence[Tried], axes: tuple[list[Any], list[Any]]) -> Figure:
    best = {one.number for one in found.front()}
    return {
        "type": "scatter",
        "mode": "markers",
        "x": axes[0],
        "y": axes[1],
        "text": [plain(f"trial {one.number}: {_told(one)}") for one in shown],
        "marker": {
            "size": 9,
            "color": [
                "#ffffff" if not one.kept else _BEST if one.number in best else _OTHER
                for one in shown
            ],
            "line": {"color": _OTHER, "width": 1.5},
        },
        "hovertemplate": "%{text}<br>%{y}<extra></extra>",
    }


def _front(found: Searched) -> Figure:
    first, second = list(found.objectives)[:2]
    shown = found.distinct
    axes = [one.values[0] for one in shown], [one.values[1] for one in shown]
    return {
        "data": [_points(found, shown, axes)],
        "layout": layout(xaxis=axis(first), yaxis=axis(second), height=380),
    }


def _slices(found: Searched) -> Iterator[tuple[str, Figure]]:
    """The first objective over each parameter, of the configurations that have it."""
    name = next(iter(found.objectives))
    parameters = dict.fromkeys(key for one in found.distinct for key in one.parameters)
    for parameter in parameters:
        shown = [one for one in found.distinct if parameter in one.parameters]
        values = [one.parameters[parameter] for one in shown]
        numbers = all(isinstance(v, int | float) and not isinstance(v, bool) for v in values)
        across = values if numbers else [plain(str(value)) for value in values]
        kind = {"type": _scale(found, parameter)} if numbers else {"type": "category"}
        points = _points(found, shown, (across, [one.values[0] for one in shown]))
        figure = {
            "data": [points],
            "layout": layout(xaxis=axis(plain(parameter), **kind), yaxis=axis(name), height=300),
        }
        yield parameter, figure


def _scale(found: Searched, parameter: str) -> str:
    spaces = (trial.distributions.get(parameter) for trial in found.trials)
    return "log" if any(getattr(space, "log", False) for space in spaces) else "linear"


def _importance(found: Searched) -> str:
    shares = importances(found)
    if not shares:
        return (
            "Orange: the best; white: beyond a constraint. How much each parameter matters is said "
            f"from {ENOUGH} configurations on."
        )
    told = ", ".join(f"{name} {100 * share:.0f} %" for name, share in shares.items())
    return (
        f"Orange: the best; white: beyond a constraint. What sets good configurations apart "
        f"(PED-ANOVA, first objective, {count(len(found.tried), 'trial')}): {told}. With few "
        "trials these shares are rough."
    )


def _csv(material: Material) -> bytes | None:
    """Every trial that was told, one a row."""
    rows = [
        {"sweep": found.name, "trial": one.number, **dict(one.parameters)}
        | dict(zip(found.objectives, one.values, strict=True))
        | {f"{n}_error": e for n, e in zip(found.objectives, one.errors, strict=True)}
        | {"seeds": one.seeds, "feasible": one.kept}
        for found in material.once(_searches)
        if not isinstance(found, str)
        for one in found.tried
    ]
    return pd.DataFrame(rows).to_csv(index=False).encode() if rows else None


def _applies(material: Material) -> bool:
    return bool(material.once(_searches))


SECTION = Section(
    id="search",
    title="Search",
    place=25,
    blocks=_blocks,
    files={"search.csv": _csv},
    applies=_applies,
)
