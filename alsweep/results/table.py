"""The tidy table of a run, and the file that holds it.

All that it holds follows from the finished loops and the resolved configs.
"""

import io
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from alsweep.config.trajectory import TrajectoryConfig
from alsweep.files import write_bytes
from alsweep.layout import results_path
from alsweep.results.labels import StrategyKey
from alsweep.results.loops import LoopRecord
from alsweep.results.records import RunFolder, TrajectoryFolder, read_run
from alsweep.results.settings import joined, named_settings, phrase, told_apart

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

_AFTER_NAME = r"-p(whole|\d+x\d+x\d+)(-s\d*)?-[0-9a-f]{8}$"
"""What stands behind the strategy's name in a trajectory's id, which is cut where it is long."""

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
    # What came later stands at the end, and an older file lacks it: see completed.
    "strategy_name": "string",
    "setting_name": "string",
    "version": "string",
    "numerics": "int64",
}

_OF_PEOPLE = {
    "agreement": "float64",
    "annotation_minutes": "float64",
    "annotation_prompts": "int64",
    "annotation_corrections": "int64",
    "timed_patches": "int64",
}
"""Columns of runs that people label for, or in which nobody validates; each where it is known."""

PLUGINS = "strategy_plugins"
"""Column of runs with a strategy from a file: canonical JSON of the hashes of its files."""


PRETRAINING = {"pretraining": "string", "pretrain_seconds": "float64"}
"""Columns of runs with members that began with something learnt before."""


def collect(run: Path) -> "pd.DataFrame":
    """Return the tidy table of a run: a row for each finished loop, in the order of sweep.yaml.

    Raises:
        RunFolderError: ``run`` is no run folder.
        RecordError: A file in it is broken.
    """
    return frame(read_run(run))


def frame(run: RunFolder, names: Mapping[str, str] | None = None) -> "pd.DataFrame":
    """Return the tidy table of a run that has been read.

    Args:
        run: What its configs say of labels is what the table says.
        names: Setting to its name; those within the run if left out.
    """
    return to_frame(_table(run, named_settings([run]) if names is None else names))


def write_results(run: Path) -> Path:
    """Write RUN/results.parquet from the records, atomically; returns its path."""
    return write_table(read_run(run))


def write_table(run: RunFolder) -> Path:
    """Write the RUN/results.parquet of a run that has been read; see :func:`write_results`."""
    path = results_path(run.path)
    write_bytes(path, parquet([run]))
    return path


def parquet(runs: Sequence[RunFolder]) -> bytes:
    """The tidy table of runs as a Parquet file, which :func:`alsweep.results.load_results` reads.

    Args:
        runs: At least one; labels fit, and no trajectory is in two of them.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    names, buffer = named_settings(runs), io.BytesIO()
    tables = [_table(run, names) for run in runs]
    whole = tables[0] if len(runs) == 1 else pa.concat_tables(tables, promote_options="default")
    pq.write_table(whole, buffer, compression="zstd")
    return buffer.getvalue()


def to_frame(table: "pa.Table") -> "pd.DataFrame":
    """Return an Arrow table in pandas' types, completed where an older version wrote it."""
    found: pd.DataFrame = table.to_pandas()
    found = completed(found)
    # Floats would be made of integers with gaps.
    return found.astype({"numerics": "Int64"})


def completed(table: "pd.DataFrame") -> "pd.DataFrame":
    """Return a table with the columns that it lacks because an older version wrote it.

    The strategy's name is read from the trajectory's id, the setting's is made of what the table
    says of it; what else is not known is null.
    """
    import pandas as pd

    made = {"strategy_name": _names_from_ids, "setting_name": _names_from_columns}
    for name, kind in _COLUMNS.items():
        if name in table:
            continue
        if name in made:
            values = made[name](table)
        else:
            dtype = {"int64": "Int64", "bool": "boolean", "string": "str"}.get(kind, kind)
            values = pd.Series(pd.NA if dtype != "float64" else None, table.index, dtype=dtype)
        table = table.assign(**{name: values})
    return table


def _names_from_ids(table: "pd.DataFrame") -> "pd.Series[str]":
    return table["trajectory"].str.replace(_AFTER_NAME, "", regex=True)


def _names_from_columns(table: "pd.DataFrame") -> "pd.Series[str]":
    columns = ["setting", "dataset", "patch_size", "query_size"]
    settings = table.drop_duplicates("setting")[columns].itertuples(index=False, name=None)
    names = {
        hash_: joined(
            [
                dataset,
                phrase("query.patch_size", size.split("x")),
                phrase("query.patches", patches),
            ]
        )
        for hash_, dataset, size, patches in settings
    }
    return table["setting"].map(told_apart(names))


def _table(run: RunFolder, names: Mapping[str, str]) -> "pa.Table":
    """The Arrow table: columns, types and order of the contract, nothing else."""
    import pyarrow as pa

    classes = _class_names(run)
    rows = [
        {
            **_row(run.name, trajectory, trajectory.config, record, classes),
            "setting_name": names[record.setting],
        }
        for trajectory in run.trajectories
        if trajectory.config is not None
        for record in trajectory.records
    ]
    judged = any(row["surface_dice"] is not None for row in rows)
    kinds = _kinds(classes, ("dice", "surface_dice", "hd95") if judged else ("dice",))
    if any(row[PLUGINS] for row in rows):
        kinds[PLUGINS] = "string"
    kinds |= {
        name: kind
        for name, kind in _OF_PEOPLE.items()
        if any(row[name] is not None for row in rows)
    }
    if any(row["pretraining"] for row in rows):
        kinds |= PRETRAINING
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
    key = StrategyKey.of(strategy)
    by_class = {"dice": record.dice}
    if surface is not None:
        by_class |= {"surface_dice": surface.class_surface_dice, "hd95": surface.class_hd95}
    metrics = ("dice", "surface_dice", "hd95")
    return {
        **record.model_dump(include={*_COLUMNS, *PRETRAINING}),
        "sweep": sweep,
        "trajectory": trajectory.id,
        "strategy": strategy.shown,
        "strategy_name": key.name,
        "strategy_params": key.params,
        PLUGINS: key.plugins or None,
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
        **_of_people(record),
    }


def _of_people(record: LoopRecord) -> dict[str, float | int | None]:
    effort = record.effort
    return {
        "agreement": record.agreement,
        "annotation_minutes": None if effort is None else effort.minutes,
        "annotation_prompts": None if effort is None else effort.prompts,
        "annotation_corrections": None if effort is None else effort.corrections,
        "timed_patches": None if effort is None else effort.timed_patches,
    }
