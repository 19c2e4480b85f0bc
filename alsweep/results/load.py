"""Results tables of one or several runs, read and joined."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from alsweep.errors import RecordError
from alsweep.layout import RESULTS, results_path
from alsweep.results.table import TABLE_SCHEMA, collect, to_frame

if TYPE_CHECKING:
    import pandas as pd


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
    return to_frame(table)
