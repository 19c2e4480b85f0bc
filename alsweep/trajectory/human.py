"""Patches that were labelled: they enter the query log once their labels are there."""

from collections.abc import Sequence

from alsweep.data.annotator import Annotator
from alsweep.errors import RunFolderError
from alsweep.geometry import QueriedPatch
from alsweep.trajectory.query_log import QueryLog


def acknowledge(
    log: QueryLog, annotator: Annotator, loop: int, queried: Sequence[QueriedPatch]
) -> None:
    """Append the patches of ``loop`` to the query log; doing it again changes nothing.

    Args:
        log: Of the trajectory.
        annotator: Who labelled them.
        loop: The training before which the patches were labelled.
        queried: In the order in which they were queried.

    Raises:
        RunFolderError: Labels are missing, a patch is named twice or was acknowledged in another
            loop, or the loop was acknowledged with other patches.
    """
    patches = tuple(query.patch for query in queried)
    earlier = log.patches(loop - 1)
    if log.has(loop):
        if log.patches(loop) == (*earlier, *patches):
            return
        raise RunFolderError(
            f"{log.folder}: loop {loop} was annotated with other patches; label those of loop "
            f"{loop + 1}"
        )
    if missing := annotator.missing(patches):
        raise RunFolderError(
            f"{log.folder}: {len(missing)} of {len(patches)} patches of loop {loop} have no labels "
            f"yet, the first at {missing[0].start} of case '{missing[0].case}'; label them first"
        )
    if len({*earlier, *patches}) < len(earlier) + len(patches):
        raise RunFolderError(
            f"{log.folder}: loop {loop} names a patch a second time; query each patch once"
        )
    log.commit(loop, list(queried))
