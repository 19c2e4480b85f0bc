"""What machines cost: Dice for hours, what sharing and stopping saved, and money."""

from collections.abc import Iterator

import pandas as pd

from alsweep.report.captions import pretrained_text, some
from alsweep.report.costing import column, costed
from alsweep.report.declared import hour_price
from alsweep.report.figures import INK, axis, layout, legend_above, marker, panels, plain, short
from alsweep.report.section import Block, Caption, Figure, Figures, Material, Section, Tables
from alsweep.report.study import Look, Study
from alsweep.report.tables import NamedTable, Table, per_setting, percent
from alsweep.results import front, hypervolume, money, phase_hours, savings

_CAPTION = (
    "Each line is a strategy, a point for each of its loops: machine hours that it would have "
    "taken up to there on its own (mean over seeds; what others trained for it is counted as if it "
    "had trained it), and the Dice then. Stairs: the front, points that no other beats in both. "
    "Volume: share of the box from no hours to the setting's most and from Dice 0 to 1 that lies "
    "below a strategy's stairs; higher is more Dice for less time. Hours of unlike machines are "
    "not told apart."
)


def _blocks(material: Material) -> Iterator[Block]:
    study, points = material.study, material.once(_points)
    yield Figures(panels(study, lambda study, setting: _figure(study, setting, points)))
    yield Tables(_hours_tables(study))
    yield Caption(_CAPTION + pretrained_text(study.done))
    yield Tables(_point_tables(study, points), folded=True)
    yield Tables((("", _saved_table(study)),))
    yield Caption(
        "Hours of all trajectories of a setting, finished or not. Sharing: networks that were "
        "found stored would have taken as long again. Stopping: loops that a race or search "
        "spared, of trajectories that it had begun."
    )
    paid = _money(material)
    if paid is not None:
        yield Tables(_money_tables(study, paid))
        yield Caption(_money_caption(study))


def _points(study: Study) -> pd.DataFrame:
    return front(study.table)


def _figure(study: Study, setting: str, points: pd.DataFrame) -> Figure:
    here = points[points["setting"] == setting]
    data = [
        _line(look, here[here["strategy"] == look.strategy])
        for look in study.looks
        if look.strategy in set(here["strategy"])
    ]
    return {
        "data": [_stairs(here[here["on_front"]].sort_values("hours")), *data],
        "layout": layout(
            xaxis=axis("machine hours"), yaxis=axis("mean Dice [%]"), **legend_above(420)
        ),
    }


def _line(look: Look, rows: pd.DataFrame) -> Figure:
    name = plain(look.name)
    return {
        "type": "scatter",
        "mode": "lines+markers",
        "name": short(look.name),
        "x": _plain_numbers(rows["hours"], 5),
        "y": _plain_numbers(100 * rows["value"], 3),
        "line": {"color": look.colour, "width": 2, "dash": "dash" if look.baseline else "solid"},
        "marker": marker(look),
        "hovertemplate": f"{name}: %{{y:.2f}} % after %{{x:.3g}} h<extra></extra>",
    }


def _stairs(rows: pd.DataFrame) -> Figure:
    return {
        "type": "scatter",
        "mode": "lines",
        "name": "front",
        "x": _plain_numbers(rows["hours"], 5),
        "y": _plain_numbers(100 * rows["value"], 3),
        "line": {"color": INK, "width": 1.5, "shape": "hv", "dash": "dot"},
        "hoverinfo": "skip",
    }


def _plain_numbers(values: "pd.Series[float]", digits: int) -> list[float | None]:
    return [None if pd.isna(value) else round(float(value), digits) for value in values]


def _point_tables(study: Study, points: pd.DataFrame) -> tuple[NamedTable, ...]:
    """Hours and Dice after each loop; a star: on the front."""
    loops = sorted(set(map(int, points["loop"])))

    def cells(mine: pd.DataFrame) -> tuple[str, ...]:
        rows = {int(row["loop"]): row for _, row in mine.iterrows()}
        return tuple(
            f"{percent(rows[k]['value'])} after {_hours(rows[k]['hours'])}"
            f"{' *' if rows[k]['on_front'] else ''}"
            if k in rows
            else "—"
            for k in loops
        )

    columns = ("Strategy", *(f"Loop {k} [% after h]" for k in loops))
    return per_setting(study, points, columns, cells)


def _hours_tables(study: Study) -> tuple[NamedTable, ...]:
    """Hours by phase, alone, and the volume."""
    volumes = hypervolume(_points(study)).dropna(subset="strategy")
    rows = phase_hours(study.table).merge(volumes, on=["setting", "strategy"])
    names = ["train", "evaluate", "query", "shared", "alone"]

    def cells(mine: pd.DataFrame) -> tuple[str, ...]:
        row = mine.iloc[0]
        return (*(_hours(row[name]) for name in names), percent(row["hypervolume"]))

    headings = ("Train [h]", "Evaluate [h]", "Query [h]", "Found stored [h]", "Alone [h]")
    return per_setting(study, rows, ("Strategy", *headings, "Volume [%]"), cells)


def _hours(value: float) -> str:
    return "—" if pd.isna(value) else f"{value:,.1f}" if value >= 10 else f"{value:.3g}"


def _saved_table(study: Study) -> Table:
    rows = savings(study.table)
    lines = tuple(
        (
            study.settings[str(row["setting"])],
            *(_hours(row[name]) for name in ("spent", "sharing", "stopping")),
            percent(row["saved"]),
        )
        for _, row in rows.iterrows()
    )
    headings = ("Setting", "Spent [h]", "Saved by sharing [h]", "Saved by stopping [h]")
    return Table((*headings, "Saved of the whole [%]"), lines)


def _per_hour(study: Study) -> float | None:
    """Price of a machine hour, of the first run that declares one."""
    prices = [hour_price(run.path) for run in study.runs]
    return next((price for price in prices if price is not None), None)


def _money(material: Material) -> pd.DataFrame | None:
    """What trajectories cost in money; None where nothing has a price."""
    study = material.study
    if not study.asked.prices and _per_hour(study) is None:
        return None
    found = material.once(costed)
    known = {model.name: column(model) for model in found.models}
    prices = {known[name]: price for name, price in study.asked.prices.items() if name in known}
    return money(found.table, _per_hour(study) or 0.0, prices)


def _money_tables(study: Study, paid: pd.DataFrame) -> tuple[NamedTable, ...]:
    def cells(mine: pd.DataFrame) -> tuple[str, ...]:
        row = mine.iloc[0]
        return tuple(
            "—" if pd.isna(row[name]) else f"{row[name]:,.2f}"
            for name in ("compute", "annotation", "total")
        )

    return per_setting(study, paid, ("Strategy", "Machines", "Annotation", "Together"), cells)


def _money_caption(study: Study) -> str:
    each = [f"{price:g} for one of {name}" for name, price in study.asked.prices.items()]
    hour = _per_hour(study)
    told = [*([] if hour is None else [f"{hour:g} for a machine hour"]), *each]
    return f"A trajectory in money, mean over seeds, in whatever currency prices are: {some(told)}."


def _csv(frame: pd.DataFrame) -> bytes:
    return frame.to_csv(index=False).encode()


def _money_csv(material: Material) -> bytes | None:
    paid = _money(material)
    return None if paid is None else _csv(paid)


SECTION = Section(
    id="front",
    title="What machines cost",
    place=92,
    blocks=_blocks,
    files={
        "front.csv": lambda material: _csv(material.once(_points)),
        "hours.csv": lambda material: _csv(phase_hours(material.study.table)),
        "savings.csv": lambda material: _csv(savings(material.study.table)),
        "hypervolume.csv": lambda material: _csv(hypervolume(material.once(_points))),
        "money.csv": _money_csv,
    },
    applies=lambda material: len(material.study.done) > 0,
    still="front",
)
