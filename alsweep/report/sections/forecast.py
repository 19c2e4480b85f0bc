"""Learning curves beyond the budgets: how many patches a Dice takes, and what more would gain."""

import math
from collections.abc import Iterator

import pandas as pd

from alsweep.report.captions import controls_of, count, span
from alsweep.report.figures import axis, layout, marker, panels, short
from alsweep.report.section import Block, Caption, Figure, Figures, Material, Section, Tables
from alsweep.report.study import Look, Study
from alsweep.report.tables import NamedTable, Table, percent
from alsweep.results.forecast import (
    TOLERANCE,
    Forecast,
    curve_frame,
    fit_frame,
    forecasts,
    gain_frame,
    reach_frame,
)
from alsweep.results.fulldata import mean_full_dice
from alsweep.results.metrics import final

_FURTHER = 1.5
"""How far the curves are drawn, as a multiple of the last budget."""

_NEAR = 0.95
"""Share of the full-data Dice that is asked for where it is known."""


def _blocks(material: Material) -> Iterator[Block]:
    study, found = material.study, material.once(_forecasts)
    curves = curve_frame(found, _FURTHER)
    if len(curves):
        yield Figures(panels(study, lambda study, setting: _figure(study, setting, curves)))
    yield Tables(tuple(_table(study, name, setting, found) for setting, name in _named(study)))
    yield Caption(_caption(study, found))


def _full(study: Study) -> dict[str, float]:
    means = {setting: mean_full_dice(records) for setting, records in study.references.items()}
    return {setting: mean for setting, mean in means.items() if not pd.isna(mean)}


def _forecasts(study: Study) -> list[Forecast]:
    return forecasts(study.table, _full(study) or None)


def _named(study: Study) -> list[tuple[str, str]]:
    done = set(study.done["setting"])
    return [(setting, name) for setting, name in study.settings.items() if setting in done]


def _target(study: Study, setting: str) -> tuple[float, str]:
    """The Dice that is asked for, and what it is."""
    full = _full(study).get(setting)
    if full is not None:
        return _NEAR * full, f"{_NEAR:.0%} of full data"
    last = final(study.table[study.table["setting"] == setting])
    means = last.groupby("strategy")["final"].mean().dropna()
    names = {look.strategy: look.name for look in study.looks}
    control = next((c for c in controls_of(study) if c in means.index), None)
    if control is not None:
        return float(means[control]), f"what {names[control]} ends with"
    return float(means.max()), "the highest at the last loop"


def _figure(study: Study, setting: str, curves: pd.DataFrame) -> Figure:
    """Means of loops as markers, fitted curves as lines, dotted beyond the last budget."""
    rows = study.done[study.done["setting"] == setting]
    data: list[Figure] = []
    for look in study.looks:
        own = rows[rows["strategy"] == look.strategy]
        fitted = curves[(curves["setting"] == setting) & (curves["strategy"] == look.strategy)]
        if len(own):
            data += _curve(look, own, fitted)
    across, up = axis("annotated patches"), axis("mean Dice [%]")
    legend = {"orientation": "h", "y": 1.0, "yanchor": "bottom", "x": 0}
    margin = {"l": 64, "r": 16, "t": 40, "b": 48}
    shown = {"showlegend": True, "legend": legend, "margin": margin, "height": 420}
    return {"data": data, "layout": layout(xaxis=across, yaxis=up, **shown)}


def _curve(look: Look, own: pd.DataFrame, fitted: pd.DataFrame) -> list[Figure]:
    means = own.groupby("annotated_patches")["mean_dice"].mean().dropna()
    name = short(look.name)
    points: Figure = {
        "type": "scatter",
        "mode": "markers",
        "name": name,
        "x": means.index.tolist(),
        "y": (100 * means).round(3).tolist(),
        "marker": marker(look),
        "hovertemplate": f"{name}: %{{y:.1f}} % at %{{x}} patches<extra></extra>",
    }
    last = own["annotated_patches"].max()
    beyond = fitted["annotated_patches"] >= last
    within = fitted[fitted["annotated_patches"] <= last]
    parts = [(within, "solid"), (pd.concat([within.tail(1), fitted[beyond]]), "dot")]
    return [points, *(_line(look, rows, dash) for rows, dash in parts if len(fitted))]


def _line(look: Look, rows: pd.DataFrame, dash: str) -> Figure:
    return {
        "type": "scatter",
        "mode": "lines",
        "x": rows["annotated_patches"].round(2).tolist(),
        "y": (100 * rows["dice"]).round(3).tolist(),
        "line": {"color": look.colour, "width": 2, "dash": dash},
        "hoverinfo": "skip",
        "showlegend": False,
    }


def _table(study: Study, name: str, setting: str, found: list[Forecast]) -> NamedTable:
    looks = {look.strategy: look for look in study.looks}
    mine = [one for one in found if one.setting == setting]
    target, what = _target(study, setting)
    reach = reach_frame(mine, target)
    lines = {
        row["strategy"]: (looks[row["strategy"]].name, _patches(row), _gain(gain))
        for (_, row), (_, gain) in zip(reach.iterrows(), gain_frame(mine).iterrows(), strict=True)
    }
    asked = f"Patches to {percent(target)} % ({what})"
    order = [lines[look.strategy] for look in study.looks if look.strategy in lines]
    several = len(study.settings) > 1
    return (
        name if several else "",
        Table(("Strategy", asked, "Next query [points]"), tuple(order)),
    )


def _patches(row: "pd.Series[float]") -> str:
    if math.isnan(row["patches"]):
        return f"{row['verdict']}: {row['why']}" if row["why"] else str(row["verdict"])
    return f"{row['patches']:.0f} [{row['low']:.0f}, {row['high']:.0f}], {row['verdict']}"


def _gain(row: "pd.Series[float]") -> str:
    if math.isnan(row["gain"]):
        return "—"
    low, high = (f"{100 * row[end]:.2f}" for end in ("low", "high"))
    return f"{100 * row['gain']:.2f} [{low}, {high}]: {row['advice']}"


def _caption(study: Study, found: list[Forecast]) -> str:
    fitted = fit_frame(found)
    ceiling = "the full-data Dice where there is one, else 100 %" if study.references else "100 %"
    silent = int((fitted["why"] != "").sum())
    text = (
        "Curves of four parameters (PALM) fitted to all seeds of a strategy together, their "
        f"ceiling at most {ceiling}; with fewer than six budgets only two are fitted. Dotted: "
        f"beyond what was annotated, {span(fitted['budgets'], 'budget')}. Brackets: 95 % of the "
        "fits to seeds "
        "drawn again, with few of them too narrow rather than too wide. Next query: what as many "
        f"patches as the last query had would gain; “stop” where that is below {100 * TOLERANCE:g} "
        "points for sure, which no fewer than six budgets can say."
    )
    if silent:
        text += (
            f" {silent} of {count(len(fitted), 'curve')} tell nothing of what is to come: above "
            "all, a fit of which the last loop could not be foretold from those before is not "
            "trusted."
        )
    return text


def _applies(material: Material) -> bool:
    return any(one.fits is not None for one in material.once(_forecasts))


def _csv(material: Material) -> bytes:
    """Parameters, and patches to the setting's target."""
    found = material.once(_forecasts)
    targets = {
        setting: _target(material.study, setting)[0] for setting, _ in _named(material.study)
    }
    each = [
        reach_frame([one for one in found if one.setting == setting], target).assign(target=target)
        for setting, target in targets.items()
    ]
    reach = pd.concat(each, ignore_index=True).drop(columns="why")
    merged = fit_frame(found).merge(reach, on=["setting", "strategy"])
    return merged.to_csv(index=False).encode()


SECTION = Section(
    id="forecast",
    title="Beyond the budgets",
    place=32,
    blocks=_blocks,
    files={"curve_model.csv": _csv},
    applies=_applies,
    still="curve_model",
)
