"""How probable it is that a run of one strategy does better than a run of another."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from itertools import combinations
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from alsweep.results.aggregates import POINT_DRAWS
from alsweep.results.comparing import checked_controls, meetings
from alsweep.results.cube import DONE, Floats
from alsweep.results.resampled import ENDS, draw_counts
from alsweep.results.scores import Measure, setting_scores

_FEW_SEEDS = 8
"""Of more, hardly two draws are the same."""


def improvement(
    table: pd.DataFrame,
    controls: Sequence[str] | None = None,
    metric: Measure = "aubc",
    *,
    draws: int = POINT_DRAWS,
    statuses: Collection[str] = DONE,
) -> pd.DataFrame:
    """Probability that a strategy's score exceeds another's, mean over settings.

    In a setting it is the share of pairs of scores, one of each strategy, in which the first is
    higher, a tie counting half (Mann and Whitney's U over the number of pairs). It tells how often,
    not by how much. Departs from the source in that strategies are paired: over their common seeds,
    and seeds are drawn for both at once.

    Args:
        table: The tidy table.
        controls: Labels that the others are compared with; every pair if left out.
        metric: ``aubc`` or ``final``.
        draws: Bootstrap draws; seeds are drawn in each setting for itself.
        statuses: Which trajectories enter.

    Returns:
        One row a pair: ``control``, ``strategy``, ``settings`` (with a common seed),
        ``probability`` that the strategy is better than the control, ``low`` and ``high`` (95 %;
        NaN where every setting has one common seed). Pairs without a setting have no row.

    Raises:
        RecordError: A column is missing, a loop is there twice, the metric is unknown, or no row
            bears a control's label.

    Source: Agarwal et al. 2021 (rliable), section 4.3; Mann and Whitney 1947.
    """
    settings = setting_scores(table, metric, statuses)
    names = sorted({str(name) for values in settings.values() for name in values.index})
    if controls is None:
        who = list(combinations(names, 2))
    else:
        who = meetings(checked_controls(table, controls), names)
    drawn = _Drawn(settings, draws)
    rows = [row for pair in who if (row := drawn.row(*pair)) is not None]
    columns = ["control", "strategy", "settings", "probability", "low", "high"]
    return pd.DataFrame(rows, columns=columns)


class _Drawn:
    """Scores of settings, with the draws of seeds that all of their pairs share."""

    def __init__(self, settings: Mapping[str, pd.DataFrame], draws: int) -> None:
        self._draws = draws
        self._settings = [
            (setting, list(map(str, values.index)), tuple(map(int, values.columns)), values)
            for setting, values in settings.items()
        ]
        self._arrays = [values.to_numpy(dtype=np.float64) for *_, values in self._settings]
        self._counts: dict[tuple[str, tuple[int, ...]], tuple[Floats, NDArray[np.intp]]] = {}

    def row(self, control: str, strategy: str) -> dict[str, Any] | None:
        """Compare two strategies; None where they have no common seed anywhere."""
        shares, total, drawn = [], np.zeros(self._draws), False
        for setting, seeds, higher in self._met(control, strategy):
            shares.append(float(higher.mean()))
            drawn |= len(seeds) > 1
            total += self._of(setting, seeds, higher) if len(seeds) > 1 else shares[-1]
        if not shares:
            return None
        ends = np.percentile(total / len(shares), ENDS) if drawn else (np.nan, np.nan)
        return {
            "control": control,
            "strategy": strategy,
            "settings": len(shares),
            "probability": float(np.mean(shares)),
            "low": float(ends[0]),
            "high": float(ends[1]),
        }

    def _met(self, control: str, strategy: str) -> Iterator[tuple[str, tuple[int, ...], Floats]]:
        """Settings where both are, their common seeds, and whose score is higher there."""
        for (setting, names, seeds, _), values in zip(self._settings, self._arrays, strict=True):
            if control in names and strategy in names:
                one, other = values[names.index(strategy)], values[names.index(control)]
                common = np.isfinite(one) & np.isfinite(other)
                if common.any():
                    kept = tuple(s for s, both in zip(seeds, common, strict=True) if both)
                    yield setting, kept, _higher(one[common], other[common])

    def _of(self, setting: str, seeds: tuple[int, ...], higher: Floats) -> Floats:
        """The share of each draw, ``(draw,)``."""
        if (setting, seeds) not in self._counts:
            counts = draw_counts(setting, seeds, self._draws).T.astype(np.float64)
            self._counts[setting, seeds] = _ways(counts)
        ways, place = self._counts[setting, seeds]
        shares: Floats = np.einsum("ws,st,wt->w", ways, higher, ways) / len(seeds) ** 2
        return shares[place]


def _ways(counts: Floats) -> tuple[Floats, NDArray[np.intp]]:
    """Different draws, and which of them each is: few seeds are drawn in few ways."""
    seeds = counts.shape[1]
    if seeds > _FEW_SEEDS:
        return counts, np.arange(len(counts))
    number = counts @ (seeds + 1.0) ** np.arange(seeds)
    _, first, place = np.unique(number, return_index=True, return_inverse=True)
    return counts[first], place


def _higher(one: Floats, other: Floats) -> Floats:
    """1 where a score of the first exceeds one of the second, a half where they tie."""
    higher: Floats = (one[:, None] > other) + 0.5 * (one[:, None] == other)
    return higher
