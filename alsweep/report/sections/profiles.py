"""All runs of a strategy at once: robust means, profiles, and how often one run beats another."""

from collections.abc import Iterator, Mapping

import pandas as pd

from alsweep.report.captions import alone, controls_of, span
from alsweep.report.figures import BAND, axis, faint, layout, legend_above, plain, short
from alsweep.report.section import Block, Caption, Figure, Figures, Material, Section, Tables
from alsweep.report.study import Look, Study
from alsweep.report.tables import Table, percent
from alsweep.results import aggregate, improvement, performance_profile
from alsweep.results.fulldata import mean_full_dice

_STATISTICS = ("iqm", "mean", "optimality_gap")
_LEAST_SEEDS = 2


def _blocks(material: Material) -> Iterator[Block]:
    study = material.study
    yield Figures((("", _figure(study, material.once(_profiles))),))
    yield Caption(_caption(study))
    yield Tables((("", _table(study, material.once(_aggregates))),))
    yield Caption(
        "IQM: mean of the middle half of all runs, which single bad seeds do not move. Gap: how "
        "far runs fall short of "
        f"{'full data' if _scaled(study) else 'a Dice of 100 %'} on the mean; lower is better. "
        "Brackets: 95 % of the study drawn again, seeds within settings."
    )
    better = material.once(_improvements)
    if len(better):
        yield Tables((("", _improvement_table(study, better)),))
        yield Caption(
            "How probable it is that a run of the strategy ends up above a run of the control, "
            "mean over settings; 50 % is a coin. It tells how often, not by how much."
        )


def _scale(study: Study) -> Mapping[str, object]:
    """Scores as shares of the way from a control to full data, where settings are unlike."""
    full = {setting: mean_full_dice(records) for setting, records in study.references.items()}
    full = {setting: value for setting, value in full.items() if not pd.isna(value)}
    controls = controls_of(study)
    if len(study.settings) < 2 or not controls or set(full) != set(study.settings):
        return {}
    return {"control": controls[0], "full_dice": full}


def _scaled(study: Study) -> bool:
    return bool(_scale(study))


def _profiles(study: Study) -> pd.DataFrame:
    return performance_profile(study.table, **_scale(study))  # type: ignore[arg-type]


def _aggregates(study: Study) -> pd.DataFrame:
    return aggregate(study.table, **_scale(study))  # type: ignore[arg-type]


def _improvements(study: Study) -> pd.DataFrame:
    return improvement(study.table, controls_of(study)) if controls_of(study) else pd.DataFrame()


def _figure(study: Study, profiles: pd.DataFrame) -> Figure:
    data: list[Figure] = []
    for look in study.looks:
        mine = profiles[profiles["strategy"] == look.strategy]
        if len(mine):
            data += [_band(look, mine), _line(look, mine)]
    what = "share of the way to full data [%]" if _scaled(study) else "AUBC [%]"
    up = axis("runs above it [%]", range=[-2, 102])
    return {"data": data, "layout": layout(xaxis=axis(what), yaxis=up, **legend_above(400))}


def _band(look: Look, rows: pd.DataFrame) -> Figure:
    known = rows.dropna(subset=["low"])
    return {
        "type": "scatter",
        "mode": "lines",
        "hoverinfo": "skip",
        "fill": "toself",
        "showlegend": False,
        "line": {"width": 0},
        "fillcolor": faint(look.colour, BAND),
        "x": (100 * pd.concat([known["tau"], known["tau"][::-1]])).round(3).tolist(),
        "y": (100 * pd.concat([known["high"], known["low"][::-1]])).round(2).tolist(),
    }


def _line(look: Look, rows: pd.DataFrame) -> Figure:
    name = plain(look.name)
    return {
        "type": "scatter",
        "mode": "lines",
        "name": short(look.name),
        "x": (100 * rows["tau"]).round(3).tolist(),
        "y": (100 * rows["share"]).round(2).tolist(),
        "line": {"color": look.colour, "width": 2, "dash": "dash" if look.baseline else "solid"},
        "hovertemplate": f"{name}: %{{y:.0f}} % of runs above %{{x:.1f}}<extra></extra>",
    }


def _caption(study: Study) -> str:
    runs = study.done.groupby("strategy")["trajectory"].nunique()
    unlike = (
        " Settings are unlike, and their Dice are taken as they are: who has another mix of them "
        "is not to be compared."
        if len(study.settings) > 1 and not _scaled(study)
        else ""
    )
    return (
        f"Of all runs of a strategy ({span(runs.tolist(), 'run')}), over all settings and seeds, "
        "the share that lies above each value. A line above another one everywhere is that of a "
        f"strategy that does better whatever one asks for.{unlike}"
    )


def _table(study: Study, found: pd.DataFrame) -> Table:
    by_key = {(row["strategy"], row["statistic"]): row for _, row in found.iterrows()}
    rows = tuple(
        (look.name, *(_with_ends(by_key[look.strategy, name]) for name in _STATISTICS))
        for look in study.looks
        if look.strategy in set(found["strategy"])
    )
    return Table(("Strategy", "IQM [%]", "Mean [%]", "Gap [%]"), rows)


def _with_ends(row: "pd.Series[float]") -> str:
    ends = "" if pd.isna(row["low"]) else f" [{percent(row['low'])}, {percent(row['high'])}]"
    return f"{percent(row['value'])}{ends}"


def _improvement_table(study: Study, found: pd.DataFrame) -> Table:
    names = {look.strategy: look.name for look in study.looks}
    rows = tuple(
        (
            names[str(row["strategy"])],
            names[str(row["control"])],
            _with_ends(row.rename({"probability": "value"})),
            str(row["settings"]),
        )
        for _, row in found.iterrows()
    )
    return Table(("Strategy", "Against", "Above it [%]", "Settings"), rows)


def _applies(material: Material) -> bool:
    study = material.study
    seeds = study.done.groupby(["setting", "strategy"])["seed"].nunique()
    return not alone(study) and len(seeds) > 0 and seeds.max() >= _LEAST_SEEDS and _loops(study)


def _loops(study: Study) -> bool:
    """Whether there is an area at all."""
    return bool((study.done["loop"] > 0).any())


SECTION = Section(
    id="profiles",
    title="All runs together",
    place=56,
    blocks=_blocks,
    files={
        "performance_profile.csv": lambda material: (
            material.once(_profiles).to_csv(index=False).encode()
        ),
        "aggregates.csv": lambda material: material.once(_aggregates).to_csv(index=False).encode(),
        "improvement.csv": lambda material: (
            material.once(_improvements).to_csv(index=False).encode()
            if len(material.once(_improvements))
            else None
        ),
    },
    applies=_applies,
    still="performance_profile",
)
