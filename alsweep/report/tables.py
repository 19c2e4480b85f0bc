"""How tables of a report are made: percent with two decimals, mean and deviation over seeds."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import pandas as pd

from alsweep.report.captions import listed, same_seeds, seeds_of
from alsweep.report.study import Look, Study


@dataclass(frozen=True)
class Table:
    """Text for people.

    Attributes:
        columns: Headings; the first column holds names, the others numbers.
        rows: Cells; the first is a strategy's label.
    """

    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


NamedTable = tuple[str, Table]
"""A table and what it is about, mostly a setting."""


def percent(value: float) -> str:
    """A fraction as percent with two decimals; an em dash where it is undefined."""
    return "—" if pd.isna(value) else f"{100 * value:.2f}"


def mean_and_std(values: "pd.Series[float]") -> str:
    """Mean ± standard deviation (ddof 1) in percent; the mean alone for one value.

    Where some are undefined, the number of those that are not is told.
    """
    known = values.dropna()
    own = f" (n = {len(known)})" if 0 < len(known) < len(values) else ""
    if len(known) < 2:
        return percent(float(known.mean())) + own
    return f"{percent(float(known.mean()))} ± {percent(float(known.std(ddof=1)))}{own}"


def last_rows(rows: pd.DataFrame) -> pd.DataFrame:
    """The last loop of each trajectory."""
    return rows.sort_values("loop", kind="stable").groupby("trajectory").tail(1)


def per_setting(
    study: Study,
    rows: pd.DataFrame,
    columns: Sequence[str],
    cells: Callable[[pd.DataFrame], tuple[str, ...]],
    *,
    count_seeds: bool = False,
) -> tuple[NamedTable, ...]:
    """One table a setting, its rows the strategies that have finished trajectories there.

    A last column tells the seeds of each wherever strategies have not the same.

    Args:
        study: For names and order.
        rows: With the columns ``setting`` and ``strategy``.
        columns: Headings, that of the strategies included.
        cells: Makes the cells of a strategy of its rows in a setting.
        count_seeds: Tell how many seeds there are also where they are the same.
    """
    seeds, same = seeds_of(study), same_seeds(study)
    told = {
        key: (own_seeds(s, same),) if count_seeds or not same else () for key, s in seeds.items()
    }
    headings = (*columns, *(("Seeds",) if count_seeds or not same else ()))
    found = []
    for setting, name in study.settings.items():
        here = rows[rows["setting"] == setting]
        lines = tuple(
            (look.name, *cells(mine), *told.get((setting, look.strategy), ()))
            for look, mine in by_look(study.looks, here)
        )
        found.append((name, Table(headings, lines)))
    return tuple(found)


def own_seeds(seeds: Sequence[int], same: bool) -> str:
    """How many seeds a strategy has, and which where not all strategies have the same."""
    which = listed(seeds)
    return str(len(seeds)) if same or which.endswith("s") else f"{len(seeds)} ({which})"


def by_look(looks: Iterable[Look], rows: pd.DataFrame) -> Iterable[tuple[Look, pd.DataFrame]]:
    """The rows of each strategy that has any."""
    for look in looks:
        mine = rows[rows["strategy"] == look.strategy]
        if len(mine):
            yield look, mine
