"""Which share of the queries shows nothing but background, from the records of loops."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from alsweep.results.loops import LoopRecord

MOST = 0.25
"""Share of a query's patches from which on it is worth a warning."""


@dataclass(frozen=True)
class QueryBackground:
    """Of one query, or of the starting budget.

    Attributes:
        loop: The training before which its patches were annotated; 0 for the starting budget.
        background: Patches without foreground that are as dark as what is round the body.
        patches: All.
    """

    loop: int
    background: int
    patches: int


def query_backgrounds(records: Sequence[LoopRecord]) -> list[QueryBackground]:
    """Each query of a trajectory, as far as its records and those before count such patches."""
    found = []
    for index, record in enumerate(records):
        before = records[index - 1] if index else None
        if record.background_patches is None:
            continue
        if before is None:
            earlier, annotated = 0, 0
        elif before.background_patches is None:
            continue
        else:
            earlier, annotated = before.background_patches, before.annotated_patches
        found.append(
            QueryBackground(
                record.loop,
                record.background_patches - earlier,
                record.annotated_patches - annotated,
            )
        )
    return found


def pooled_share(queries: Iterable[QueryBackground]) -> float | None:
    """Share of such patches in several queries together, in 0..1; None without any patch."""
    every = list(queries)
    patches = sum(query.patches for query in every)
    return sum(query.background for query in every) / patches if patches else None


def share_text(which: str, background: int, patches: int) -> str:
    """A sentence on one query."""
    return (
        f"{background} of {patches} patches of {which} ({100 * background / patches:.0f} %) hold "
        "no foreground and are as dark as what is round the body"
    )
