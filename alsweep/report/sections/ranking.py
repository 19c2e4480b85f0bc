"""The ranking by AUBC over all settings."""

from collections.abc import Iterator

import pandas as pd

from alsweep.report.captions import count, seed_counts
from alsweep.report.figures import axis, layout, marker, plain
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
    across = axis("mean rank (1 = highest AUBC)", range=[0.5, len(ranks) + 0.5], dtick=1)
    down = axis("", autorange="reversed", showgrid=False)
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
            "No ranking: it needs finished trajectories with at least two loops and a common seed."
        )
    settings = int(ranks["settings"].max())
    text = (
        "Strategies ranked by AUBC in each setting (1 is the highest, ties share the smallest "
        f"rank), mean over {count(settings, 'setting')}. "
    )
    if ranks["low"].isna().all():
        return text + "There is no interval, since a setting has one common seed only."
    seeds = int(seed_counts(study).min())
    text += (
        "Intervals: 95 % of 1,000 bootstrap draws of seeds within each setting, the same seeds for "
        f"all strategies. With {count(seeds, 'seed')} such an interval is too narrow rather than "
        "too wide, and it says nothing about other datasets. "
    )
    taus = rank_stability(study.table)["tau"].dropna()
    if len(taus):
        low, high = f"{taus.min():.2f}", f"{taus.max():.2f}"
        span = f"is {low} each time" if low == high else f"lies between {low} and {high}"
        text += f"Leaving out one seed at a time, Kendall's τ with this ranking {span}."
    return text


SECTION = Section(
    id="ranking",
    title="Ranking",
    place=50,
    blocks=_blocks,
    files={"ranking.csv": lambda material: material.once(_ranks).to_csv().encode()},
)
