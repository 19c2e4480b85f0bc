"""What a strategy may answer: anything else would be annotated and trained on without a word."""

from collections.abc import Sequence
from typing import Any

from alsweep.errors import StrategyError
from alsweep.geometry import Patch, QueriedPatch
from alsweep.query.pool import PoolCase, Request


def checked(
    answer: Any, cases: Sequence[PoolCase], request: Request, name: str
) -> list[QueriedPatch]:
    """A strategy's answer, if it is a query.

    Args:
        answer: Of the strategy.
        cases: That may be queried.
        request: What it was asked for.
        name: Of the strategy, for the message.

    Raises:
        StrategyError: It is none; names what is wrong.
    """
    who = f"loop {request.loop}: the strategy {name}"
    if not isinstance(answer, list | tuple):
        raise StrategyError(f"{who} answered {_shown(answer)}; return a list of QueriedPatch")
    if len(answer) > request.patches:
        raise StrategyError(
            f"{who} chose {len(answer)} patches where {request.patches} were asked for; return the "
            "best of them alone"
        )
    known, chosen = {case.case: case for case in cases}, list[QueriedPatch]()
    for one in answer:
        wrong = _wrong(one, known, request, chosen)
        if wrong is not None:
            raise StrategyError(f"{who} chose {_shown(one)}: {wrong}")
        chosen.append(one)
    return chosen


def _shown(answer: Any) -> str:
    text = repr(answer)
    return text if len(text) <= 120 else f"{text[:117]}..."


def _wrong(
    one: Any, known: dict[str, PoolCase], request: Request, chosen: Sequence[QueriedPatch]
) -> str | None:
    if not isinstance(one, QueriedPatch) or not isinstance(one.patch, Patch):
        return "return a list of QueriedPatch"
    patch, case = one.patch, known.get(one.patch.case)
    if case is None:
        return "it is not in a case of the pool"
    if not all(isinstance(n, int) for n in (*patch.start, *patch.size)):
        return "start and size have to be plain ints"
    if not patch.inside(case.shape):
        return f"it does not lie within the case, whose shape is {case.shape}"
    clipped = tuple(min(*pair) for pair in zip(request.patch_size, case.shape, strict=True))
    if patch.size not in (clipped, case.shape):
        return f"its size has to be {clipped}"
    others = (*case.taken, *(other.patch for other in chosen))
    if request.overlap == 0 and any(map(patch.intersects, others)):
        return "some of it is annotated already, or chosen twice"
    return None
