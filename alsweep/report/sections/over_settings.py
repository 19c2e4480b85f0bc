"""Mean ranks over settings, who is not told apart by them, and every strategy against controls."""

from collections.abc import Iterator
from typing import Any

import pandas as pd

from alsweep.report.captions import ALPHA, alone, count, some
from alsweep.report.compared import compared_over_settings
from alsweep.report.figures import INK, PALE, axis, layout, marker, plain, short
from alsweep.report.section import Block, Caption, Figure, Figures, Material, Section, Tables
from alsweep.report.study import Study
from alsweep.report.tables import Table
from alsweep.results import friedman, rank_groups
from alsweep.results.rank_tests import bars

_ASKED_SETTINGS, _ASKED_STRATEGIES = 10, 5
"""More than these the normal approximation of mean ranks asks for."""


def _blocks(material: Material) -> Iterator[Block]:
    study, groups = material.study, material.once(_groups)
    if len(groups) < 2 or pd.isna(groups.attrs["critical_difference"]):
        yield Caption(_nothing(study, groups))
        return
    yield Figures((("", _diagram(study, groups)),))
    yield Caption(_caption(study, groups, material.once(_friedman)))
    found = material.once(compared_over_settings)
    if len(found):
        yield Tables((("", _table(study, found)),))
        yield Caption(_table_caption(found))


def _groups(study: Study) -> pd.DataFrame:
    return rank_groups(study.table, alpha=ALPHA)


def _friedman(study: Study) -> pd.DataFrame:
    return friedman(study.table, alpha=ALPHA)


def _diagram(study: Study, groups: pd.DataFrame) -> Figure:
    """A row a strategy, best at the top; below, bars over ranks that are not told apart."""
    looks = {look.strategy: look for look in study.looks}
    ranks = groups["mean_rank"].to_list()
    needed = float(groups.attrs["critical_difference"])
    runs = bars(ranks, needed)
    rows = len(ranks)
    data: list[Figure] = [
        _line([rank, rank], [row, rows + 0.1 + 0.45 * len(runs)], PALE, 1)
        for row, rank in enumerate(ranks)
    ]
    for place, (first, last) in enumerate(runs):
        height = rows + 0.2 + 0.45 * place
        data.append(_line([ranks[first] - 0.04, ranks[last] + 0.04], [height, height], INK, 6))
    for row, (strategy, rank) in enumerate(zip(groups.index, ranks, strict=True)):
        name = plain(looks[str(strategy)].name)
        data.append(
            {
                "type": "scatter",
                "mode": "markers",
                "x": [rank],
                "y": [row],
                "marker": marker(looks[str(strategy)], 12),
                "hovertemplate": f"{name}: mean rank %{{x:.2f}}<extra></extra>",
            }
        )
    end = max(rows + 0.3, 1 + needed + 0.3)
    data.append(_line([1, 1 + needed], [-0.9, -0.9], INK, 2))
    note: dict[str, Any] = {"x": 1 + needed / 2, "y": -0.9, "yshift": 9, "showarrow": False}
    note |= {"text": f"CD {needed:.2f}", "font": {"size": 12}}
    names = [short(looks[str(strategy)].name) for strategy in groups.index]
    across = axis("mean rank", range=[0.7, end], dtick=1)
    ticks = {"tickvals": list(range(rows)), "ticktext": names}
    low = rows + 0.4 + 0.45 * max(len(runs), 1)
    down = axis("", range=[low, -1.5], showgrid=False, **ticks)
    return {
        "data": data,
        "layout": layout(xaxis=across, yaxis=down, annotations=[note], height=170 + 40 * rows),
    }


def _line(x: list[float], y: list[float], colour: str, width: float) -> Figure:
    look = {"type": "scatter", "mode": "lines", "hoverinfo": "skip"}
    return {**look, "x": x, "y": y, "line": {"color": colour, "width": width}}


def _caption(study: Study, groups: pd.DataFrame, test: pd.DataFrame) -> str:
    found = test.iloc[0]
    text = (
        f"Mean over {count(int(found['settings']), 'setting')} of each strategy's rank by AUBC; "
        "1 is the highest. Strategies over one bar are not told apart: their mean ranks are closer "
        f"than the critical difference (CD) of Nemenyi's test ({ALPHA:.0%}, all pairs together)."
    )
    if not pd.isna(found["p"]):
        text += (
            f" Friedman's test of whether any differs: χ² = {found['chi2']:.1f}, "
            f"{_p_text(found['p'])}; by Iman and Davenport {_p_text(found['f_p'])}."
        )
    return (
        f"{text}{_approximate(found)} Settings that share a dataset are not independent, which the "
        f"test does not know.{_left_out(study, groups)}"
    )


def _p_text(value: float) -> str:
    return "p < 0.001" if value < 0.001 else f"p = {_p(value)}"


def _approximate(found: "pd.Series[float]") -> str:
    if found["settings"] > _ASKED_SETTINGS and found["strategies"] > _ASKED_STRATEGIES:
        return ""
    return (
        f" The test's approximation is made for more than {_ASKED_SETTINGS} settings and "
        f"{_ASKED_STRATEGIES} strategies: with fewer take it as a rough one."
    )


def _left_out(study: Study, groups: pd.DataFrame) -> str:
    names = {look.strategy: look.name for look in study.looks}
    who = [names[s] for s in groups.attrs["strategies_left_out"]]
    where = [study.settings[s] for s in groups.attrs["settings_left_out"]]
    text = f" Left out, in fewer than half of the settings: {some(who)}." if who else ""
    if where:
        text += f" Settings left out, in which somebody has no value: {some(where)}."
    return text


def _nothing(study: Study, groups: pd.DataFrame) -> str:
    return (
        "No test over settings: it needs two settings in which the same two strategies have "
        f"finished.{_left_out(study, groups)}"
    )


def _table(study: Study, found: pd.DataFrame) -> Table:
    names = {look.strategy: look.name for look in study.looks}
    rows = tuple(
        (
            names[row["strategy"]],
            names[row["control"]],
            f"{row['wins']} / {row['ties']} / {row['losses']}",
            f"{100 * row['mean_difference']:+.2f}",
            f"{row['rank_gain']:+.2f}",
            _p(row["p_adjusted"]),
            str(row["verdict"]),
        )
        for _, row in found.iterrows()
    )
    headings = ("Strategy", "Against", "Settings won / tied / lost", "AUBC [points]")
    return Table((*headings, "Ranks gained", "p (Holm)", "Verdict"), rows)


def _p(value: float) -> str:
    return "—" if pd.isna(value) else "< 0.001" if value < 0.001 else f"{value:.3f}"


def _table_caption(found: pd.DataFrame) -> str:
    return (
        "Every strategy against each control over settings (Demšar 2006): the difference of mean "
        f"ranks against the normal distribution, Holm over the {count(len(found), 'row')}."
    )


def _several(material: Material) -> bool:
    return len(material.study.settings) > 1 and not alone(material.study)


SECTION = Section(
    id="over-settings",
    title="Over settings",
    place=52,
    blocks=_blocks,
    files={
        "mean_ranks.csv": lambda material: material.once(_groups).to_csv().encode(),
        "over_settings.csv": lambda material: (
            material.once(compared_over_settings).to_csv(index=False).encode()
            if len(material.once(compared_over_settings))
            else None
        ),
    },
    applies=_several,
    still="mean_ranks",
)
