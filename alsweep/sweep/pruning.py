"""Seeds of a configuration one after the other, until it is clearly worse than the best so far."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from alsweep.results.pruning import is_worse

if TYPE_CHECKING:
    from alsweep.config.search import PruneConfig
    from alsweep.sweep.blocks import Blocks
    from alsweep.sweep.plan import Planned
    from alsweep.sweep.study import Searcher


def stages(seeds: Sequence[int], rule: PruneConfig | None) -> list[tuple[int, ...]]:
    """Seeds that are run at once: all, or those before the first look, and then each by itself."""
    if rule is None or len(seeds) < rule.fewest_seeds:
        return [tuple(seeds)]
    first = rule.first_look
    return [tuple(seeds[:first]), *((seed,) for seed in seeds[first:])]


class Looks:
    """Looks at blocks between their stages.

    Args:
        blocks: Of the search.
        searcher: Its memory.
        before: Number of a trial: the best is that of those before it. A batch is held against
            what was told before it was asked, so that a stop within it changes no decision.
    """

    def __init__(self, blocks: Blocks, searcher: Searcher, before: int) -> None:
        self._blocks, self._rule = blocks, blocks.search.pruning
        self._direction = blocks.search.directions[0]
        self._best = searcher.best_before(before)
        self._values: Mapping[int, float] = {}
        if self._rule is not None and self._best is not None:
            self._values = blocks.of_seeds(searcher.trajectories(self._best))

    @property
    def best(self) -> int | None:
        """Number of the trial that all are held against."""
        return self._best

    def reject(self, block: Sequence[Planned], seeds: Sequence[int]) -> bool:
        """Whether a block is given up after these seeds; what it lacks is stopped then."""
        begun = [one for one in block if one.config.seed in seeds]
        if all(map(self._blocks.is_done, block)):
            return False  # it has its value, which costs nothing more
        if self._rule is None or not self._values or not all(map(self._blocks.is_done, begun)):
            return False
        mine = self._blocks.of_seeds([one.id for one in begun])
        undefined = not all(map(math.isfinite, mine.values()))
        if undefined or not is_worse(mine, self._values, self._direction, self._rule):
            return False
        rest = [one for one in block if one.config.seed not in seeds]
        self._blocks.stop(rest, f"worse than trial {self._best} on {len(mine)} seeds")
        return True
