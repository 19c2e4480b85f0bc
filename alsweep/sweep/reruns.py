"""The best configurations of a search, run again for values that they were not chosen for."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from alsweep.results.searched import CONFIRMED, Rerun
from alsweep.sweep.blocks import is_defined
from alsweep.sweep.schedules import part

if TYPE_CHECKING:
    from alsweep.results.searched import Tried
    from alsweep.sweep.blocks import Blocks
    from alsweep.sweep.job import Job
    from alsweep.sweep.plan import Planned
    from alsweep.sweep.study import Searcher

logger = logging.getLogger(__name__)


def confirm(blocks: Blocks, searcher: Searcher, make: Callable[[Job], None]) -> None:
    """Run the best again on fresh seeds; the study is told of it, but of no value.

    What a cap or a failure leaves out is tried again by the next call.

    Args:
        blocks: Of the search, which is over.
        searcher: Its memory.
        make: Makes trajectories.
    """
    wanted, seeds = searcher.searched.unconfirmed(), blocks.search.confirm_seeds
    planned = [blocks.planned(one.configuration, seeds) for one in wanted]
    for one, block in zip(wanted, planned, strict=True):
        blocks.add(block, f"confirms trial {one.number}")
    todo = {one.id: one for block in planned for one in block if blocks.is_going_on(one)}
    if todo:
        make(part(blocks.job, todo.values()))
    for one, block in zip(wanted, planned, strict=True):
        if not blocks.job.capped() or all(map(blocks.is_done, block)):
            _note(blocks, searcher, one, block)


def _note(blocks: Blocks, searcher: Searcher, one: Tried, block: Sequence[Planned]) -> None:
    ids, seeds = [planned.id for planned in block], blocks.search.confirm_seeds
    found = blocks.measured(ids)[0] if all(map(blocks.is_done, block)) else []
    if not found or not is_defined(found):
        logger.warning("warning: trial %d of the search could not be confirmed", one.number)
        return
    values = tuple(measured.value for measured in found)
    rerun = Rerun(one.number, values, tuple(m.standard_error for m in found), seeds)
    known = searcher.noted(CONFIRMED) or []
    others = [two for two in known if two["trial"] != one.number]
    searcher.note(CONFIRMED, [*others, rerun.plain(ids)])
    logger.info(
        "search: trial %d confirmed on %d fresh seeds: %s",
        one.number,
        len(seeds),
        ", ".join(
            f"{name} {value:.4g}, told was {before:.4g}"
            for name, value, before in zip(
                blocks.search.objectives, values, one.values, strict=True
            )
        ),
    )
