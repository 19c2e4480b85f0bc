"""The win matrix: who beats whom significantly, at how many budgets."""

from collections.abc import Iterable, Iterator

import numpy as np
import pandas as pd

from alsweep.report import published_blocks
from alsweep.report.captions import ALPHA, alone, count, span, start_of
from alsweep.report.figures import layout, names_axis, plain
from alsweep.report.section import (
    Beside,
    Block,
    Caption,
    Controls,
    Figure,
    Figures,
    Material,
    Section,
    Switch,
    Tables,
    switched,
)
from alsweep.report.study import Look, Study
from alsweep.report.tables import Table, percent
from alsweep.results import minimal_difference, win_matrix, win_rates
from alsweep.results.paired import POWER, needed_effect

_LARGE = 3.0
"""Standard deviations that a mean difference between strategies seldom has."""

_CORRECTION = Switch("correction", "Correction", (("none", "Uncorrected"), ("holm", "Holm")))
_RATES_CAPTION = "Mean win: mean of the strategy's row. Mean loss: mean of its column. Uncorrected."


def _blocks(material: Material) -> Iterator[Block]:
    study, matrix = material.study, material.once(_plain)
    if alone(study):
        yield from published_blocks.win_blocks(study)
        return
    yield Caption(_power_caption(material.once(_tests)), strong=True)
    if matrix.attrs["tests"]:
        yield from _matrices(material)
    yield from published_blocks.win_blocks(study)


def _matrices(material: Material) -> Iterator[Block]:
    study, matrix = material.study, material.once(_plain)
    maps = {"none": matrix, "holm": material.once(_holm)}
    figure = switched(
        _CORRECTION.name, {name: _heat_map(found, study.looks) for name, found in maps.items()}
    )
    yield Controls((_CORRECTION,))
    yield Beside(
        (Figures((("", figure),)),),
        (Tables((("", _rate_table(study, matrix)),)), Caption(_RATES_CAPTION)),
    )
    yield Caption(f"{_caption(study, matrix)} {_holm_caption(material)}")
    texts = dict(_CORRECTION.options)
    cells = tuple((texts[name], _cells(found, study.looks)) for name, found in maps.items())
    yield Tables(cells, folded=True)


def _tests(study: Study) -> pd.DataFrame:
    """Each test with what it could have found."""
    return minimal_difference(study.table, alpha=ALPHA, power=POWER)


def _plain(study: Study) -> pd.DataFrame:
    return _ordered(win_matrix(study.table, alpha=ALPHA), study)


def _holm(study: Study) -> pd.DataFrame:
    return _ordered(win_matrix(study.table, alpha=ALPHA, correction="holm"), study)


def _ordered(matrix: pd.DataFrame, study: Study) -> pd.DataFrame:
    """Sweep order in place of the alphabet; strategies without any test keep an empty row."""
    done = set(study.done["strategy"])
    names = [look.strategy for look in study.looks if look.strategy in done]
    ordered = matrix.reindex(index=names, columns=names)
    ordered.attrs = matrix.attrs
    return ordered


def _heat_map(matrix: pd.DataFrame, looks: Iterable[Look]) -> Figure:
    """Rows win, columns lose; percent on a fixed scale, the diagonal blank."""
    names = {look.strategy: look.name for look in looks}
    labels = [plain(names[str(strategy)]) for strategy in matrix.index]
    values = 100 * matrix.to_numpy(dtype=np.float64)
    cells = [[None if np.isnan(v) else round(float(v), 4) for v in row] for row in values]
    text = [["" if v is None else f"{v:.1f}" for v in row] for row in cells]
    heat = {
        "type": "heatmap",
        "z": cells,
        "x": labels,
        "y": labels,
        "text": text,
        "texttemplate": "%{text}",
        "zmin": 0,
        "zmax": 100,
        "colorscale": "Viridis",
        "xgap": 3,
        "ygap": 3,
        "hoverongaps": False,
        "hovertemplate": "<b>%{y}</b> beats <b>%{x}</b><br>at %{z:.1f} % of budgets<extra></extra>",
        "colorbar": {"title": {"text": "budgets won [%]", "side": "right"}, "thickness": 12},
    }
    called = [names[str(strategy)] for strategy in matrix.index]
    across = names_axis(called, "loses", side="bottom", showgrid=False, tickangle=-30, ticks="")
    down = names_axis(called, "wins", autorange="reversed", showgrid=False, ticks="")
    return {
        "data": [heat],
        "layout": layout(
            # The buttons of the figure would lie on its cells.
            margin={"l": 64, "r": 16, "t": 36, "b": 48},
            xaxis=across,
            yaxis=down,
            height=230 + 58 * len(labels),
        ),
    }


def _cells(matrix: pd.DataFrame, looks: Iterable[Look]) -> Table:
    """Share of budgets that the row wins."""
    names = {look.strategy: look.name for look in looks}
    rows = tuple(
        (names[str(strategy)], *(percent(value) for value in row))
        for strategy, row in matrix.iterrows()
    )
    return Table(("Wins [%]", *(f"over {names[str(name)]}" for name in matrix.columns)), rows)


def _rate_table(study: Study, matrix: pd.DataFrame) -> Table:
    """Mean win and mean loss of each strategy."""
    rates = win_rates(matrix)
    rows = tuple(
        (look.name, *(percent(rates[rate].loc[look.strategy]) for rate in rates.columns))
        for look in study.looks
        if look.strategy in rates.index
    )
    return Table(("Strategy", "Mean win [%]", "Mean loss [%]", "Win - loss [%]"), rows)


def _power_caption(tests: pd.DataFrame) -> str:
    """What the tests of this report could find at all."""
    if tests.empty:
        return (
            "No test is possible: a paired test needs two strategies in the same setting "
            "with at least 2 common seeds and a loop after the first."
        )
    low = int(tests["seeds"].min())
    remark = (
        " With 2 seeds hardly any win can be significant, and one that is may owe it to two "
        "differences that are alike by chance."
        if low == 2
        else ""
    )
    points = 100 * tests["minimal"]
    return (
        f"What could be significant at all: with {span(tests['seeds'], 'seed')}, a mean difference "
        f"must exceed {needed_effect(low, alpha=ALPHA):.2f} times the standard deviation of the "
        f"paired differences.{remark} A true difference of {points.median():.2f} Dice points "
        f"(median over the {count(len(tests), 'comparison')}; {points.min():.2f} to "
        f"{points.max():.2f}) would be found with a probability of {POWER:.0%}. "
        "A cell of 0 is no proof that two strategies are equal."
    )


def _caption(study: Study, matrix: pd.DataFrame) -> str:
    """How the win matrix was made, and what chance alone would give."""
    tests, constant = matrix.attrs["tests"], matrix.attrs["constant"]
    equal = (
        f" {count(constant, 'win')} rest on differences that are exactly equal for all seeds."
        if constant
        else ""
    )
    start = "is the same for all strategies and " if start_of(study).same else ""
    return (
        "Share of budgets at which the row's strategy beats the column's significantly: two-sided "
        f"paired t-test, pairs matched by seed, level {ALPHA:.0%}, each pair over its own common "
        f"seeds; mean over {count(len(study.settings), 'setting')}. Loop 0 {start}is left out of "
        f"the tests and of the share. {count(tests, 'test')}; were there no differences, "
        f"about {ALPHA * tests:.1f} would be significant by chance.{equal}"
    )


def _holm_caption(material: Material) -> str:
    """What the correction for all pairs and budgets asks of a difference, and what is left."""
    tests = material.once(_tests)
    settings = [(len(one), int(one["seeds"].max())) for _, one in tests.groupby("setting")]
    needed = [needed_effect(seeds, family, ALPHA) for family, seeds in settings]
    low, high = min(needed), max(needed)
    asked = f"{low:.2f}" if f"{low:.2f}" == f"{high:.2f}" else f"{low:.2f} to {high:.2f}"
    left = int((material.once(_holm) > 0).to_numpy().sum())
    cells = f"{count(left, 'cell')} of that matrix {'is' if left == 1 else 'are'} above 0."
    if not left and low > _LARGE:
        cells = (
            "Hardly any difference is that large, so that with this design that matrix is empty by "
            "construction, whatever the strategies are worth: the test that can find something is "
            "the one against the controls above, and this matrix is a picture."
        )
    return (
        "With the Holm correction the level holds for all tests of a setting together. With "
        f"{span((seeds for _, seeds in settings), 'seed')} and "
        f"{span((family for family, _ in settings), 'test')} (all pairs at all budgets) the "
        f"largest mean difference must exceed {asked} times the standard deviation of the paired "
        f"differences before anything is significant. {cells}"
    )


def _csv(matrix: pd.DataFrame) -> bytes:
    return matrix.to_csv(index_label="strategy").encode()


SECTION = Section(
    id="wins",
    title="Win matrix",
    place=40,
    blocks=_blocks,
    files={
        "win_matrix.csv": lambda material: _csv(material.once(_plain)),
        "win_matrix_holm.csv": lambda material: _csv(material.once(_holm)),
    },
    still="win_matrix",
)
