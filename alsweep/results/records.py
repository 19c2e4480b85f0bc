"""What a run folder says happened.

A loop is finished when its record is there and the query after it is too, be it answered yet or
not (the last loop: the record).
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from alsweep.config.trajectory import TrajectoryConfig
from alsweep.errors import RecordError
from alsweep.geometry import QueriedPatch
from alsweep.layout import (
    config_path,
    pending_path,
    query_path,
    record_path,
    trajectory_folder,
)
from alsweep.results.begun import Begun, Ground, read_begun
from alsweep.results.decisions import Decision, decided, read_decisions
from alsweep.results.failure import read_failure
from alsweep.results.loops import LoopRecord, read_model, read_query, write_query

__all__ = [
    "LoopRecord",
    "QueriedPatch",
    "RunFolder",
    "TrajectoryFolder",
    "read_config",
    "read_part",
    "read_query",
    "read_records",
    "read_run",
    "write_query",
]

Status = Literal["done", "running", "truncated", "failed"]


@dataclass(frozen=True)
class TrajectoryFolder:
    """What a run folder knows of one trajectory.

    Attributes:
        id: Name of the folder.
        folder: Where it lies; it may not exist yet.
        config: None where the trajectory has not begun.
        records: Finished loops, in order.
        status: The trajectory's state; ``truncated`` if it was decided that it stops before its
            last loop.
        error: Why it failed; None unless it did.
    """

    id: str
    folder: Path
    config: TrajectoryConfig | None
    records: tuple[LoopRecord, ...]
    status: Status
    error: str | None


@dataclass(frozen=True)
class RunFolder:
    """A run: what its sweep.yaml says, and its trajectories in that order; then those added.

    ``decisions`` is the log of what was decided while it ran.
    """

    path: Path
    begun: Begun
    trajectories: tuple[TrajectoryFolder, ...]
    decisions: tuple[Decision, ...] = ()

    @property
    def name(self) -> str:
        """Of the sweep."""
        return self.begun.name

    def ground(self, trajectory: TrajectoryFolder) -> Ground:
        """The dataset that a trajectory is on, and its setting."""
        return self.begun.ground(trajectory.id, trajectory.config)


def read_config(folder: Path) -> TrajectoryConfig:
    """Return the resolved config of a trajectory folder.

    Raises:
        RecordError: It is missing or broken.
    """
    return read_model(TrajectoryConfig, config_path(folder))


def read_records(
    folder: Path, known: Sequence[LoopRecord] = (), loops: int | None = None
) -> tuple[LoopRecord, ...]:
    """Return the records of a trajectory's finished loops, contiguous from loop 0.

    Args:
        folder: Of the trajectory.
        known: Those that were read before; they are not read again.
        loops: Of the trajectory, for who knows; else its config.json is read where that matters.

    Raises:
        RecordError: A record is broken.
    """
    records = list(known)
    while record_path(folder, len(records)).exists():
        loop = len(records)
        if loop + 1 != loops and not is_queried(folder, loop + 1):
            loops = read_config(folder).query.loops if loops is None else loops
            if loop + 1 < loops:
                break
        records.append(LoopRecord.read(record_path(folder, loop)))
    return tuple(records)


def is_queried(folder: Path, loop: int) -> bool:
    """Whether the patches for training ``loop`` are chosen, though people may still label them."""
    return query_path(folder, loop).exists() or pending_path(folder, loop).exists()


def read_run(
    run: Path,
    begun: Begun | None = None,
    planned: Mapping[str, TrajectoryConfig] | None = None,
) -> RunFolder:
    """Read a run folder: all trajectories of its plan, with their finished loops.

    These are the ones that sweep.yaml names, and those that were added while the sweep ran.

    Args:
        run: The folder.
        begun: What its sweep.yaml says, for who has read that.
        planned: Configs by the ids that they have on their datasets, for who has made these; a
            folder with such a config needs no further look at whose it is.

    Raises:
        RunFolderError: ``run`` is no run folder.
        RecordError: A file in it is broken, or a config is not its trajectory's.
    """
    begun, decisions = begun or read_begun(run), read_decisions(run)
    follows = decided(decisions)
    begun = replace(begun, added=follows.settings)
    ids = dict.fromkeys([*begun.ids, *follows.added])
    part = read_part(run, begun, ids, follows.stopped, planned)
    return replace(part, decisions=decisions)


def read_part(
    run: Path,
    begun: Begun,
    ids: Iterable[str],
    stopped: Collection[str] = (),
    planned: Mapping[str, TrajectoryConfig] | None = None,
) -> RunFolder:
    """Read some trajectories of a run, without its decisions.

    Args:
        run: The run folder.
        begun: What its sweep.yaml says.
        ids: Of the trajectories.
        stopped: Ids of those that do no further loops.
        planned: See :func:`read_run`.

    Raises:
        RecordError: A file of theirs is broken, or a config is not its trajectory's.
    """
    known = planned or {}
    trajectories = (
        _read_trajectory(trajectory_folder(run, id_), begun, known.get(id_), id_ in stopped)
        for id_ in ids
    )
    return RunFolder(run, begun, tuple(trajectories))


def _read_trajectory(
    folder: Path, begun: Begun, planned: TrajectoryConfig | None, stopped: bool
) -> TrajectoryFolder:
    if not config_path(folder).exists():
        failure = None if stopped else read_failure(folder)
        status = _status(False, stopped, failure)
        return TrajectoryFolder(folder.name, folder, None, (), status, failure)
    config = read_config(folder)
    if config != planned:
        _refuse_another(folder, begun, config)
    records = read_records(folder, loops=config.query.loops)
    done = len(records) == config.query.loops
    failure = None if done or stopped else read_failure(folder)
    status = _status(done, stopped, failure)
    return TrajectoryFolder(folder.name, folder, config, records, status, failure)


def _refuse_another(folder: Path, begun: Begun, config: TrajectoryConfig) -> None:
    """The table says what the config says, so it must be the one that records were made with."""
    meant = config.trajectory_id(begun.ground(folder.name, config).dataset_fingerprint)
    if meant != folder.name:
        raise RecordError(
            f"{config_path(folder)}: expected the config of trajectory {folder.name}, got that "
            f"of {meant}; restore the file, or move it "
            "elsewhere and resume the run, which writes it again"
        )


def _status(done: bool, stopped: bool, failure: str | None) -> Status:
    if done or stopped:
        return "done" if done else "truncated"
    return "running" if failure is None else "failed"
