"""What people do to a trajectory: they label patches, or cannot; and some they labelled before."""

from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
from scipy import ndimage

from alsweep.config.base import Frozen
from alsweep.data.annotator import Annotator, labels_before
from alsweep.data.case import Dataset
from alsweep.data.labels.human import HumanLabels
from alsweep.errors import RunFolderError
from alsweep.files import write_json
from alsweep.geometry import Patch, QueriedPatch, Triple, triple
from alsweep.label_codes import IGNORE
from alsweep.layout import skipped_path
from alsweep.results.loops import HumanEffort, read_model
from alsweep.trajectory.query_log import QueryLog


class Skip(Frozen):
    """A patch that cannot be labelled.

    Attributes:
        loop: The training that it was chosen for.
        reason: In the words of whoever skipped it.
        time: When, in UTC.
    """

    case: str
    start: Triple
    size: Triple
    loop: int
    reason: str
    time: str

    @property
    def patch(self) -> Patch:
        """The patch."""
        return Patch(self.case, self.start, self.size)


class _Skips(Frozen):
    skipped: tuple[Skip, ...] = ()


def read_skips(folder: Path) -> tuple[Skip, ...]:
    """The patches of a trajectory that cannot be labelled, in the order in which that was said.

    Raises:
        RecordError: The file is broken.
    """
    path = skipped_path(folder)
    return read_model(_Skips, path).skipped if path.exists() else ()


def add_skips(folder: Path, new: Iterable[Skip]) -> None:
    """Remember that patches cannot be labelled; those that are known already stay as they are."""
    known = {skip.patch: skip for skip in read_skips(folder)}
    every = known | {skip.patch: skip for skip in new if skip.patch not in known}
    write_json(skipped_path(folder), _Skips(skipped=tuple(every.values())).plain())


def patches_before(dataset: Dataset) -> list[QueriedPatch]:
    """What was labelled before anybody was asked, as patches: a box round each connected piece.

    Returns:
        Case by case; a voxel that is in two boxes has the same label in both.
    """
    found = []
    for case in dataset.pool:
        before = labels_before(dataset, case)
        if before is None:
            continue
        pieces, _ = ndimage.label(before != IGNORE)
        for slices in ndimage.find_objects(pieces):
            start = triple(part.start for part in slices)
            size = triple(part.stop - part.start for part in slices)
            found.append(QueriedPatch(Patch(case, start, size)))
    return found


def keep_before(dataset: Dataset, crops: HumanLabels, queried: Sequence[QueriedPatch]) -> None:
    """Store the labels of :func:`patches_before`, as if a person had given them now."""
    for one in queried:
        before = labels_before(dataset, one.patch.case)
        assert before is not None
        crops.save(one.patch, np.array(before[one.patch.slices]))


def effort_of(crops: HumanLabels, patches: Sequence[Patch]) -> HumanEffort:
    """What the labels of patches took, as far as it is known."""
    efforts = [crops.effort(patch) for patch in patches]
    seconds = [one.seconds for one in efforts if one.seconds is not None]
    return HumanEffort(
        minutes=sum(seconds) / 60,
        prompts=sum(one.prompts or 0 for one in efforts),
        corrections=sum(one.corrections or 0 for one in efforts),
        timed_patches=len(seconds),
    )


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
