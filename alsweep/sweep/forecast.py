"""What a sweep will write at most, so that a disk which is too small is known beforehand."""

from __future__ import annotations

import os
from dataclasses import asdict, dataclass
from math import prod
from pathlib import Path
from typing import TYPE_CHECKING, Any

from alsweep.data.case import Dataset
from alsweep.disk import MIB, RESERVE, free_bytes, in_words, mount_point, require_room
from alsweep.layout import models_folder
from alsweep.model.topology import make_topology, parameters
from alsweep.sweep.missing import Snapshot, finished, loops_done, to_do, unfinished
from alsweep.sweep.plan import opened
from alsweep.sweep.taking_over import looked_ahead

if TYPE_CHECKING:
    from alsweep.config.sweep import ResourcesConfig
    from alsweep.config.trajectory import TrainingConfig
    from alsweep.sweep.plan import Plan, Planned

_GIB = 1 << 30
_BLOCK = 4096
_WEIGHT = 4  # bytes: float32
_STATES = 3
"""Times a member's weights that a checkpoint holds: the network and two moments at most."""

_REPORT = 10 * MIB
_MIRROR = 64 * 1024
_ROW = 512
_CASE_DICE = 64
_PATCH = 128


@dataclass(frozen=True)
class Forecast:
    """Bytes that are still going to be written, at most, and what there is room for.

    Attributes:
        members: Stored members and evaluations, beside those that are there.
        checkpoints: Of trainings under way.
        labels: The views of what is annotated.
        rest: Records, queries, logs, the mirror, results and report.
        largest: One member.
        free: What the disk has room for.
        disk: Where it is mounted.
    """

    members: int
    checkpoints: int
    labels: int
    rest: int
    largest: int
    free: int
    disk: Path

    @property
    def total(self) -> int:
        """All of it."""
        return self.members + self.checkpoints + self.labels + self.rest

    @property
    def fits(self) -> bool:
        """Whether the disk takes it all."""
        return self.total + RESERVE <= self.free

    def __str__(self) -> str:
        parts = (
            f"members {in_words(self.members)}, checkpoints {in_words(self.checkpoints)}, labels "
            f"{in_words(self.labels)}, records and report {in_words(self.rest)}"
        )
        return f"disk {self.disk}: at most {in_words(self.total)} more ({parts})"

    def plain(self) -> dict[str, Any]:
        """Bytes, as JSON values."""
        return asdict(self) | {"disk": str(self.disk), "total": self.total, "fits": self.fits}

    @property
    def told(self) -> str:
        """For people: what is written and what is free, with a warning where it does not fit."""
        if self.fits:
            return f"{self}; {in_words(self.free)} free"
        return (
            f"warning: {self}, but only {in_words(self.free)} free; free space on it, choose an "
            "--out on another disk, or lower resources.models_gib"
        )


def forecast(run: Path | Snapshot, plan: Plan, *, private: bool = True) -> Forecast | None:
    """Foretell what the rest of a plan writes; None where nothing is left to do.

    Args:
        run: The run folder, absolute; it need not be there. Or what was looked up in it.
        plan: What to make.
        private: Whether this machine does it all; a cluster may work on all trajectories at once.

    Raises:
        DiskFullError: The disk takes not even one member.
    """
    made = looked_ahead(run, plan)
    run, rest = made.run, unfinished(made, plan)
    if not rest:
        return None
    by_place = {dataset.path: _Sizes(dataset) for dataset in opened(plan)}
    # What is finished once it has taken loops over is written, too.
    written = [*rest, *(one for one in finished(made, plan) if one.id in made.sources)]
    sizes = {planned.id: by_place[planned.config.dataset] for planned in written}
    largest = max(sizes[planned.id].member(planned.config.training) for planned in rest)
    require_room(run, largest)
    at_once = min(len(rest), workers(plan.sweep.resources) if private else len(rest))
    trainings = to_do(made, plan).trainings
    return Forecast(
        members=_members(run, plan, trainings, largest, at_once),
        checkpoints=_checkpoints(plan.sweep.resources, trainings, largest, at_once),
        labels=sum(sizes[planned.id].labels(planned) for planned in rest),
        rest=_REPORT + sum(sizes[one.id].records(one, made, plan) for one in written),
        largest=largest,
        free=free_bytes(run),
        disk=mount_point(run),
    )


def workers(resources: ResourcesConfig) -> int:
    """How many trajectories this machine's CPUs take at a time."""
    usable = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return max(1, int((usable or 1) / resources.cpus))


def _members(run: Path, plan: Plan, trainings: int, largest: int, at_once: int) -> int:
    """What the store grows by: it is kept to ``models_gib``, less what comes in before some go."""
    stored = sum(file.stat().st_size for file in models_folder(run).glob("*/*"))
    evaluations = 2 * _BLOCK * plan.loops
    room = max(0, int(plan.sweep.resources.models_gib * _GIB) - stored)
    return min(trainings * largest + evaluations, room + at_once * largest)


def _checkpoints(resources: ResourcesConfig, trainings: int, largest: int, at_once: int) -> int:
    """Each training under way has one, and for a moment the next beside it."""
    under_way = min(trainings, at_once * resources.members_at_once)
    return 2 * _STATES * largest * under_way


class _Sizes:
    """Bytes of what one trajectory on a dataset leaves."""

    def __init__(self, dataset: Dataset) -> None:
        self._dataset = dataset
        self._outputs = len(dataset.manifest.regions or dataset.classes)
        self._members: dict[object, int] = {}

    def member(self, training: TrainingConfig) -> int:
        """One stored member."""
        shape = (training.patch_size, training.features, training.blocks)
        if shape not in self._members:
            levels = make_topology(training, self._dataset)
            channels = len(self._dataset.channels)
            numbers = parameters(training, levels, channels, self._outputs)
            self._members[shape] = int(1.02 * _WEIGHT * numbers) + 8 * _BLOCK
        return self._members[shape]

    def labels(self, planned: Planned) -> int:
        """Its view of the labels: a byte a voxel, and the metadata of each case."""
        query = planned.config.query
        patches = planned.config.patches_at(query.loops - 1)
        pool = [prod(self._dataset.cases[case].shape) for case in self._dataset.pool]
        voxels = min(patches * min(prod(query.box), max(pool)), sum(pool))
        return voxels + 3 * _BLOCK * min(patches, len(pool))

    def records(self, planned: Planned, made: Snapshot, plan: Plan) -> int:
        """Its config, records and queries, its log, its mirror and its rows of the results."""
        judged = len(self._dataset.cases) - len(self._dataset.pool)
        record = _BLOCK + _CASE_DICE * judged * len(self._dataset.classes)
        query = _BLOCK + _PATCH * planned.config.query.patches
        # What it takes over is written, too.
        own = planned.id not in made.sources
        loops = planned.config.query.loops - (loops_done(made, planned) if own else 0)
        mirror = 0 if plan.sweep.wandb.mode == "disabled" else _MIRROR
        return 4 * _BLOCK + mirror + loops * (record + query + _ROW)
