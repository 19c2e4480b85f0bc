"""The ranking by AUBC over all settings."""

from collections.abc import Iterator

import pandas as pd

from alsweep.report.captions import alone, count, listed, not_ranked, span
from alsweep.report.figures import axis, layout, marker, names_axis, plain
from alsweep.report.section import (
    Beside,
    Block,
    Caption,
    Figure,
    Figures,
    Material,
    Section,
    Tables,
)
from alsweep.report.study import Look, Study
from alsweep.report.tables import Table
from alsweep.results import rank_stability, ranking


def _blocks(material: Material) -> Iterator[Block]:
    study, ranks = material.study, material.once(_ranks)
    if alone(study):
        return
    if not ranks.empty:
        yield Beside(
            (Figures((("", _intervals(study, ranks)),)),),
            (Tables((("", _table(study, ranks)),)),),
        )
    yield Caption(_caption(study, ranks))


def _ranks(study: Study) -> pd.DataFrame:
    return ranking(study.table)


def _intervals(study: Study, ranks: pd.DataFrame) -> Figure:
    """Mean rank and bootstrap interval of each strategy, best at the top."""
    looks = {look.strategy: look for look in study.looks}
    data = [_interval(looks[str(strategy)], row) for strategy, row in ranks.iterrows()]
    across = axis("mean rank", range=[0.5, len(ranks) + 0.5], dtick=1)
    names = [looks[str(strategy)].name for strategy in ranks.index]
    down = names_axis(names, autorange="reversed", showgrid=False)
    return {"data": data, "layout": layout(xaxis=across, yaxis=down, height=130 + 42 * len(ranks))}


def _interval(look: Look, row: "pd.Series[float]") -> Figure:
    rank = float(row["mean_rank"])
    bar: Figure = {"visible": False}
    if not pd.isna(row["low"]):
        over, under = float(row["high"]) - rank, rank - float(row["low"])
        bar = {"type": "data", "symmetric": False, "array": [over], "arrayminus": [under]} | {
            "thickness": 2.5,
            "width": 7,
            "color": look.colour,
        }
    return {
        "type": "scatter",
        "mode": "markers",
        "x": [rank],
        "y": [plain(look.name)],
        "error_x": bar,
        "marker": marker(look, 12),
        "hovertemplate": "%{y}: mean rank %{x:.2f}<extra></extra>",
    }


def _table(study: Study, ranks: pd.DataFrame) -> Table:
    """Mean ranks with their bootstrap intervals, best first."""
    looks = {look.strategy: look for look in study.looks}
    rows = tuple(
        (
            looks[str(strategy)].name,
            f"{row['mean_rank']:.2f}",
            "—" if pd.isna(row["low"]) else f"{row['low']:.2f} to {row['high']:.2f}",
            f"{row['settings']:.0f}",
        )
        for strategy, row in ranks.iterrows()
    )
    return Table(("Strategy", "Mean rank", "95 % interval", "Settings"), rows)


def _caption(study: Study, ranks: pd.DataFrame) -> str:
    """What a rank and its interval mean, and how much they hang on single seeds."""
    if ranks.empty:
        return (
            "No ranking: it needs finished trajectories of two strategies in a setting, with at "
            "least two loops and a common seed."
            f"{not_ranked(study, ranks)}"
        )
    settings = len(ranks.attrs["ranked"])
    return (
        "Strategies ranked by AUBC in each setting (1 is the highest, ties share the smallest "
        f"rank), over the seeds that all ranked ones share ({_common(study, ranks)}); mean over "
        f"{count(settings, 'setting')}.{_fewer(ranks)}{not_ranked(study, ranks)}"
        f"{_interval_text(ranks)}{_stability(study)}"
    )


def _common(study: Study, ranks: pd.DataFrame) -> str:
    """The seeds that a ranking rests on."""
    each = {seeds for seeds in ranks.attrs["seeds"].values() if seeds}
    return listed(each.pop()) if len(each) == 1 else span(map(len, each), "seed") + " a setting"


def _fewer(ranks: pd.DataFrame) -> str:
    """Whether the settings rank different strategies."""
    if len({frozenset(strategies) for strategies in ranks.attrs["ranked"].values()}) == 1:
        return ""
    return (
        " Settings do not rank the same strategies (last column: in how many each is ranked): "
        "their means are over other settings and other rivals, and not to be compared without care."
    )


def _interval_text(ranks: pd.DataFrame) -> str:
    counts = [len(seeds) for seeds in ranks.attrs["seeds"].values() if seeds]
    if ranks["low"].isna().all() and min(counts) == 1:
        return " There is no interval, since a setting has one common seed only."
    if ranks["low"].isna().all():
        few = f"{span(counts, 'seed')} in {count(len(counts), 'setting')}"
        return f" There is no interval: {few} are too few to draw from."
    lacking = (
        " An em dash: too few seeds to draw from, in the settings of that strategy."
        if ranks["low"].isna().any()
        else ""
    )
    return (
        " Intervals: 95 % of 1,000 bootstrap draws of seeds, in each setting for itself, the same "
        f"seeds for all its strategies.{lacking} With {span(counts, 'seed')} such an interval is "
        "too narrow rather than too wide, and it says nothing about other datasets."
    )


def _stability(study: Study) -> str:
    taus = rank_stability(study.table)["tau"].dropna()
    if taus.empty:
        return ""
    low, high = f"{taus.min():.2f}", f"{taus.max():.2f}"
    between = f"is {low} each time" if low == high else f"lies between {low} and {high}"
    return f" Leaving out one seed at a time, Kendall's τ with this ranking {between}."


SECTION = Section(
    id="ranking",
    title="Ranking",
    place=50,
    blocks=_blocks,
    files={"ranking.csv": lambda material: material.once(_ranks).to_csv().encode()},
    still="ranking",
)
