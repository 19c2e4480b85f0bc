"""What a run folder says happened, and the tidy table made from it.

A loop is finished when its record is there and the query after it is too (the last loop: the
record). All that the table holds follows from the finished loops and the resolved configs.
"""

import io
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import numpy as np

from alsweep.config.trajectory import TrajectoryConfig
from alsweep.errors import RecordError, RunFolderError
from alsweep.files import canonical_json, write_bytes
from alsweep.geometry import QueriedPatch
from alsweep.layout import (
    RESULTS,
    config_path,
    query_path,
    record_path,
    results_path,
    space_path,
    trajectory_folder,
)
from alsweep.results.decisions import read_decided
from alsweep.results.failure import read_failure
from alsweep.results.loops import (
    LoopRecord,
    read_model,
    read_query,
    write_query,
)

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

__all__ = [
    "LoopRecord",
    "QueriedPatch",
    "RunFolder",
    "TrajectoryFolder",
    "collect",
    "each_once",
    "load_results",
    "read_config",
    "read_query",
    "read_records",
    "read_run",
    "write_query",
    "write_results",
]

Status = Literal["done", "running", "truncated", "failed"]

TABLE_SCHEMA = 1
"""Version of results.parquet, kept in the file's metadata under ``alsweep.schema``."""

_COLUMNS = {
    "sweep": "string",
    "setting": "string",
    "trajectory": "string",
    "start_hash": "string",
    "dataset": "string",
    "strategy": "string",
    "strategy_params": "string",
    "seed": "int64",
    "loop": "int64",
    "patch_size": "string",
    "query_size": "int64",
    "members": "int64",
    "tta": "bool",
    "epochs": "int64",
    "annotated_patches": "int64",
    "annotated_voxels": "int64",
    "foreground_voxels": "int64",
    "foreground_fraction": "float64",
    "annotated_cases": "int64",
    "mean_dice": "float64",
    # dice_<class name> columns stand here, and where surfaces were judged surface_dice_<class name>
    # and hd95_<class name>
    "train_seconds": "float64",
    "evaluate_seconds": "float64",
    "query_seconds": "float64",
    "cached_members": "int64",
    "threads": "int64",
    "status": "string",
    "test_mean_dice": "float64",
    "surface_dice": "float64",
    "hd95": "float64",
}


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
    """

    path: Path
    name: str
    dataset: Path
    dataset_fingerprint: str
    trajectories: tuple[TrajectoryFolder, ...]


def read_config(folder: Path) -> TrajectoryConfig:
    """Return the resolved config of a trajectory folder.

    Raises:
        RecordError: It is missing or broken.
    """
    return read_model(TrajectoryConfig, config_path(folder))


def read_records(folder: Path, known: Sequence[LoopRecord] = ()) -> tuple[LoopRecord, ...]:
    """Return the records of a trajectory's finished loops, contiguous from loop 0.

    Those ``known``, which were read before, are not read again.

    Raises:
        RecordError: A record is broken.
    """
    records = list(known)
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
    return RunFolder(run, begun.name, begun.dataset, begun.dataset_fingerprint, trajectories)


class _Begun(NamedTuple):
    """What readers need of sweep.yaml; the rest is the sweep's matter."""

    name: str
    dataset: Path
    dataset_fingerprint: str
    ids: tuple[str, ...]


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
        return _Begun(str(raw["name"]), Path(raw["dataset"]), fingerprint, ids)
    except (KeyError, TypeError):
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


def collect(run: Path) -> "pd.DataFrame":
    """Return the tidy table of a run: a row for each finished loop, in the order of sweep.yaml.

    Raises:
        RunFolderError: ``run`` is no run folder.
        RecordError: A file in it is broken.
    """
    return _to_frame(_table(read_run(run)))


def write_results(run: Path) -> Path:
    """Write RUN/results.parquet from the records, atomically; returns its path."""
    import pyarrow.parquet as pq

    buffer = io.BytesIO()
    pq.write_table(_table(read_run(run)), buffer, compression="zstd")
    path = results_path(run)
    write_bytes(path, buffer.getvalue())
    return path


def load_results(paths: Path | str | Sequence[Path | str]) -> "pd.DataFrame":
    """Return the tidy table of one or several runs.

    Args:
        paths: Run folders or parquet files. A folder without results.parquet is collected. A
            trajectory that is in several runs is taken once: from the first run in which it is
            done, else from the first.

    Raises:
        RunFolderError: A folder is no run folder.
        RecordError: A file is missing, or not a table of this version.
    """
    names = [paths] if isinstance(paths, str | Path) else list(paths)
    if not names:
        raise RecordError(
            "load_results: expected at least one run folder or parquet file, got none"
        )
    return each_once([_load_one(Path(name)) for name in names])


def _load_one(path: Path) -> "pd.DataFrame":
    if path.is_dir():
        inner = results_path(path)
        return _read_parquet(inner) if inner.exists() else collect(path)
    return _read_parquet(path)


def each_once(tables: Sequence["pd.DataFrame"]) -> "pd.DataFrame":
    """Join tables, with each trajectory's rows from one of them: where it is done, else the first.

    Copies of a run bear the same sweep's name, so that only its place tells a table apart.
    """
    import pandas as pd

    table = pd.concat(tables, ignore_index=True) if len(tables) > 1 else tables[0]
    source = np.repeat(np.arange(len(tables)), [len(one) for one in tables])
    order = table.assign(_source=source, _late=table["status"] != "done")
    order = order.sort_values(["_late", "_source"], kind="stable")
    chosen = order.groupby("trajectory", sort=False)["_source"].first()
    kept: pd.DataFrame = table[source == table["trajectory"].map(chosen)]
    return kept.reset_index(drop=True)


def _read_parquet(path: Path) -> "pd.DataFrame":
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        table = pq.read_table(path)
    except FileNotFoundError:
        raise RecordError(f"{path}: no such file; name a run folder or its {RESULTS}") from None
    except pa.ArrowInvalid:
        raise RecordError(
            f"{path}: not a Parquet file; name a run folder or its {RESULTS}"
        ) from None
    version = (table.schema.metadata or {}).get(b"alsweep.schema", b"none").decode()
    if version != str(TABLE_SCHEMA):
        raise RecordError(
            f"{path}: expected a results table of version {TABLE_SCHEMA}, got {version}; "
            "write it again with 'alsweep report'"
        )
    return _to_frame(table)


def _to_frame(table: "pa.Table") -> "pd.DataFrame":
    frame: pd.DataFrame = table.to_pandas()
    return frame


def _table(run: RunFolder) -> "pa.Table":
    """The Arrow table: columns, types and order of the contract, nothing else."""
    import pyarrow as pa

    classes = _class_names(run)
    rows = [
        _row(run.name, trajectory, trajectory.config, record, classes)
        for trajectory in run.trajectories
        if trajectory.config is not None
        for record in trajectory.records
    ]
    judged = any(row["surface_dice"] is not None for row in rows)
    kinds = _kinds(classes, ("dice", "surface_dice", "hd95") if judged else ("dice",))
    types = {
        "string": pa.string(),
        "int64": pa.int64(),
        "float64": pa.float64(),
        "bool": pa.bool_(),
    }
    metadata = {"alsweep.schema": str(TABLE_SCHEMA)}
    schema = pa.schema([(name, types[kind]) for name, kind in kinds.items()], metadata=metadata)
    return pa.table({name: [row[name] for row in rows] for name in kinds}, schema=schema)


def _class_names(run: RunFolder) -> list[str]:
    """Foreground classes in the order in which the records name them."""
    return list(dict.fromkeys(n for t in run.trajectories for r in t.records for n in r.dice))


def _kinds(classes: Iterable[str], metrics: Iterable[str]) -> dict[str, str]:
    """Column name to type, in the order of the contract."""
    kinds = {}
    for name, kind in _COLUMNS.items():
        kinds[name] = kind
        if name == "mean_dice":
            kinds |= {f"{metric}_{c}": "float64" for metric in metrics for c in classes}
    return kinds


def _row(
    sweep: str,
    trajectory: TrajectoryFolder,
    config: TrajectoryConfig,
    record: LoopRecord,
    classes: Iterable[str],
) -> dict[str, Any]:
    strategy, surface = config.strategy, record.surface
    by_class = {"dice": record.dice}
    if surface is not None:
        by_class |= {"surface_dice": surface.class_surface_dice, "hd95": surface.class_hd95}
    metrics = ("dice", "surface_dice", "hd95")
    return {
        **record.model_dump(include=set(_COLUMNS)),
        "sweep": sweep,
        "trajectory": trajectory.id,
        "strategy": strategy.shown,
        "strategy_params": canonical_json(strategy.parameters),
        "seed": config.seed,
        "patch_size": config.query.patch_size_text,
        "query_size": config.query.patches,
        "members": config.training.members,
        "tta": config.inference.tta,
        "epochs": config.training.epochs,
        **{f"{m}_{name}": by_class.get(m, {}).get(name) for m in metrics for name in classes},
        "test_mean_dice": None if record.test is None else record.test.mean_dice,
        "surface_dice": None if surface is None else surface.surface_dice,
        "hd95": None if surface is None else surface.hd95,
        "status": trajectory.status,
    }
