"""What a run folder says happened.

A loop is finished when its record is there and the query after it is too (the last loop: the
record).
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal, NamedTuple

from alsweep.config.trajectory import TrajectoryConfig
from alsweep.errors import RecordError, RunFolderError
from alsweep.geometry import QueriedPatch
from alsweep.layout import config_path, query_path, record_path, space_path, trajectory_folder
from alsweep.results.decisions import read_decided
from alsweep.results.failure import read_failure
from alsweep.results.loops import LoopRecord, read_model, read_query, write_query

__all__ = [
    "LoopRecord",
    "QueriedPatch",
    "RunFolder",
    "TrajectoryFolder",
    "read_config",
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
    """A run: what its sweep.yaml says, and its trajectories in the order of it; then those added.

    ``dataset`` is where that lies now; a trajectory's config may still name an earlier place.
    ``varied`` are the dotted keys of its grid.
    """

    path: Path
    name: str
    dataset: Path
    dataset_fingerprint: str
    trajectories: tuple[TrajectoryFolder, ...]
    varied: tuple[str, ...] = ()


def read_config(folder: Path) -> TrajectoryConfig:
    """Return the resolved config of a trajectory folder.

    Raises:
        RecordError: It is missing or broken.
    """
    return read_model(TrajectoryConfig, config_path(folder))


def read_records(folder: Path) -> tuple[LoopRecord, ...]:
    """Return the records of a trajectory's finished loops, contiguous from loop 0.

    Raises:
        RecordError: A record is broken.
    """
    records: list[LoopRecord] = []
    while record_path(folder, len(records)).exists():
        loop = len(records)
        if not query_path(folder, loop + 1).exists() and loop + 1 < read_config(folder).query.loops:
            break
        records.append(LoopRecord.read(record_path(folder, loop)))
    return tuple(records)


def read_run(run: Path) -> RunFolder:
    """Read a run folder: all trajectories of its plan, with their finished loops.

    These are the ones that sweep.yaml names, and those that were added while the sweep ran.

    Raises:
        RunFolderError: ``run`` is no run folder.
        RecordError: A file in it is broken, or a config is not its trajectory's.
    """
    begun, decided = _read_sweep(space_path(run)), read_decided(run)
    trajectories = tuple(
        _read_trajectory(
            trajectory_folder(run, id_), begun.dataset_fingerprint, id_ in decided.stopped
        )
        for id_ in dict.fromkeys([*begun.ids, *decided.added])
    )
    place, fingerprint = begun.dataset, begun.dataset_fingerprint
    return RunFolder(run, begun.name, place, fingerprint, trajectories, begun.varied)


class _Begun(NamedTuple):
    """What readers need of sweep.yaml; the rest is the sweep's matter."""

    name: str
    dataset: Path
    dataset_fingerprint: str
    ids: tuple[str, ...]
    varied: tuple[str, ...]


def _read_sweep(path: Path) -> _Begun:
    from ruamel.yaml import YAML
    from ruamel.yaml.error import YAMLError

    try:
        raw = YAML(typ="safe", pure=True).load(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise RunFolderError(
            f"{path.parent}: no sweep.yaml in it; name a run folder that 'alsweep run' wrote"
        ) from None
    except (OSError, UnicodeDecodeError) as error:
        raise RunFolderError(
            f"{path}: cannot be read as text ({error}); restore it, or make the run again with "
            "'alsweep run'"
        ) from None
    except YAMLError as error:
        raise RunFolderError(f"{path}: not valid YAML ({str(error).splitlines()[0]})") from None
    try:
        begun = raw["provenance"]
        ids = tuple(str(id_) for id_ in begun["trajectories"])
        fingerprint = str(begun["dataset_fingerprint"])
        varied = tuple(map(str, raw.get("grid") or ()))
        return _Begun(str(raw["name"]), Path(raw["dataset"]), fingerprint, ids, varied)
    except (AttributeError, KeyError, TypeError):
        raise RunFolderError(
            f"{path}: no 'name', 'dataset', 'provenance.dataset_fingerprint' and "
            "'provenance.trajectories' in it; make the run again with 'alsweep run'"
        ) from None


def _read_trajectory(folder: Path, dataset_fingerprint: str, stopped: bool) -> TrajectoryFolder:
    if not config_path(folder).exists():
        failure = None if stopped else read_failure(folder)
        status = _status(False, stopped, failure)
        return TrajectoryFolder(folder.name, folder, None, (), status, failure)
    config = read_config(folder)
    # The table says what the config says, so it must be the one that the records were made with.
    if config.trajectory_id(dataset_fingerprint) != folder.name:
        raise RecordError(
            f"{config_path(folder)}: expected the config of trajectory {folder.name}, got that "
            f"of {config.trajectory_id(dataset_fingerprint)}; restore the file, or move it "
            "elsewhere and resume the run, which writes it again"
        )
    records = read_records(folder)
    done = len(records) == config.query.loops
    failure = None if done or stopped else read_failure(folder)
    status = _status(done, stopped, failure)
    return TrajectoryFolder(folder.name, folder, config, records, status, failure)


def _status(done: bool, stopped: bool, failure: str | None) -> Status:
    if done or stopped:
        return "done" if done else "truncated"
    return "running" if failure is None else "failed"
