"""What a search has found: the best configuration and how far to trust it, and what matters."""

import math
from collections.abc import Iterator, Sequence
from itertools import accumulate
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
    Rerun,
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
            continue
        if not found.over:
            yield Caption(_unfinished(found), strong=True)
        if not found.ranked():
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


def _unfinished(found: Searched) -> str:
    """That all that follows is of a part of the search."""
    told = f"{len(found.tried)} of {count(found.configurations, 'configuration')} told"
    going = f", {found.under_way} under way" if found.under_way else ""
    return (
        f"The search {found.name} is not over: {told}{going}. What stands here is of those alone; "
        "unless it is at work, alsweep resume goes on with it."
    )


def _nothing(found: Searched) -> str:
    if not found.tried:
        return f"The search {found.name} has not told of any configuration yet."
    limits = ", ".join(f"{name} at most {most:g}" for name, most in found.constraints.items())
    return f"None of {count(len(found.tried), 'configuration')} keeps the constraints: {limits}."


def _of_search(found: Searched, *, several: bool) -> Iterator[Block]:
    yield Caption(_best(found), strong=True)
    yield Caption(_optimism(found))
    if found.fidelity:
        yield Caption(_rungs(found), strong=True)
        if found.promoted:
            yield Tables((("Run again at the high rung", _at_high(found)),))
    if found.finalists():
        yield Caption(_confirmed(found), strong=True)
        if found.confirmed:
            yield Tables((("Confirmed on fresh seeds", _confirmations(found)),))
    yield Tables(((found.name if several else "", _table(found)),))
    if len(found.objectives) > 1:
        yield Figures((("Pareto front", front_figure(found)),))
        yield Caption(
            "Filled: no other configuration is better in one objective and no worse in the others."
        )
    yield Figures(tuple(_slices(found)))
    yield Caption(_importance(found))


def _best(found: Searched) -> str:
    best, name = found.ranked()[0], next(iter(found.objectives))
    rung = f" at {_rung(found, 0)}" if found.fidelity else ""
    return (
        f"Best of {count(len(found.distinct), 'configuration')} is trial {best.number}, "
        f"{_told(best)}: {name} {_shown(name, best.values[0])}{_sure(name, best)}, over "
        f"{count(best.seeds, 'seed')}{rung}."
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
    if len(found.ranked()) == 1:
        return f"There was nothing to choose between.{failed}"
    pruned = (
        f" {count(found.pruned, 'further trial')} had no value, worse than the best on the seeds "
        "that were run before giving up; they stand in no table here."
        if found.pruned
        else ""
    )
    mend = (
        ""
        if found.confirm_seeds
        else " RUN/search/best.yaml is that configuration as a search space: run it with other "
        "seeds, or set search.confirm_seeds, for a value that can be believed."
    )
    return (
        "The best was chosen for its value, which is therefore too good, and its interval does not "
        f"know of that.{by}{mend}{failed}{pruned}{_ended(found)}"
    )


def _rung(found: Searched, end: int) -> str:
    return ", ".join(f"{key}={ends[end]:g}" for key, ends in found.fidelity.items())


def _rungs(found: Searched) -> str:
    """That values of two rungs are not to be compared."""
    low, high, left = _rung(found, 0), _rung(found, 1), len(found.unpromoted())
    lack = f" {count(left, 'configuration')} of the best third lack it still." if left else ""
    chosen = (
        f" The best there, trial {found.at_high()[0].number}, is in best.yaml."
        if found.promoted and not found.confirm_seeds
        else ""
    )
    return (
        f"All were told, and are shown, at the low rung ({low}). The best third is run again at "
        f"the high one ({high}), whose values are not to be compared with those.{lack}{chosen}"
    )


def _at_high(found: Searched) -> Table:
    """Both rungs, each under its name; best at the high one first."""
    name = next(iter(found.objectives))
    rows = tuple(
        (
            _told(one),
            str(one.number),
            next(_cells(found, one)),
            next(_cells(found, found.chosen_for(one))),
        )
        for one in found.at_high()
    )
    columns = ("Configuration", "Trial", f"{name} at {_rung(found, 0)}")
    return Table((*columns, f"{name} at {_rung(found, 1)}"), rows)


def _ended(found: Searched) -> str:
    if found.stopped is None:
        return ""
    name = next(iter(found.objectives))
    return (
        f" The search ended by itself after {count(found.stopped, 'configuration')}: the best rose "
        f"by no more than its standard error ({_shown(name, found.noise())}) any more."
    )


def _confirmed(found: Searched) -> str:
    """What the best are worth on seeds that they were not chosen with."""
    seeds, left = ", ".join(map(str, found.confirm_seeds)), len(found.unconfirmed())
    if left:
        return f"Seeds {seeds} are to confirm the best: {left} of {len(found.finalists())} lack."
    best, name = found.best(), next(iter(found.objectives))
    assert best is not None
    again, chosen = found.confirmation(best.number), found.chosen_for(best).values[0]
    assert again is not None
    return (
        f"On fresh seeds ({seeds}) the best is trial {best.number}, {_told(best)}: {name} "
        f"{_shown(name, again.values[0])}{_sure(name, again)}. "
        f"It was chosen with {_shown(name, chosen)}; the difference is what its being chosen and "
        f"chance have added. As the best of {len(found.finalists())} it is a little too good "
        "still. RUN/search/best.yaml is this configuration."
    )


def _confirmations(found: Searched) -> Table:
    """Of the first objective, best by what confirmed it first."""
    name, sign = next(iter(found.objectives)), -1 if found.lowest else 1
    by_number = {one.number: one for one in found.distinct}
    ranked = sorted(found.confirmed, key=lambda again: (-sign * again.values[0], again.number))
    rows = tuple(
        (
            _told(one),
            str(one.number),
            next(_cells(found, found.chosen_for(one))),
            _shown(name, again.values[0]),
            _sure(name, again).removeprefix(", 95 % interval ") or "—",
            str(again.n_seeds),
            _shown(name, sign * (found.chosen_for(one).values[0] - again.values[0])),
        )
        for again in ranked
        for one in [by_number[again.number]]
    )
    columns = ("Configuration", "Trial", f"{name}, searched", "confirmed", "95 % interval")
    return Table((*columns, "seeds", "optimism"), rows)


def _sure(name: str, one: Tried | Rerun) -> str:
    low, high = interval(one)
    if name in _FRACTIONS:
        low, high = max(low, 0.0), min(high, 1.0)
    told = f", 95 % interval {_shown(name, low)} to {_shown(name, high)}"
    return "" if math.isnan(low) else told


def _told(one: Tried) -> str:
    parts = [f"{key}={_value(value)}" for key, value in one.parameters.items()]
    return ", ".join(parts)


def _value(value: Any) -> str:
    # Whole: what was run was rounded before, so that no two look alike.
    return f"{value:.15g}" if isinstance(value, float) else str(value)


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


def _cells(found: Searched, one: Tried | Rerun) -> Iterator[str]:
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


def front_figure(found: Searched) -> Figure:
    """The first two objectives of all configurations, one over the other."""
    first, second = list(found.objectives)[:2]
    shown = found.distinct
    axes = [one.values[0] for one in shown], [one.values[1] for one in shown]
    return {
        "data": [_points(found, shown, axes)],
        "layout": layout(xaxis=axis(first), yaxis=axis(second), height=380),
    }


def progress_figure(found: Searched) -> Figure:
    """The first objective of each trial with its standard error, and the best until then."""
    name, direction = next(iter(found.objectives.items()))
    shown = found.tried
    points = _points(found, shown, ([o.number for o in shown], [o.values[0] for o in shown]))
    errors = [0.0 if math.isnan(one.errors[0]) else one.errors[0] for one in shown]
    points["error_y"] = {"array": errors, "color": _OTHER, "thickness": 1}
    pick = max if direction == "max" else min
    kept = [one for one in shown if one.kept]
    best = list(accumulate((one.values[0] for one in kept), pick))
    line = {
        "type": "scatter",
        "mode": "lines",
        "x": [one.number for one in kept],
        "y": best,
        "line": {"color": _BEST, "shape": "hv", "width": 1.5},
        "hoverinfo": "skip",
    }
    return {
        "data": [line, points],
        "layout": layout(xaxis=axis("trial"), yaxis=axis(name), height=380),
    }


def _slices(found: Searched) -> Iterator[tuple[str, Figure]]:
    """The first objective over each parameter, of the configurations that have it."""
    name = next(iter(found.objectives))
    parameters = dict.fromkeys(key for one in found.distinct for key in one.parameters)
    across_all = axis(name, range=_room([one.values[0] for one in found.distinct]))
    for parameter in parameters:
        shown = [one for one in found.distinct if parameter in one.parameters]
        values = [one.parameters[parameter] for one in shown]
        numbers = all(isinstance(v, int | float) and not isinstance(v, bool) for v in values)
        across = values if numbers else [plain(str(value)) for value in values]
        kind = {"type": _scale(found, parameter)} if numbers else {"type": "category"}
        points = _points(found, shown, (across, [one.values[0] for one in shown]))
        figure = {
            "data": [points],
            "layout": layout(xaxis=axis(plain(parameter), **kind), yaxis=across_all, height=300),
        }
        yield parameter, figure


def _room(values: Sequence[float]) -> list[float]:
    """The same ends for all slices, so that they can be compared; some room beside the points."""
    low, high = min(values), max(values)
    margin = 0.08 * (high - low) or 0.05 * abs(high) or 1.0
    return [low - margin, high + margin]


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
    rung = f" at {_rung(found, 0)}" if found.fidelity else ""
    return (
        f"Orange: the best; white: beyond a constraint. What sets good configurations apart "
        f"(PED-ANOVA, first objective{rung}, {count(len(found.tried), 'trial')}): {told}. With few "
        "trials these shares are rough."
    )


def _csv(material: Material) -> bytes | None:
    """Every trial that was told, one a row."""
    rows = [
        {"sweep": found.name, "trial": one.number, **dict(one.parameters)}
        | dict(zip(found.objectives, one.values, strict=True))
        | {f"{n}_error": e for n, e in zip(found.objectives, one.errors, strict=True)}
        | {"seeds": one.seeds, "feasible": one.kept}
        | _again(found, one)
        for found in material.once(_searches)
        if not isinstance(found, str)
        for one in found.tried
    ]
    return pd.DataFrame(rows).to_csv(index=False).encode() if rows else None


def _again(found: Searched, one: Tried) -> dict[str, Any]:
    """What confirmed a trial, where anything did; columns that no other search has."""
    again = found.confirmation(one.number)
    if again is None:
        return {}
    values = {f"{n}_confirmed": v for n, v in zip(found.objectives, again.values, strict=True)}
    errors = zip(found.objectives, again.errors, strict=True)
    return values | {f"{n}_confirmed_error": e for n, e in errors}


def _applies(material: Material) -> bool:
    return bool(material.once(_searches))


SECTION = Section(
    id="search",
    title="Search",
    place=25,
    blocks=_blocks,
    files={"search.csv": _csv},
    applies=_applies,
    still="search",
)
