"""Whether networks are good enough for conclusions about strategies: the classes they know."""

from collections.abc import Collection

import pandas as pd

from alsweep.results.cube import DONE
from alsweep.results.metrics import final

LEARNED = 0.5
"""Dice above which a class counts as learned."""

_PREFIX = "dice_"
_NEEDED = ["setting", "class", "strategy", "dice"]


def learned(
    table: pd.DataFrame, threshold: float = LEARNED, *, statuses: Collection[str] = DONE
) -> pd.DataFrame:
    """Count the trajectories whose last networks know a class.

    What a network has not learned at the largest budget, no strategy could show to be worth
    labelling: a comparison there is partly one of trainings that failed.

    Args:
        table: The tidy table.
        threshold: Dice, a fraction; a class above it counts as learned.
        statuses: Which trajectories enter; unfinished ones have smaller budgets.

    Returns:
        One row a (setting, class, strategy) of which Dice is known, classes in the order of the
        table: ``trajectories``, ``learned`` (how many of them), ``lowest`` and ``mean`` Dice of the
        last loop.

    Raises:
        RecordError: A column is missing, or a loop is there twice.
    """
    columns = [str(column) for column in table if str(column).startswith(_PREFIX)]
    rows = [
        final(table, column, statuses=statuses)
        .rename(columns={"final": "dice"})
        .assign(**{"class": column.removeprefix(_PREFIX)})
        for column in columns
    ]
    every = pd.concat(rows, ignore_index=True) if rows else pd.DataFrame(columns=_NEEDED)
    known = every[every["dice"].notna()]
    keys = ["setting", "class", "strategy"]
    groups = known.assign(learned=known["dice"] > threshold).groupby(keys, sort=False)
    return groups.agg(
        trajectories=("dice", "size"),
        learned=("learned", "sum"),
        lowest=("dice", "min"),
        mean=("dice", "mean"),
    ).reset_index()
