"""Seeds drawn with replacement within each setting, for scores of many settings together."""

from collections.abc import Collection
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from alsweep.errors import RecordError
from alsweep.results.cube import DONE, Floats
from alsweep.results.scores import Measure, setting_scores
from alsweep.rng import stream

Counts: TypeAlias = NDArray[np.float32]

ENDS = (2.5, 97.5)
"""Percentiles at the ends of every interval."""


@dataclass(frozen=True)
class Scores:
    """All scores of one strategy.

    Attributes:
        values: ``(score,)``, setting by setting.
        strata: Of each setting, in the same order: its hash and seeds.
    """

    values: Floats
    strata: tuple[tuple[str, tuple[int, ...]], ...]


@dataclass(frozen=True)
class Normalised:
    """What scores are made of in place of the metric itself: 0 is a control, 1 is full data.

    Attributes:
        control: Label of the strategy whose mean in a setting becomes 0.
        full_dice: Setting to the Dice that becomes 1.
    """

    control: str
    full_dice: dict[str, float]


def strategy_scores(
    table: pd.DataFrame,
    metric: Measure = "aubc",
    normalised: Normalised | None = None,
    statuses: Collection[str] = DONE,
) -> dict[str, Scores]:
    """Return the scores of every strategy, sorted by its label.

    A strategy has one for each setting and seed for which it has a value; settings that cannot be
    normalised are left out.

    Raises:
        RecordError: A column is missing, a loop is there twice, or the metric is unknown.
    """
    found: dict[str, list[tuple[str, pd.Series[float]]]] = {}
    for setting, values in setting_scores(table, metric, statuses).items():
        scaled = values if normalised is None else _scaled(values, setting, normalised)
        for strategy, row in scaled.iterrows():
            defined = row.dropna()
            if len(defined):
                found.setdefault(str(strategy), []).append((setting, defined))
    return {
        strategy: Scores(
            np.concatenate([row.to_numpy(dtype=np.float64) for _, row in rows]),
            tuple((setting, tuple(map(int, row.index))) for setting, row in rows),
        )
        for strategy, rows in sorted(found.items())
    }


def _scaled(values: pd.DataFrame, setting: str, normalised: Normalised) -> pd.DataFrame:
    full = normalised.full_dice.get(setting)
    if full is None or normalised.control not in values.index:
        return values.iloc[:0]
    zero = float(np.nanmean(values.loc[normalised.control].to_numpy(dtype=np.float64)))
    # At or above full data there is no unit to measure in.
    return (values - zero) / (full - zero) if full > zero else values.iloc[:0]


def normalised_by(
    control: str | None, full_dice: float | dict[str, float] | None, table: pd.DataFrame
) -> Normalised | None:
    """Return how scores are normalised; None where neither is named.

    Raises:
        RecordError: Only one of the two is named.
    """
    if control is None and full_dice is None:
        return None
    if control is None or full_dice is None:
        lacking = "control" if control is None else "full_dice"
        raise RecordError(
            f"{lacking}: normalised scores need both control and full_dice; name it, or neither"
        )
    if isinstance(full_dice, dict):
        return Normalised(control, full_dice)
    return Normalised(control, dict.fromkeys(map(str, table["setting"].unique()), full_dice))


def draw_counts(setting: str, seeds: tuple[int, ...], draws: int) -> Counts:
    """How often each seed of a setting is drawn, ``(seed, draw)``.

    The same for all strategies with these seeds: they are paired. A seed alone is always drawn.
    """
    drawn = stream(0, "stratified", setting, len(seeds)).integers(
        len(seeds), size=(len(seeds), draws), dtype=np.uint16
    )
    return np.array([(drawn == k).sum(axis=0) for k in range(len(seeds))], dtype=np.float32)


def varies(scores: Scores) -> bool:
    """Whether any setting has two seeds, so that drawing them tells anything."""
    return any(len(seeds) > 1 for _, seeds in scores.strata)


class Stratified:
    """Draws of seeds, which all strategies with the same seeds in the same settings share."""

    def __init__(self, draws: int) -> None:
        self._draws = draws
        self._known: dict[tuple[tuple[str, tuple[int, ...]], ...], Counts] = {}

    def of(self, scores: Scores) -> Counts:
        """How often each score of a strategy is drawn, ``(score, draw)``."""
        if scores.strata not in self._known:
            each = [draw_counts(setting, seeds, self._draws) for setting, seeds in scores.strata]
            self._known[scores.strata] = np.concatenate(each)
        return self._known[scores.strata]
