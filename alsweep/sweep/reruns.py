"""The best configurations of a search, run again for values that they were not chosen for."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from alsweep.results.searched import CONFIRMED, PROMOTED, Rerun
from alsweep.sweep.blocks import is_defined
from alsweep.sweep.parting import part

if TYPE_CHECKING:
    from alsweep.results.searched import Tried
    from alsweep.sweep.blocks import Blocks
    from alsweep.sweep.job import Job
    from alsweep.sweep.plan import Planned
    from alsweep.sweep.study import Searcher

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class _Kind:
    """What configurations are run again for.

    Attributes:
        attribute: Of the study, which notes what they gave.
        does: For people and the log of decisions.
        seeds: With which they are run.
    """

    attribute: str
    does: str
    seeds: tuple[int, ...]


def run_best_again(blocks: Blocks, searcher: Searcher, make: Callable[[Job], None]) -> None:
    """Run the best third at the high rung and the best on fresh seeds, as far as that is asked for.

    The study is told of it, but of no value. What a cap or a failure leaves out is tried again by
    the next call.

    Args:
        blocks: Of the search, which is over.
        searcher: Its memory.
        make: Makes trajectories.
    """
    seeds = blocks.job.plan.sweep.seeds
    _again(blocks, searcher, make, _Kind(PROMOTED, "promotes", seeds))
    if not blocks.job.capped():
        fresh = blocks.search.confirm_seeds
        _again(blocks, searcher, make, _Kind(CONFIRMED, "confirms", fresh))


def reason(does: str, number: int) -> str:
    """Why a trajectory was added, in the log of decisions.

    Args:
        does: ``promotes`` or ``confirms``.
        number: Of the trial.
    """
    return f"{does} trial {number}"


def _again(blocks: Blocks, searcher: Searcher, make: Callable[[Job], None], kind: _Kind) -> None:
    found, rung = searcher.searched, blocks.search.high
    wanted = found.unpromoted() if kind.attribute == PROMOTED else found.unconfirmed()
    planned = [blocks.planned({**one.configuration, **rung}, kind.seeds) for one in wanted]
    for one, block in zip(wanted, planned, strict=True):
        blocks.add(block, reason(kind.does, one.number))
    todo = {one.id: one for block in planned for one in block if blocks.is_going_on(one)}
    if todo:
        make(part(blocks.job, todo.values()))
    for one, block in zip(wanted, planned, strict=True):
        if not blocks.job.capped() or all(map(blocks.is_done, block)):
            _note(blocks, searcher, (one, block), kind)


def _note(
    blocks: Blocks, searcher: Searcher, ran: tuple[Tried, Sequence[Planned]], kind: _Kind
) -> None:
    one, block = ran
    ids, told = [planned.id for planned in block], reason(kind.does, one.number)
    found = blocks.measured(ids)[0] if all(map(blocks.is_done, block)) else []
    if not found or not is_defined(found):
        logger.warning("warning: search: what %s gave no value; resume the run", told)
        return
    values, errors = zip(*((m.value, m.standard_error) for m in found), strict=True)
    rerun = Rerun(one.number, values, errors, kind.seeds).plain(ids, blocks.search.high)
    known = searcher.noted(kind.attribute) or []
    others = [two for two in known if two["trial"] != one.number]
    searcher.note(kind.attribute, [*others, rerun])
    shown = zip(blocks.search.objectives, values, one.values, strict=True)
    text = ", ".join(f"{name} {value:.4g}, told was {before:.4g}" for name, value, before in shown)
    logger.info("search: what %s on %d seeds: %s", told, len(kind.seeds), text)
