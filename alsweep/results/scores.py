"""One score a strategy, setting and seed, and which of them can be compared with each other."""

from collections.abc import Collection, Hashable
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import pandas as pd

from alsweep.errors import RecordError
from alsweep.results.cube import DONE, Floats
from alsweep.results.metrics import aubc, final

Measure = Literal["aubc", "final"]

MEASURES = {"aubc": aubc, "final": final}

_DIGITS = 12
"""Means that differ by rounding alone, such as those of seeds in another order, are ties."""


@dataclass(frozen=True)
class Blocks:
    """A complete table: every strategy has a score in every setting.

    Attributes:
        scores: Settings by strategies, both sorted; means over the seeds that they share.
        strategies_left_out: Those with a score in fewer than half of the settings.
        settings_left_out: Those in which another strategy has none.
    """

    scores: pd.DataFrame
    strategies_left_out: tuple[str, ...]
    settings_left_out: tuple[str, ...]

    @property
    def attrs(self) -> dict[Hashable | None, Any]:
        """What a frame made of them tells beside its numbers."""
        return {
            "settings": tuple(map(str, self.scores.index)),
            "strategies_left_out": self.strategies_left_out,
            "settings_left_out": self.settings_left_out,
        }


def check_measure(metric: str) -> None:
    """Refuse what is no score of a trajectory.

    Raises:
        RecordError: The metric is unknown.
    """
    if metric not in MEASURES:
        raise RecordError(f"metric: expected 'aubc' or 'final', got {metric!r}")


def setting_scores(
    table: pd.DataFrame, metric: Measure, statuses: Collection[str] = DONE
) -> dict[str, pd.DataFrame]:
    """Return the scores of each setting: strategies by the seeds for which any has a value.

    Raises:
        RecordError: A column is missing, a loop is there twice, or the metric is unknown.
    """
    check_measure(metric)
    scores = MEASURES[metric](table, statuses=statuses)
    columns = (scores[c].to_numpy() for c in ("setting", "strategy", "seed", metric))
    setting, strategy, seed, value = columns
    names, first = np.unique(setting, return_index=True)
    # Sorted by setting, and by hand, since a pivot for each of many settings takes its time.
    last = np.append(first[1:], len(scores))[: len(first)]
    parts = [slice(a, b) for a, b in zip(first, last, strict=True)]
    return {
        str(name): _by_seed(strategy[part], seed[part], value[part])
        for name, part in zip(names, parts, strict=True)
    }


def _by_seed(strategy: np.ndarray, seed: np.ndarray, value: Floats) -> pd.DataFrame:
    """Strategies by seeds."""
    strategies, place = np.unique(strategy, return_inverse=True)
    seeds, column = np.unique(seed, return_inverse=True)
    values = np.full((len(strategies), len(seeds)), np.nan)
    values[place, column] = value
    known = ~np.isnan(values).all(axis=0)
    index = pd.Index(strategies, name="strategy", dtype="str")
    return pd.DataFrame(values[:, known], index, pd.Index(seeds[known], name="seed"))


def comparable(values: pd.DataFrame) -> tuple[pd.DataFrame, dict[str, int]]:
    """Keep the strategies that have at least half of the columns, and the columns these share.

    Args:
        values: Strategies by seeds or settings; NaN where there is no value.

    Returns:
        What is kept, complete, and who is left out with the number of its values.
    """
    has = values.notna().sum(axis="columns")
    few = has[2 * has < values.shape[1]]
    kept = values.drop(index=few.index).dropna(axis="columns")
    return kept, {str(strategy): int(columns) for strategy, columns in few.items()}


def blocks(
    table: pd.DataFrame, metric: Measure = "aubc", statuses: Collection[str] = DONE
) -> Blocks:
    """Return the complete table of strategies and settings that tests over settings need.

    In each setting a strategy's score is its mean over the seeds that all compared there share.

    Raises:
        RecordError: A column is missing, a loop is there twice, or the metric is unknown.
    """
    means = {
        setting: comparable(values)[0].mean(axis="columns")
        for setting, values in setting_scores(table, metric, statuses).items()
    }
    every = pd.DataFrame(means, dtype=np.float64).sort_index().round(_DIGITS)
    every = every.dropna(axis="columns", how="all")
    kept, few = comparable(every)
    lacking = tuple(str(s) for s in means if s not in kept.columns)
    return Blocks(kept.T, tuple(few), lacking)
