"""A trajectory that people label for: its patches, and how far they are."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Literal

from alsweep.config.base import fingerprint
from alsweep.data.labels.annotations import Annotations, consensus, effort_of_all
from alsweep.data.labels.human import HumanLabels
from alsweep.data.recorded import open_recorded
from alsweep.errors import RunFolderError
from alsweep.geometry import QueriedPatch
from alsweep.layout import crops_folder, query_path, tasks_folder
from alsweep.people.grid import Crop
from alsweep.results.records import read_query, read_run
from alsweep.trajectory.human import read_skips
from alsweep.trajectory.query_log import QueryLog

if TYPE_CHECKING:
    from pathlib import Path

    from alsweep.config.trajectory import TrajectoryConfig
    from alsweep.data.case import Dataset
    from alsweep.geometry import Patch
    from alsweep.results.loops import LoopRecord
    from alsweep.trajectory.human import Skip

Status = Literal["to do", "labelled", "learned", "skipped"]
"""Nobody has painted it; somebody has; a network was trained on it; it cannot be labelled."""


_DIGITS = 8


def task_id(patch: Patch) -> str:
    """What people call a patch: its case, and eight digits that no other patch of it has.

    It follows from the patch alone, so that whoever labels it labels it for all trajectories.
    """
    return f"{patch.case}-{fingerprint([patch.case, patch.start, patch.size])[:_DIGITS]}"


def mark(id_: str) -> str:
    """What files of a patch say inside of which patch they are of, whatever they are called."""
    return id_[-_DIGITS:]


@dataclass(frozen=True)
class Task:
    """A patch that somebody is asked to label.

    Attributes:
        queried: The patch and its score.
        loop: The training that its labels are for.
        rank: Place in its query, from 1; 0 where it was skipped.
        status: How far it is.
    """

    queried: QueriedPatch
    loop: int
    rank: int
    status: Status

    @property
    def id(self) -> str:
        """See :func:`task_id`."""
        return task_id(self.patch)

    @property
    def patch(self) -> Patch:
        """The patch."""
        return self.queried.patch


@dataclass(frozen=True)
class Labelling:
    """A trajectory that people label for.

    Attributes:
        run: The run folder.
        folder: The trajectory's.
        id: The trajectory's.
        config: Resolved.
        dataset: Opened.
        records: Of the finished loops.
        several: Whether the run has other such trajectories.
    """

    run: Path
    folder: Path
    id: str
    config: TrajectoryConfig
    dataset: Dataset
    records: tuple[LoopRecord, ...] = ()
    several: bool = False

    @cached_property
    def log(self) -> QueryLog:
        """Its queries."""
        return QueryLog(self.folder)

    @property
    def crops(self) -> HumanLabels:
        """What networks learn from."""
        return HumanLabels(crops_folder(self.folder), len(self.dataset.classes))

    @property
    def annotations(self) -> Annotations:
        """All that people painted in the run."""
        return Annotations(self.run)

    @property
    def classes(self) -> dict[int, str]:
        """Name by code."""
        return dict(enumerate(self.dataset.classes))

    @property
    def skips(self) -> tuple[Skip, ...]:
        """What cannot be labelled."""
        return read_skips(self.folder)

    def tasks_folder(self, loop: int) -> Path:
        """Where the files lie that people get for a loop."""
        return tasks_folder(self.run, loop, self.id if self.several else None)

    def crop(self, patch: Patch) -> Crop:
        """Where a patch lies in its source."""
        info = self.dataset.case(patch.case)
        return Crop(info, patch, self.dataset.manifest.spacing)

    @property
    def loop(self) -> int:
        """The training that labels are awaited for."""
        return self.log.committed

    def open_tasks(self) -> list[Task]:
        """The patches of the query that people are at, best first; none where there is no query."""
        return [
            self._task(queried, self.loop, rank, learned=False)
            for rank, queried in enumerate(self.log.pending, start=1)
        ]

    def every_task(self) -> list[Task]:
        """All patches that anybody was asked for: learned, open and skipped."""
        learned = [
            self._task(queried, loop, rank, learned=True)
            for loop in range(self.log.committed)
            for rank, queried in enumerate(read_query(query_path(self.folder, loop)), start=1)
        ]
        return [*learned, *self.open_tasks(), *self.skipped_tasks()]

    def skipped_tasks(self) -> list[Task]:
        """Patches that could not be labelled and are in no query any more."""
        there = {task.patch for task in self.open_tasks()}
        return [
            Task(QueriedPatch(skip.patch), skip.loop, 0, "skipped")
            for skip in self.skips
            if skip.patch not in there
        ]

    def waiting(self) -> list[Task]:
        """Patches of the query that people are at which nobody has painted in."""
        return [task for task in self.open_tasks() if task.status == "to do"]

    def settle(self) -> None:
        """Fix what networks learn of the query that people are at: each patch by its consensus.

        Whoever paints later in one of them is heard, but changes nothing any more.
        """
        crops = self.crops
        for task in self.open_tasks():
            if crops.missing([task.patch]):
                painted = self.annotations.of(task.id)
                labels = self.crop(task.patch).to_patch(consensus(painted))
                crops.save(task.patch, labels, effort_of_all(painted))

    def leave_out(self) -> list[Task]:
        """Give up on the patches that nobody has painted in, for now; they may be chosen again.

        Returns:
            Those patches.

        Raises:
            RunFolderError: Nobody has painted in any.
        """
        left = self.waiting()
        kept = [task.queried for task in self.open_tasks() if task.status != "to do"]
        if not kept:
            raise RunFolderError(
                f"{self.run}: nobody has painted in any patch of loop {self.loop}; label one first"
            )
        if left:
            self.log.suspend(self.loop, kept)
        return left

    def _task(self, queried: QueriedPatch, loop: int, rank: int, *, learned: bool) -> Task:
        task = Task(queried, loop, rank, "learned")
        if learned:
            return task
        if queried.patch in {skip.patch for skip in self.skips}:
            return replace(task, status="skipped")
        painted = bool(self.annotations.of(task.id)) or not self.crops.missing([queried.patch])
        return replace(task, status="labelled" if painted else "to do")


def open_labellings(run: Path) -> list[Labelling]:
    """The trajectories of a run that people label for and that have begun.

    Raises:
        RunFolderError: The folder is no run, or nobody labels for any of its trajectories.
        DatasetError: The dataset is gone or has changed.
    """
    found = read_run(run)
    mine = [
        (one, one.config)
        for one in found.trajectories
        if one.config is not None and one.config.annotator.kind == "human"
    ]
    if not mine:
        raise RunFolderError(
            f"{run}: people label for no trajectory of it; begin one with 'alsweep suggest'"
        )
    several = len(found.trajectories) > 1
    made = []
    for one, config in mine:
        ground = found.ground(one)
        dataset = open_recorded(ground.dataset, ground.dataset_fingerprint, run, ground.key)
        made.append(
            Labelling(run, one.folder, one.id, config, dataset, one.records, several=several)
        )
    return made
