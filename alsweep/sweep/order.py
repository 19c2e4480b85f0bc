"""In which order trajectories are made; nothing that a run holds depends on it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from enum import StrEnum
from typing import TYPE_CHECKING

from alsweep.results.mishaps import read_mishaps
from alsweep.sweep.missing import loops_done

if TYPE_CHECKING:
    from pathlib import Path

    from alsweep.config.sweep import SweepConfig
    from alsweep.sweep.plan import Planned


class Order(StrEnum):
    """What comes first."""

    seeds = "seeds"
    """Every strategy in every setting with the first seed, then with the second: a sweep that is
    half done is a balanced study with half of its seeds."""
    grid = "grid"
    """Setting by setting and point by point, each with all of its seeds."""


ORDER_HELP = "What comes first: seeds (all strategies and settings of one), or the grid's order."


def in_order(planned: Iterable[Planned], sweep: SweepConfig, order: Order) -> list[Planned]:
    """Trajectories in the order in which they begin.

    Args:
        planned: In the plan's order.
        sweep: Says which seed is the first; seeds that were added while it ran are the last.
        order: What comes first.
    """
    if order is Order.grid:
        return list(planned)
    place = {seed: index for index, seed in enumerate(sweep.seeds)}
    return sorted(planned, key=lambda one: place.get(one.config.seed, len(place)))


def seldom_lost_first(planned: Iterable[Planned], run: Path) -> list[Planned]:
    """Those whose next loop has ended the fewest workers before others, else in the given order.

    What ends each worker that comes to it, as by want of memory, would else be the first thing that
    each of them comes to, until none is left for the rest.

    Args:
        planned: In their order.
        run: The run folder, in which all workers note down what was lost.
    """
    lost = [one for one in read_mishaps(run) if one.kind == "lost"]
    at_loop = Counter((one.name, one.loop or 0) for one in lost)

    def losses(one: Planned) -> int:
        loop = loops_done(run, one)
        return at_loop[one.id, loop] + (0 if loop else at_loop[one.start, 0])

    return sorted(planned, key=losses)
