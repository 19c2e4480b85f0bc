"""What a race would have left out of a sweep that was made in full."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from alsweep.errors import RecordError
from alsweep.results.cube import Cube, Floats, cube
from alsweep.results.racing import Race, RaceRule

_KEYS = ["setting", "strategy", "seed"]
_NEEDED = [*_KEYS, "loop", "mean_dice"]


def simulate_race(
    table: pd.DataFrame, alpha: float = 0.05, control: str | None = None, **rule: Any
) -> pd.DataFrame:
    """Replay a race on the table of a sweep that was made in full.

    Seeds are run in their order, all strategies of a setting side by side; after each, the rule
    drops what is decided (see :class:`alsweep.results.racing.RaceRule`). What is compared is the
    area under the budget curve of equally large steps.

    Args:
        table: Columns ``setting, strategy, seed, loop, mean_dice``; any others are not looked at.
        alpha: Probability of dropping any strategy wrongly in a setting where all are equal.
        control: Strategy that the others race against; the leader, if None or where a setting
            lacks it.
        rule: Other fields of ``RaceRule``: ``assurance``, ``prior_df``, ``each_loop``.

    Returns:
        One row for each (setting, strategy, seed) of the table, sorted: ``loops`` that are made (0:
        never begun), ``status`` (``done``; ``truncated``: begun and stopped; ``not_run``),
        ``decided_against`` (what it was dropped for, on all rows of a dropped strategy; null for
        others, also where seeds were merely no longer needed).

    Raises:
        RecordError: A column is missing, two rows claim one loop, no setting has the control, or
            the rule is none.
    """
    rows = _checked(table)
    try:
        race = RaceRule(alpha=alpha, control=control, **rule)
    except TypeError as error:
        raise RecordError(
            f"simulate_race: {str(error).split(') ', 1)[-1]}; fields of the rule are assurance, "
            "prior_df and each_loop"
        ) from None
    if control is not None and control not in set(rows["strategy"]):
        raise RecordError(
            f"control: the table has no strategy '{control}'; it has "
            f"{', '.join(sorted(set(rows['strategy'])))}"
        )
    if rows.empty:
        raise RecordError("simulate_race: the table has no rows")
    parts = [_replay(group, race) for _, group in rows.groupby("setting")]
    return pd.concat(parts).sort_values(_KEYS, ignore_index=True)


def _checked(table: pd.DataFrame) -> pd.DataFrame:
    for column in _NEEDED:
        if column not in table.columns:
            raise RecordError(f"simulate_race: the table has no column '{column}'")
    twice = table[table.duplicated([*_KEYS, "loop"])]
    if len(twice):
        names = twice.iloc[0][[*_KEYS, "loop"]].items()
        first = ", ".join(f"{key} {value}" for key, value in names)
        raise RecordError(f"simulate_race: the table has two rows for {first}")
    return table[_NEEDED]


def _replay(rows: pd.DataFrame, rule: RaceRule) -> pd.DataFrame:
    """The rows of one setting."""
    curves = cube(rows, "mean_dice")
    sizes = rows.groupby(["strategy", "seed"]).size().unstack("seed", fill_value=0)
    whole = sizes.loc[curves.strategies, curves.seeds].to_numpy()
    made, dropped = _run(curves, whole, rule)
    strategy, seed = np.nonzero(whole)
    loops, planned = made[strategy, seed], whole[strategy, seed]
    names = np.array(curves.strategies, dtype=object)[strategy]
    return pd.DataFrame(
        {
            "setting": curves.settings[0],
            "strategy": names,
            "seed": np.array(curves.seeds)[seed],
            "loops": loops,
            "status": np.select([loops == planned, loops > 0], ["done", "truncated"], "not_run"),
            "decided_against": [dropped.get(name) for name in names],
        }
    )


def _run(
    curves: Cube, whole: NDArray[np.int64], rule: RaceRule
) -> tuple[NDArray[np.int64], dict[str, str]]:
    """Loops made, ``(strategy, seed)``, and whom each dropped strategy was dropped for."""
    ends = range(1, len(curves.loops)) if rule.each_loop else [len(curves.loops) - 1]
    race = Race(curves.strategies, len(curves.seeds), len(curves.loops), rule)
    running, dropped = set(curves.strategies), dict[str, str]()
    seen, made = np.full(whole.shape, np.nan), np.zeros_like(whole)
    for seed in range(len(curves.seeds)):
        made[:, seed] = np.where(np.isin(curves.strategies, list(running)), whole[:, seed], 0)
        for end in ends:
            racing = np.isin(curves.strategies, list(running))
            # What was stopped within the seed has no value for it.
            seen[:, seed] = np.nan
            seen[racing, seed] = areas(curves.values[0, racing, :, seed], end)
            look = race.look(seen[:, : seed + 1], sorted(running))
            stops = np.isin(curves.strategies, list(look.settled))
            made[stops, seed] = np.minimum(made[stops, seed], end + 1)
            dropped |= look.dropped
            running -= look.settled
    return made, dropped


def areas(curves: Floats, end: int) -> Floats:
    """Area under each curve up to a loop, scaled to the value of a constant one.

    Args:
        curves: ``(strategy, loop)``.
        end: Index of the last loop.
    """
    if end == 0:
        return curves[:, 0]
    return np.asarray(np.trapezoid(curves[:, : end + 1], axis=1) / end)
