"""Which of a folder's files hold results, and who reads them."""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from alsweep.errors import RecordError
from alsweep.results.published.analysis import read_analysis
from alsweep.results.published.nnactive import read_experiments
from alsweep.results.published.table import Row, to_table
from alsweep.results.published.wide import read_mapping, read_wide

if TYPE_CHECKING:
    import pandas as pd

_ANALYSIS, _EXPERIMENTS = "analysis", "nnActive_results"


def import_results(place: Path, mapping: Path | None = None) -> "pd.DataFrame":
    """Read other people's results.

    Args:
        place: A folder that holds ``analysis/``, ``nnActive_results/`` or both; with a mapping a
            CSV file, or a folder of CSV files that are alike.
        mapping: A YAML file that says what the columns of a CSV are.

    Returns:
        The table of published results; see :class:`alsweep.results.published.table.Row`.

    Raises:
        RecordError: There is nothing to read, or a file is broken; names it.
        ConfigError: The mapping is wrong.
    """
    rows = _read_folder(place) if mapping is None else _read_csvs(place, mapping)
    table = to_table(rows)
    if table.empty:
        raise RecordError(f"{place}: holds no finished results; nothing is written")
    return table


def _read_folder(place: Path) -> Iterator[Row]:
    if place.suffix.lower() == ".csv":
        raise RecordError(f"{place}: what its columns are is not known; add --mapping FILE")
    if not place.is_dir():
        raise RecordError(f"{place}: no such folder; name the one that holds '{_ANALYSIS}'")
    parts = [*_parts(place)] or [p for one in sorted(place.iterdir()) for p in _parts(one)]
    if not parts:
        raise RecordError(
            f"{place}: holds neither '{_ANALYSIS}' nor '{_EXPERIMENTS}'; name the folder of a "
            "dataset as its authors publish it, or a CSV file with --mapping"
        )
    for part in parts:
        yield from (read_analysis if part.resolve().name == _ANALYSIS else read_experiments)(part)


def _parts(place: Path) -> Iterator[Path]:
    """The folders with results in a place, which may be such a folder itself."""
    names = (_ANALYSIS, _EXPERIMENTS)
    if place.resolve().name in names and place.is_dir():
        yield place
        return
    yield from (place / name for name in names if (place / name).is_dir())


def _read_csvs(place: Path, mapping: Path) -> Iterator[Row]:
    meant = read_mapping(mapping)
    files = [place] if place.is_file() else sorted(place.glob("*.csv"))
    if not files:
        raise RecordError(f"{place}: no CSV file; name one, or a folder that holds some")
    for file in files:
        yield from read_wide(file, meant, mapping)
