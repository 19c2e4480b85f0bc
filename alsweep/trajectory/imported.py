"""Another project's query log as a trajectory folder, for strategies and starts that replay it."""

from collections.abc import Sequence
from math import ceil
from pathlib import Path
from typing import Any

from alsweep.config.trajectory import TrajectoryConfig
from alsweep.data.case import Dataset
from alsweep.data.exchange import read_loops
from alsweep.data.ingest.writing import new_folder
from alsweep.errors import DatasetError
from alsweep.geometry import (
    Patch,
    QueriedPatch,
    Triple,
    clip_size,
    intersection,
    triple,
    union_voxels,
)
from alsweep.trajectory.query_log import QueryLog


def import_loops(loops: Path, dataset: Dataset, out: Path) -> TrajectoryConfig:
    """Write nnActive's loop files as the config and query log of a trajectory.

    Args:
        loops: Folder with ``loop_000.json``, the starting budget, and its successors.
        dataset: Its grid must be the one that the patches were queried on.
        out: Must not exist; what ``replay`` calls its source.

    Returns:
        A config with which a trajectory replays them all, starting budget included. Patch size,
        query size, loops and overlap follow from the patches, all else is left at its default.

    Raises:
        DatasetError: A file is missing or malformed, a patch is not of the pool, the patches have
            no common size, or ``out`` exists.
    """
    read = read_loops(loops, dataset.cases)
    for index, patches in enumerate(read):
        _check(loops, index, patches, dataset)
    replay = {"name": "replay", "source": str(out.absolute())}
    config = TrajectoryConfig.model_validate(
        {
            "dataset": dataset.path,
            "strategy": {**replay, "label": "imported"},
            "starting_budget": {"strategy": replay, "patches": len(read[0])},
            "query": _query(loops, read, dataset),
        }
    )
    with new_folder(out) as new:
        log = QueryLog(new)
        log.claim(config)
        for index, patches in enumerate(read):
            log.commit(index, [QueriedPatch(patch) for patch in patches])
    return config


def _check(loops: Path, index: int, patches: Sequence[Patch], dataset: Dataset) -> None:
    if not patches:
        raise DatasetError(
            f"{loops}: loop {index} holds no patch; remove its file and those after it"
        )
    for patch in patches:
        if patch.case not in dataset.pool:
            raise DatasetError(
                f"{loops}: loop {index} holds a patch of case '{patch.case}', which is not in the "
                "pool but validates; ingest with the split that the patches were queried in"
            )


def _query(loops: Path, read: Sequence[Sequence[Patch]], dataset: Dataset) -> dict[str, Any]:
    """What ``query`` must say for the patches to be a trajectory's."""
    every = [patch for patches in read for patch in patches]
    counts = [len(patches) for patches in read[1:]] or [len(read[0])]
    query = {
        "patches": max(counts),
        "patch_size": _patch_size(loops, read, dataset),
        "loops": len(read),
        "overlap": _overlap(loops, every),
    }
    # Where the pool was exhausted, the last queries are smaller.
    return query if min(counts) == max(counts) else {**query, "on_shortfall": "take_all"}


def _patch_size(loops: Path, read: Sequence[Sequence[Patch]], dataset: Dataset) -> Triple | str:
    """The size that gives every patch once it is clipped to its case; 'whole' for whole cases.

    A start may hold whole cases beside patches.
    """
    start, *queries = read
    parts = [patch for patch in start if patch.size != dataset.cases[patch.case].shape]
    patches = [*parts, *(patch for query in queries for patch in query)]
    if all(patch.size == dataset.cases[patch.case].shape for patch in patches):
        return "whole"
    size = triple(max(lengths) for lengths in zip(*(p.size for p in patches), strict=True))
    for patch in patches:
        if patch.size != clip_size(size, dataset.cases[patch.case].shape):
            raise DatasetError(
                f"{loops}: one patch of case '{patch.case}' has the size {patch.size}, others "
                f"{size}; the patches of a trajectory have one size"
            )
    return size


def _overlap(loops: Path, patches: Sequence[Patch]) -> float:
    """The largest share of a patch that lies in those before it, rounded up to a hundredth."""
    most = 0.0
    for index, patch in enumerate(patches):
        near = [before for before in patches[:index] if before.case == patch.case]
        common = [intersection(patch.start, patch.size, p.start, p.size) for p in near]
        most = max(most, union_voxels([box for box in common if box]) / patch.voxels)
    if most == 1:
        raise DatasetError(f"{loops}: a patch lies in those before it; name each patch once")
    return min(ceil(100 * most) / 100, 0.99)
