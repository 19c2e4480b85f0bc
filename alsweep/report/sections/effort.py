"""What annotation costs a person: Dice for slices, outlines, clicks and other kinds of work."""

from collections.abc import Iterator

import pandas as pd

from alsweep.costs import CostModel
from alsweep.report.captions import over_seeds
from alsweep.report.costing import Costed, column, costed
from alsweep.report.figures import axis, layout, legend_above, marker, panels, plain, short
from alsweep.report.section import Block, Caption, Figure, Figures, Material, Section, Tables
from alsweep.report.study import Look, Study
from alsweep.report.tables import NamedTable, last_rows, mean_and_std, per_setting, with_best


def _blocks(material: Material) -> Iterator[Block]:
    study, found = material.study, material.once(costed)
    areas = found.areas
    yield Figures(panels(study, lambda study, setting: _figure(study, setting, areas, found)))
    yield Caption(_caption(found))
    yield Tables(_area_tables(study, areas, found))
    yield Caption(f"AUBC over each kind of cost [%]. {over_seeds(study)}")
    yield Tables(_spent_tables(study, found))
    yield Caption("What the whole of a trajectory's annotation takes, mean over its seeds.")


def _figure(study: Study, setting: str, areas: pd.DataFrame, found: Costed) -> Figure:
    """Costs across, AUBC up: where lines cross, the ranking hangs on what is counted."""
    here = areas[areas["setting"] == setting]
    means = here.groupby(["strategy", "cost"])["aubc"].mean()
    names = [model.name for model in found.models]
    data = [
        _line(look, means.loc[look.strategy].reindex(names))
        for look in study.looks
        if look.strategy in means.index.get_level_values(0)
    ]
    across = axis("what is counted", categoryorder="array", categoryarray=names, tickangle=-35)
    return {
        "data": data,
        "layout": layout(xaxis=across, yaxis=axis("AUBC [%]"), **legend_above(400)),
    }


def _line(look: Look, means: "pd.Series[float]") -> Figure:
    name = plain(look.name)
    return {
        "type": "scatter",
        "mode": "lines+markers",
        "name": short(look.name),
        "x": means.index.tolist(),
        "y": [None if pd.isna(v) else round(100 * float(v), 3) for v in means],
        "line": {"color": look.colour, "width": 2, "dash": "dash" if look.baseline else "solid"},
        "marker": marker(look),
        "hovertemplate": f"{name}, by %{{x}}: %{{y:.2f}} %<extra></extra>",
    }


def _area_tables(study: Study, areas: pd.DataFrame, found: Costed) -> tuple[NamedTable, ...]:
    def cells(mine: pd.DataFrame) -> tuple[str, ...]:
        by_cost = dict(list(mine.groupby("cost")["aubc"]))
        return tuple(mean_and_std(by_cost[model.name]) for model in found.models)

    columns = ("Strategy", *(_heading(model) for model in found.models))
    values = {
        column: (areas[areas["cost"] == model.name], "aubc")
        for column, model in enumerate(found.models, start=1)
    }
    return with_best(study, per_setting(study, areas, columns, cells), values)


def _heading(model: CostModel) -> str:
    return f"by {model.name}"


def _spent_tables(study: Study, found: Costed) -> tuple[NamedTable, ...]:
    """What the last training rested on."""

    def cells(mine: pd.DataFrame) -> tuple[str, ...]:
        return tuple(_count(mine[column(model)].mean()) for model in found.models)

    columns = ("Strategy", *(f"{m.name} [{m.unit}]" for m in found.models))
    return per_setting(study, last_rows(found.table), columns, cells)


def _count(value: float) -> str:
    return "—" if pd.isna(value) else f"{value:,.0f}" if value >= 10 else f"{value:.1f}"


def _caption(found: Costed) -> str:
    meanings = [f"{model.name}: {model.summary.rstrip('.')}" for model in found.models]
    lacking = f" Left out: {'; '.join(found.lacking)}." if found.lacking else ""
    return (
        "A patch full of small structures takes a person longer than an empty one. Each point is "
        "the mean Dice along the curve when the horizontal axis counts another kind of work, over "
        "the range that all trajectories of a setting cover; a strategy that loses its lead where "
        f"another work is counted buys its Dice with that. {'. '.join(meanings)}.{lacking} None "
        "is a measured time: they are counts in the reference labels."
    )


def _csv(material: Material) -> bytes:
    """AUBC over each cost, and what was spent in the end."""
    study, found = material.study, material.once(costed)
    last = last_rows(found.table).set_index(["setting", "strategy", "seed"])
    spent = [
        last[column(model)].rename("spent").reset_index().assign(cost=model.name)
        for model in found.models
    ]
    merged = found.areas.merge(pd.concat(spent), on=["setting", "strategy", "seed", "cost"])
    return (
        merged.assign(setting_name=merged["setting"].map(dict(study.settings)))
        .to_csv(index=False)
        .encode()
    )


def _applies(material: Material) -> bool:
    done = material.study.done
    return len(done) > 0 and len(material.once(costed).areas) > 0


SECTION = Section(
    id="effort",
    title="What annotation costs",
    place=72,
    blocks=_blocks,
    files={"effort.csv": _csv},
    applies=_applies,
    still="effort",
)
