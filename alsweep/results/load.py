"""Results tables of one or several runs, read and joined."""

import logging
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from alsweep.errors import RecordError
from alsweep.layout import RESULTS, results_path, space_path
from alsweep.results.labels import StrategyKey, Use, fit_labels
from alsweep.results.records import read_run
from alsweep.results.settings import named_settings, told_apart
from alsweep.results.table import PLUGINS, TABLE_SCHEMA, collect, to_frame

if TYPE_CHECKING:
    import pandas as pd


_log = logging.getLogger(__name__)

_COURSE = ("start_hash", "annotated_", "foreground_", "mean_dice", "dice_")
"""Beginnings of the columns in which copies of a loop agree unless they have diverged."""

_STRATEGY = ["strategy_name", "strategy_params", PLUGINS]


def load_results(paths: Path | str | Sequence[Path | str]) -> "pd.DataFrame":
    """Return the tidy table of one or several runs.

    Where several meet, labels are made to fit (:func:`alsweep.results.labels.fit_labels`), settings
    are named as a report on the same runs names them (those of a table without its run folder keep
    theirs, and are told apart where they share one), and whatever was not as the runs have it is a
    warning in the log.

    Args:
        paths: Run folders or parquet files. A folder without results.parquet is collected. A
            trajectory that is in several runs is taken once: from the first run in which it is
            done, else from the first.

    Raises:
        RunFolderError: A folder is no run folder.
        RecordError: A file is missing, broken, or not a table of this version.
    """
    names = [paths] if isinstance(paths, str | Path) else list(paths)
    if not names:
        raise RecordError(
            "load_results: expected at least one run folder or parquet file, got none"
        )
    tables = {str(name): _load_one(Path(name)) for name in names}
    if len(tables) == 1:
        return next(iter(tables.values()))
    tables, warnings = _labels_fitted(tables)
    table, more = each_once(tables)
    for warning in (*warnings, *more):
        _log.warning("%s", warning)
    return _settings_told_apart(table, _names_in(map(Path, names)))


def _load_one(path: Path) -> "pd.DataFrame":
    if path.is_dir():
        inner = results_path(path)
        return _read_parquet(inner) if inner.exists() else collect(path)
    return _read_parquet(path)


def _labels_fitted(
    tables: Mapping[str, "pd.DataFrame"],
) -> tuple[dict[str, "pd.DataFrame"], tuple[str, ...]]:
    """Tables whose labels fit, and the warnings on what was changed."""
    keyed = {where: _keys(table) for where, table in tables.items()}
    fitted = fit_labels(
        Use(key, label, where)
        for where, keys in keyed.items()
        for key, label in dict.fromkeys(zip(keys, tables[where]["strategy"], strict=True))
    )
    renamed = {
        where: table.assign(strategy=[fitted.of[key] for key in keyed[where]])
        for where, table in tables.items()
    }
    return renamed, fitted.warnings


def _keys(table: "pd.DataFrame") -> list[StrategyKey]:
    """The strategy of each row."""
    columns = [table[c].fillna("") if c in table else [""] * len(table) for c in _STRATEGY]
    return [StrategyKey(*values) for values in zip(*columns, strict=True)]


def each_once(
    tables: Mapping[str, "pd.DataFrame"],
) -> tuple["pd.DataFrame", tuple[str, ...]]:
    """Join tables, with each trajectory's rows from one of them: where it is done, else the first.

    Args:
        tables: Place to table, in the order in which they were named; copies of a run bear the same
            sweep's name, so that only its place tells a table apart.

    Returns:
        The table, and a warning for each two places whose copies of a trajectory differ.
    """
    import pandas as pd

    every = list(tables.values())
    table = pd.concat(every, ignore_index=True) if len(every) > 1 else every[0]
    source = np.repeat(np.arange(len(every)), [len(one) for one in every])
    order = table.assign(_source=source, _late=table["status"] != "done")
    order = order.sort_values(["_late", "_source"], kind="stable")
    chosen = order.groupby("trajectory", sort=False)["_source"].first()
    taken = source == table["trajectory"].map(chosen).to_numpy()
    kept: pd.DataFrame = table[taken]
    return kept.reset_index(drop=True), tuple(_diverged(table, source, taken, list(tables)))


def _diverged(
    table: "pd.DataFrame", source: NDArray[np.intp], taken: NDArray[np.bool_], places: list[str]
) -> Iterator[str]:
    """Name the places whose copies of a loop are not those that are taken."""
    columns = [c for c in table if str(c).startswith(_COURSE)]
    loop = ["trajectory", "loop"]
    rows = table[[*loop, *columns]].assign(_source=source)
    both = rows[~taken].merge(rows[taken], on=loop, suffixes=("", " taken"))
    alike = np.ones(len(both), dtype=bool)
    for column in columns:
        one, other = both[column], both[f"{column} taken"]
        # What is undefined in both is no difference.
        alike &= ((one == other) | (one.isna() & other.isna())).to_numpy(dtype=bool)
    unlike = both[~alike].sort_values("loop", kind="stable")
    for _, found in unlike.groupby(["_source", "_source taken"]):
        left, kept = (places[int(found[c].iloc[0])] for c in ("_source", "_source taken"))
        first = found.drop_duplicates("trajectory")
        which = f"{first['trajectory'].iloc[0]} from loop {first['loop'].iloc[0]} on"
        what = "trajectory differs" if len(first) == 1 else "trajectories differ"
        yield (
            f"warning: {len(first)} {what} between {kept} and {left} ({which}); taken is what "
            f"{kept} has: of copies, the first that is done counts"
        )


def _names_in(places: Iterable[Path]) -> dict[str, str]:
    """Settings as their configs name them where runs meet; of tables alone nothing is known."""
    folders = (place.parent if place.name == RESULTS else place for place in places)
    runs = [folder for folder in dict.fromkeys(folders) if space_path(folder).exists()]
    return named_settings(read_run(run) for run in runs)


def _settings_told_apart(table: "pd.DataFrame", known: Mapping[str, str]) -> "pd.DataFrame":
    """Settings with one name each: as known, else the first that a run has; no two the same."""
    first = table.drop_duplicates("setting")
    told = dict(zip(first["setting"], first["setting_name"], strict=True))
    names = {setting: known.get(setting, name) for setting, name in told.items()}
    return table.assign(setting_name=table["setting"].map(told_apart(names)))


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
