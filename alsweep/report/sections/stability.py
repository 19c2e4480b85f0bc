"""How often each strategy comes out at each place when seeds and settings are drawn again."""

import math
from collections.abc import Iterator
from typing import Any

import pandas as pd

from alsweep.report.captions import alone, count
from alsweep.report.figures import axis, layout, names_axis, plain
from alsweep.report.section import Block, Caption, Figure, Figures, Material, Section, Tables
from alsweep.report.study import Study
from alsweep.report.tables import Table, percent
from alsweep.results import rank_shares, setting_agreement
from alsweep.results.metrics import DRAWS

_LARGEST = 34
"""Diameter of the blob of a rank that is always had, pixels."""


def _blocks(material: Material) -> Iterator[Block]:
    shares = material.once(_shares)
    yield Figures((("", _blobs(material.study, shares)),))
    yield Caption(_caption(material.study, shares))
    yield Tables((("", _table(material.study, shares)),), folded=True)


def _shares(study: Study) -> pd.DataFrame:
    return rank_shares(study.table, resample="both")


def _blobs(study: Study, shares: pd.DataFrame) -> Figure:
    """Rank across, strategies down; the area of a blob is the share of draws."""
    looks = {look.strategy: look for look in study.looks}
    order = list(dict.fromkeys(shares["strategy"]))
    data = []
    for strategy in order:
        own, look = shares[shares["strategy"] == strategy], looks[strategy]
        fill = "#ffffff" if look.baseline else look.colour
        data.append(
            {
                "type": "scatter",
                "mode": "markers",
                "cliponaxis": False,
                "x": own["rank"].tolist(),
                "y": [plain(look.name)] * len(own),
                "text": [f"{share:.0%}" for share in own["share"]],
                "marker": {
                    "size": [round(_LARGEST * share**0.5, 2) for share in own["share"]],
                    "color": fill,
                    "opacity": 0.9,
                    "line": {"color": look.colour, "width": 2},
                },
                "hovertemplate": "%{y}: rank %{x} in %{text} of draws<extra></extra>",
            }
        )
    across = axis("rank", range=[0.4, len(order) + 0.6], dtick=1)
    ends = [len(order) - 0.4, -0.6]
    names = [looks[strategy].name for strategy in order]
    fixed: dict[str, Any] = {
        "categoryorder": "array",
        "categoryarray": [plain(name) for name in names],
    }
    down = names_axis(names, range=ends, **fixed)
    return {"data": data, "layout": layout(xaxis=across, yaxis=down, height=130 + 46 * len(order))}


def _table(study: Study, shares: pd.DataFrame) -> Table:
    """How often each rank came out, a column a rank."""
    names = {look.strategy: look.name for look in study.looks}
    wide = shares.pivot_table(index="strategy", columns="rank", values="share", sort=False)
    ranks = sorted(wide.columns)
    rows = tuple(
        (names[str(strategy)], *(percent(row.get(rank, 0.0)) for rank in ranks))
        for strategy, row in wide.fillna(0.0).iterrows()
    )
    return Table(("Strategy", *(f"Rank {rank:g} [%]" for rank in ranks)), rows)


def _caption(study: Study, shares: pd.DataFrame) -> str:
    several = len(study.settings) > 1
    what = "seeds within each setting, and settings," if several else "seeds"
    mean, low, high = shares.attrs["tau"]
    text = (
        f"The study drawn again {DRAWS:,} times: {what} with replacement, the same seeds for all "
        "strategies. The area of a blob is how often a strategy came out at that rank by AUBC (1 "
        f"is the highest); one large blob is a place that is sure.{_tau(mean, low, high)}"
    )
    return text + (_agreement(study) if several else "")


def _tau(mean: float, low: float, high: float) -> str:
    if math.isnan(mean):
        return ""
    return (
        f" Kendall's τ of the draws' orders with that of the study is {mean:.2f} on the mean "
        f"(95 %: {low:.2f} to {high:.2f}; 1 is the same order)."
    )


def _agreement(study: Study) -> str:
    """Whether one setting tells of another."""
    found = setting_agreement(study.table)
    names = list(found.index)
    taus = [found.loc[a, b] for i, a in enumerate(names) for b in names[i + 1 :]]
    known = pd.Series(taus, dtype=float).dropna()
    if known.empty:
        return ""
    return (
        f" Between two settings τ is {known.mean():.2f} on the mean over "
        f"{count(len(known), 'pair')} ({known.min():.2f} to {known.max():.2f})."
    )


def _drawn(material: Material) -> bool:
    return not alone(material.study) and not material.once(_shares).empty


SECTION = Section(
    id="stability",
    title="Stability of the ranking",
    place=54,
    blocks=_blocks,
    files={
        "rank_shares.csv": lambda material: material.once(_shares).to_csv(index=False).encode(),
        "setting_agreement.csv": lambda material: (
            setting_agreement(material.study.table).to_csv(index_label="setting").encode()
            if len(material.study.settings) > 1
            else None
        ),
    },
    applies=_drawn,
    still="rank_shares",
)
