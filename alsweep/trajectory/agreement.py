"""How far the members of an ensemble agree: a proxy for Dice where nobody validates."""

from __future__ import annotations

from itertools import combinations
from typing import TYPE_CHECKING

import numpy as np

from alsweep.model.evaluation import case_dice
from alsweep.model.outputs import label_map

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from alsweep.data.case import Region
    from alsweep.types import Probs

_CASES = 8
"""Predicting them all would take as long as the query."""


def evenly(pool: Sequence[str]) -> list[str]:
    """At most eight cases, at even steps through the pool, always the same ones.

    >>> evenly(["a", "b", "c"])
    ['a', 'b', 'c']
    """
    if len(pool) <= _CASES:
        return list(pool)
    return [pool[index * len(pool) // _CASES] for index in range(_CASES)]


def agreement(
    cases: Iterable[Sequence[Probs]], targets: Sequence[Region], order: Sequence[int]
) -> float | None:
    """Mean Dice between the members' label maps, in 0..1; None for a single member.

    The mean is over cases, pairs of members, and the targets that either of a pair predicts.

    Args:
        cases: For each case what each member says, ``(class, z, y, x)``.
        targets: Classes or regions.
        order: As for :func:`alsweep.model.outputs.label_map`.
    """
    found = []
    for members in cases:
        maps = [label_map(probs, order) for probs in members]
        pairs = [case_dice(one, other, targets).dice for one, other in combinations(maps, 2)]
        found += [dice for pair in pairs for dice in pair if dice is not None]
    return float(np.mean(found)) if found else None
