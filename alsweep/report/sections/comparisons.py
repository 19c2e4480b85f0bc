"""The headline test: which strategies differ from the controls, and which do not."""

import math
from collections.abc import Iterator, Sequence
from typing import Any

import pandas as pd

from alsweep.report.captions import ALPHA, alone, controls_of, count, some, span
from alsweep.report.compared import compared
from alsweep.report.figures import axis, layout, marker, names_axis, panels, plain
from alsweep.report.section import (
    Block,
    Caption,
    Controls,
    Figure,
    Figures,
    Material,
    Section,
    Statements,
    Switch,
    Tables,
    switched,
)
from alsweep.report.study import Look, Study
from alsweep.report.tables import NamedTable, Table
from alsweep.results.comparing import detectable
from alsweep.results.paired import MOST_SEEDS, POWER, needed_effect

_AGAINST = "against"
_VERDICTS = ("better", "worse", "equivalent", "undecided")
_COLUMNS = (
    "Strategy",
    "Against",
    "n",
    "Difference [points]",
    "95 % interval",
    "p (Holm)",
    "Verdict",
    "Detectable [points]",
    "Further seeds",
)


def _blocks(material: Material) -> Iterator[Block]:
    study, rows = material.study, material.once(compared)
    if rows.empty:
        yield Caption(_nothing(study))
        return
    yield Statements(_headlines(study, rows))
    against = [c for c in controls_of(study) if c in set(rows["control"])]
    if len(against) > 1:
        names = _names(study)
        texts = tuple((control, f"against {names[control]}") for control in against)
        yield Controls((Switch(_AGAINST, "Control", texts),))
    yield Figures(panels(study, lambda _, setting: _figure(study, rows, setting, against)))
    yield Tables(_tables(study, rows))
    yield Caption(_caption(study, rows))


def _nothing(study: Study) -> str:
    """Why there is no comparison."""
    if study.done.empty:
        return "No trajectory is finished, so there is nothing to compare."
    if alone(study):
        return f"{alone(study)}: comparisons, win matrix and ranking are left out."
    if not controls_of(study):
        asked = ", ".join(study.asked.controls or ()) or "none is declared"
        return (
            f"There is no control to compare with ({asked}): name strategies of the sweep under "
            "report.controls in the search space."
        )
    return "No control shares a setting with another strategy, so there is nothing to compare."


def _names(study: Study) -> dict[str, str]:
    return {look.strategy: look.name for look in study.looks}


def _headlines(study: Study, rows: pd.DataFrame) -> tuple[tuple[str, str], ...]:
    """For each control who is better, worse, equivalent, undecided."""
    names = _names(study)
    here = rows.groupby("control", sort=False)
    return tuple((f"Against {names[str(c)]}", _counted(study, mine)) for c, mine in here)


def _counted(study: Study, rows: pd.DataFrame) -> str:
    """By name in one setting, else how often."""
    settings = rows["setting"].nunique()
    if settings > 1:
        counts = [f"{int((rows['verdict'] == v).sum())} {v}" for v in _VERDICTS]
        total = count(len(rows), "comparison")
        return f"{', '.join(counts)}, of {total} in {settings} settings."
    verdicts = dict(zip(rows["strategy"], rows["verdict"], strict=True))
    sides = {
        verdict: [look.name for look in study.looks if verdicts.get(look.strategy) == verdict]
        for verdict in _VERDICTS
    }
    told = [f"{verdict}: {some(those, ', ')}" for verdict, those in sides.items() if those]
    return f"{'; '.join(told)}."


def _figure(study: Study, rows: pd.DataFrame, setting: str, against: Sequence[str]) -> Figure:
    """Mean difference and interval of each strategy, one control at a time."""
    here = rows[rows["setting"] == setting]
    data = {control: _traces(study, here[here["control"] == control]) for control in against}
    rope = 100 * study.asked.rope
    band = {"type": "rect", "xref": "x", "yref": "paper", "x0": -rope, "x1": rope} | {
        "y0": 0,
        "y1": 1,
        "fillcolor": "#dfe5ec",
        "line": {"width": 0},
        "layer": "below",
    }
    most = max((len(one) for one in data.values()), default=0)
    return {
        "data": switched(_AGAINST, data) if len(against) > 1 else data[against[0]],
        "layout": layout(
            xaxis=axis("difference [Dice points]", zeroline=True, zerolinecolor="#8a94a3"),
            yaxis=names_axis(_met(study, here), autorange="reversed", showgrid=False),
            shapes=[band],
            height=130 + 46 * max(most, 1),
        ),
    }


def _met(study: Study, rows: pd.DataFrame) -> list[str]:
    """What they are called who are held against a control, in the order of the sweep."""
    met = set(rows["strategy"])
    return [look.name for look in study.looks if look.strategy in met]


def _traces(study: Study, rows: pd.DataFrame) -> list[Figure]:
    by_strategy = {str(row["strategy"]): row for _, row in rows.iterrows()}
    return [
        _trace(look, by_strategy[look.strategy])
        for look in study.looks
        if look.strategy in by_strategy
    ]


def _trace(look: Look, row: "pd.Series[Any]") -> Figure:
    mean = None if pd.isna(row["mean_difference"]) else 100 * float(row["mean_difference"])
    bar: Figure = {"visible": False}
    if not pd.isna(row["low"]):
        reach = 100 * float(row["high"] - row["mean_difference"])
        bar = {"type": "data", "array": [reach], "thickness": 2.5, "width": 7, "color": look.colour}
    return {
        "type": "scatter",
        "mode": "markers+text",
        "x": [mean],
        "y": [plain(look.name)],
        "error_x": bar,
        "marker": marker(look, 11),
        "text": [str(row["verdict"])],
        "textposition": "top center",
        "textfont": {"size": 11},
        "cliponaxis": False,
        "hovertemplate": f"%{{y}}: %{{x:.2f}} points (n = {row['n']})<extra></extra>",
    }


def _tables(study: Study, rows: pd.DataFrame) -> tuple[NamedTable, ...]:
    """One table a setting, strategies in the order of the sweep within a control."""
    names, place = _names(study), {look.strategy: i for i, look in enumerate(study.looks)}
    found = []
    for setting, name in study.settings.items():
        lines = []
        here = rows[rows["setting"] == setting]
        here = here.assign(detectable=detectable(here, ALPHA))
        for control, mine in here.groupby("control", sort=False):
            ordered = mine.assign(place=mine["strategy"].map(place)).sort_values("place")
            lines += [_line(names, str(control), row) for _, row in ordered.iterrows()]
        found.append((name, Table(_COLUMNS, tuple(lines))))
    return tuple(found)


def _line(names: dict[str, str], control: str, row: "pd.Series[Any]") -> tuple[str, ...]:
    tested = not pd.isna(row["p"])
    ends = f"{100 * row['low']:+.2f} to {100 * row['high']:+.2f}" if tested else "—"
    return (
        names[str(row["strategy"])],
        names[control],
        str(row["n"]),
        "—" if pd.isna(row["mean_difference"]) else f"{100 * row['mean_difference']:+.2f}",
        ends,
        _probability(float(row["p_adjusted"])),
        str(row["verdict"]),
        f"{100 * row['detectable']:.2f}" if tested else "—",
        _further(row),
    )


def _probability(p: float) -> str:
    if math.isnan(p):
        return "—"
    return f"{p:.4f}" if p >= 0.0001 else "< 0.0001"


def _further(row: "pd.Series[Any]") -> str:
    if not pd.isna(row["seeds_to_decide"]):
        return f"{row['seeds_to_decide']:,}"
    return f"> {MOST_SEEDS:,}" if row["n"] >= 2 else "—"


def _caption(study: Study, rows: pd.DataFrame) -> str:
    rope = f"±{100 * study.asked.rope:g} Dice points"
    return (
        "Difference: AUBC of the strategy less that of the control, mean over the n seeds that "
        f"both have; bars and interval: {1 - ALPHA:.0%} t, not adjusted. p: two-sided paired "
        "t-test, adjusted by Holm over all tests of a setting. Better or worse: adjusted p below "
        f"{ALPHA:g}; equivalent: not so, and the {1 - 2 * ALPHA:.0%} interval lies within {rope} "
        f"(grey); undecided: neither, which is no proof of equality.{_needed(rows)} Detectable: "
        f"the smallest true difference found with a probability of {POWER:.0%}, at the level of "
        "Holm's first step and for the deviation that was observed. Further seeds: "
        f"the fewest with which a test would find the observed difference, were it and its "
        f"deviation true, with a probability of {POWER:.0%}; a guess, from few seeds a rough one."
        f"{_once(rows)}"
    )


def _once(rows: pd.DataFrame) -> str:
    met = set(rows["control"]) & set(rows["strategy"])
    return " Two controls meet once, where the first is the control." if met else ""


def _needed(rows: pd.DataFrame) -> str:
    """How large a difference must be to be found, exact for the seeds and tests at hand."""
    tested = rows.dropna(subset=["p"])
    if tested.empty:
        return " No test is possible: it needs at least 2 common seeds."
    families = tested.groupby("setting")["p"].transform("size")
    each = {
        needed_effect(int(n), int(family), ALPHA)
        for n, family in zip(tested["n"], families, strict=True)
    }
    low, high = f"{min(each):.2f}", f"{max(each):.2f}"
    return (
        f" With {span(tested['n'], 'common seed')} and {span(families, 'test')} in a setting, the "
        f"first difference must exceed {low if low == high else f'{low} to {high}'} times the "
        "standard deviation of the paired differences."
    )


SECTION = Section(
    id="comparisons",
    title="Against the controls",
    place=35,
    blocks=_blocks,
    files={
        "comparisons.csv": lambda material: material.once(compared).to_csv(index=False).encode()
    },
    still="comparisons",
)
