"""The tidy table as one array with an axis for settings, strategies, loops and seeds.

Rows find their place by value, never by their position, so that shuffling a table changes nothing.
"""

from collections.abc import Collection
from dataclasses import dataclass
from difflib import get_close_matches
from typing import TypeAlias

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from alsweep.errors import RecordError

Floats: TypeAlias = NDArray[np.float64]

DONE = ("done",)
"""The states of trajectories that an analysis uses unless it is asked for others."""

_KEYS = ["setting", "strategy", "loop", "seed"]


@dataclass(frozen=True)
class Cube:
    """Values of one column.

    Attributes:
        settings: Names along axis 0, sorted; so are the others.
        strategies: Names along axis 1.
        loops: Numbers along axis 2.
        seeds: Numbers along axis 3.
        values: ``(setting, strategy, loop, seed)``; NaN where the table has no row or no value.
    """

    settings: list[str]
    strategies: list[str]
    loops: list[int]
    seeds: list[int]
    values: Floats


def select(
    table: pd.DataFrame, columns: Collection[str], statuses: Collection[str] = DONE
) -> pd.DataFrame:
    """Return the rows of trajectories in one of ``statuses``, sorted by setting, strategy, seed.

    Raises:
        RecordError: A column is missing, or two rows claim the same loop.
    """
    for column in (*_KEYS, "status", *columns):
        if column not in table.columns:
            raise RecordError(_missing_column(column, table))
    rows = table[table["status"].isin(list(statuses))]
    twice = rows[rows.duplicated(_KEYS)]
    if len(twice):
        first = ", ".join(f"{key} {value}" for key, value in twice.iloc[0][_KEYS].items())
        raise RecordError(
            f"the table has two rows for {first}; "
            "load the runs with load_results, which drops repeats"
        )
    return rows.sort_values(["setting", "strategy", "seed", "loop"], kind="stable")


def _missing_column(column: str, table: pd.DataFrame) -> str:
    near = get_close_matches(column, list(map(str, table.columns)), n=1)
    hint = f"did you mean '{near[0]}'?" if near else "load the table with load_results"
    return f"the table has no column '{column}'; {hint}"


def cube(rows: pd.DataFrame, column: str) -> Cube:
    """Return one column of selected rows as an array."""
    places = [np.unique(rows[key].to_numpy(), return_inverse=True) for key in _KEYS]
    values = np.full([len(names) for names, _ in places], np.nan)
    values[tuple(place for _, place in places)] = rows[column].to_numpy(dtype=np.float64)
    settings, strategies, loops, seeds = (names.tolist() for names, _ in places)
    return Cube(settings, strategies, loops, seeds, values)
