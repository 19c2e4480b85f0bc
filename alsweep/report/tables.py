"""How tables of a report are made: percent with two decimals, mean and deviation over seeds."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

import pandas as pd

from alsweep.report.captions import listed, same_seeds, seeds_of
from alsweep.report.study import Study
from alsweep.results.leading import Place, leading


@dataclass(frozen=True)
class Table:
    """Text for people.

    Attributes:
        columns: Headings; the first column holds names, the others numbers.
        rows: Cells; the first is a strategy's label.
        marks: Row and column to what a cell is in its column.
    """

    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    marks: Mapping[tuple[int, int], Place] = field(default_factory=dict)


MARKS = (
    "Bold: the leading mean of a column. Underlined: not told apart from it (paired t-test over "
    "common seeds, Holm over the column, 5 %)."
)

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
    each = dict(list(rows.groupby(["setting", "strategy"], sort=False)))
    found = []
    for setting, name in study.settings.items():
        keys = [(setting, look.strategy) for look in study.looks]
        lines = tuple(
            (look.name, *cells(each[key]), *told.get(key, ()))
            for key, look in zip(keys, study.looks, strict=True)
            if key in each
        )
        found.append((name, Table(headings, lines)))
    return tuple(found)


def with_best(
    study: Study,
    tables: Sequence[NamedTable],
    columns: Mapping[int, tuple[pd.DataFrame, str]],
    lowest: Sequence[int] = (),
) -> tuple[NamedTable, ...]:
    """Tables of :func:`per_setting` with the best cells of some columns marked.

    Args:
        study: Whose settings the tables are of, in their order.
        tables: One a setting.
        columns: Number of a column to rows and the name of the value, see
            :func:`alsweep.results.leading.leading`.
        lowest: Columns in which less is better.
    """
    names = {look.name: look.strategy for look in study.looks}
    places = {k: leading(*of, lowest=k in lowest) for k, of in columns.items()}
    return tuple(
        (name, replace(table, marks=_marks(table, setting, names, places)))
        for setting, (name, table) in zip(study.settings, tables, strict=True)
    )


def _marks(
    table: Table,
    setting: str,
    names: Mapping[str, str],
    places: Mapping[int, Mapping[tuple[str, str], Place]],
) -> dict[tuple[int, int], Place]:
    cells = ((row, k) for row in range(len(table.rows)) for k in places)
    known = ((at, places[at[1]].get((setting, names[table.rows[at[0]][0]]))) for at in cells)
    return {at: place for at, place in known if place is not None}


def own_seeds(seeds: Sequence[int], same: bool) -> str:
    """How many seeds a strategy has, and which where not all strategies have the same."""
    which = listed(seeds)
    return str(len(seeds)) if same or which.endswith("s") else f"{len(seeds)} ({which})"
