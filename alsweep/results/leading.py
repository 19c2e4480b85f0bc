"""Who is best in a column of numbers, and who cannot be told apart from them."""

from collections.abc import Mapping
from typing import Literal

import numpy as np
import pandas as pd

from alsweep.results.paired import holm, paired_tests

Place = Literal["best", "level"]


def leading(
    rows: pd.DataFrame, value: str, *, lowest: bool = False, alpha: float = 0.05
) -> Mapping[tuple[str, str], Place]:
    """Say of each setting who has the best mean, and who is not told apart from the best.

    Args:
        rows: With ``setting``, ``strategy`` and the value; with ``seed`` others are tested against
            the best, paired by seed, Holm over the tests of a setting.
        value: A column.
        lowest: Whether less is better.
        alpha: Level of the tests of a setting together.

    Returns:
        Setting and strategy to ``best``, which several have that are equal, or ``level``, where a
        test was possible and found no difference; all others are left out. A setting of one
        strategy has no best.
    """
    known = rows.dropna(subset=[value])
    known = known if "seed" in known else known.assign(seed=0)
    found: dict[tuple[str, str], Place] = {}
    for setting, own in known.groupby("setting", sort=False):
        scores = own.groupby(["strategy", "seed"])[value].mean().unstack()
        if len(scores) > 1:
            each = _places((-1 if lowest else 1) * scores, alpha)
            found |= {(str(setting), strategy): place for strategy, place in each.items()}
    return found


def _places(scores: pd.DataFrame, alpha: float) -> dict[str, Place]:
    """Of strategies by seeds, higher is better."""
    means = scores.mean(axis="columns")
    first = str(means.idxmax())
    differences = (scores.loc[first] - scores).drop(index=first)
    adjusted = holm(paired_tests(differences.to_numpy(np.float64)).p)
    level = differences.index[adjusted >= alpha]
    found: dict[str, Place] = {str(strategy): "level" for strategy in level}
    return found | {str(strategy): "best" for strategy in means.index[means == means.max()]}
