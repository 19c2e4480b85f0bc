"""Whether it is worth labelling more, in words, for a single trajectory that people label for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from alsweep.rng import stream

if TYPE_CHECKING:
    from jaxtyping import Float64

    from alsweep.results.loops import LoopRecord

_LATEST = 4
"""Loops that a line is laid through: those before say little of what comes."""

_DRAWS = 1000
_LEVEL = 0.01
"""A change of the agreement that is none."""

_CALM = 2
"""Changes in a row that must be none."""


@dataclass(frozen=True)
class Gain:
    """What further patches are expected to add to the mean Dice.

    Attributes:
        patches: How many more.
        gain: In Dice, 0..1.
        error: Standard deviation over validation cases drawn with replacement.
        cases: Validation cases.
    """

    patches: int
    gain: float
    error: float
    cases: int


def expected_gain(records: Sequence[LoopRecord], patches: int) -> Gain | None:
    """Go on along the latest loops: mean Dice over the logarithm of the annotated patches.

    Learning curves rise by about as much with each doubling of the labels until they level off, so
    that this rather expects too much.

    Args:
        records: Of the finished loops.
        patches: How many more are to be labelled.

    Returns:
        None without two loops of unlike budgets, and without two cases that Dice is known of.
    """
    latest = [one for one in records if one.mean_dice is not None][-_LATEST:]
    budgets = np.array([one.annotated_patches for one in latest], dtype=np.float64)
    if len(np.unique(budgets)) < 2:
        return None
    dice = _case_dice(latest)
    if dice.shape[1] < 2:
        return None
    across = np.log(budgets)
    slopes = _slopes(across, dice.mean(axis=1)[:, None])
    rng = stream(0, "outlook", len(records))
    drawn = rng.integers(0, dice.shape[1], (_DRAWS, dice.shape[1]))
    spread = _slopes(across, dice[:, drawn].mean(axis=2))
    step = float(np.log(1 + patches / budgets[-1]))
    return Gain(patches, float(slopes[0]) * step, float(spread.std()) * step, dice.shape[1])


def _case_dice(records: Sequence[LoopRecord]) -> Float64[np.ndarray, "loop case"]:
    """Mean Dice over the classes of each case that has one in every loop."""
    means = [
        {
            case: float(np.mean(known))
            for case, classes in one.case_dice.items()
            if (known := [v for v in classes.values() if v is not None])
        }
        for one in records
    ]
    cases = sorted(set.intersection(*(set(one) for one in means)))
    return np.array([[one[case] for case in cases] for one in means], dtype=np.float64)


def _slopes(
    across: Float64[np.ndarray, " loop"], up: Float64[np.ndarray, "loop draw"]
) -> Float64[np.ndarray, " draw"]:
    centred = across - across.mean()
    slopes: Float64[np.ndarray, " draw"] = centred @ (up - up.mean(axis=0)) / (centred @ centred)
    return slopes


def outlook(records: Sequence[LoopRecord], patches: int) -> str:
    """A sentence on what the next patches are good for.

    Args:
        records: Of the finished loops.
        patches: How many would be labelled next.
    """
    if not records:
        return "no network has been trained yet, so that nothing can be said of the next patches"
    if records[-1].mean_dice is not None:
        return _by_dice(records, patches)
    if records[-1].agreement is not None:
        return _by_agreement([one.agreement for one in records if one.agreement is not None])
    return (
        "no case has complete labels and there is but one member, so that nothing says whether "
        "further patches are of use"
    )


def _by_dice(records: Sequence[LoopRecord], patches: int) -> str:
    found = expected_gain(records, patches)
    if found is None:
        return "what further patches add cannot be told from one loop, or from one validation case"
    gain, error = 100 * found.gain, 100 * found.error
    text = (
        f"the next {patches} patches are expected to add {gain:.1f} +- {error:.1f} Dice points "
        f"(by the last loops, over {found.cases} validation cases)"
    )
    if gain < -error:
        return f"{text}; Dice has fallen over the last loops"
    return f"{text}; that is no more than chance" if gain < error else text


def _by_agreement(values: Sequence[float]) -> str:
    now = f"the members agree with a Dice of {values[-1]:.3f}"
    proxy = "no case has complete labels, so that this says how sure they are, not how right"
    changes = np.diff(values)[-_CALM:]
    if len(changes) < _CALM:
        return f"{now}; {proxy}"
    shown = " and ".join(f"{change:+.3f}" for change in changes)
    if (np.abs(changes) < _LEVEL).all():
        return f"{now}, which has levelled off ({shown} in the last {_CALM} loops); {proxy}"
    return f"{now}, which still changes ({shown} in the last {_CALM} loops); {proxy}"
