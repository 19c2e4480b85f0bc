"""The table of published results, and the file that holds it."""

import io
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from alsweep.errors import RecordError
from alsweep.files import write_bytes

if TYPE_CHECKING:
    import pandas as pd

Metric = Literal["mean_dice", "aubc", "final", "fg_eff", "win"]

PUBLISHED_SCHEMA = "1"
"""Version of the table, kept in the file's metadata under ``alsweep.published``."""

_MARK = b"alsweep.published"


@dataclass(frozen=True)
class Row:
    """One published value.

    Attributes:
        source: Whose: the dataset as its authors name it, or what a mapping file says.
        setting: As the source names it.
        strategy: As the source names it.
        seed: None in means over seeds.
        loop: None in values of whole curves.
        metric: What ``value`` is; ``win`` is the share of budgets at which ``strategy`` beats
            ``against`` significantly.
        against: The strategy that loses; None unless ``metric`` is ``win``.
        value: A fraction in 0..1; FG-Eff a rate. None where the source has it undefined.
        std: Standard deviation of ``value``, of FG-Eff its standard error; None where not told.
        n: Seeds that ``value`` is the mean of; None where not told.
    """

    source: str
    setting: str
    strategy: str
    metric: Metric
    value: float | None
    seed: int | None = None
    loop: int | None = None
    against: str | None = None
    std: float | None = None
    n: int | None = None


_KINDS = {
    "source": "str",
    "setting": "str",
    "strategy": "str",
    "seed": "Int64",
    "loop": "Int64",
    "metric": "str",
    "against": "str",
    "value": "float64",
    "std": "float64",
    "n": "Int64",
}
"""Columns in their order, in pandas' types."""


def to_table(rows: Iterable[Row]) -> "pd.DataFrame":
    """Return rows as a table with the columns of the contract."""
    import pandas as pd

    table = pd.DataFrame([asdict(row) for row in rows], columns=list(_KINDS))
    return table.astype(_KINDS)


def write_published(table: "pd.DataFrame", path: Path) -> Path:
    """Write a table of published results as Parquet, atomically; returns its path."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    kinds = {"str": pa.string(), "Int64": pa.int64(), "float64": pa.float64()}
    schema = pa.schema(
        [(name, kinds[kind]) for name, kind in _KINDS.items()],
        metadata={_MARK: PUBLISHED_SCHEMA.encode()},
    )
    buffer = io.BytesIO()
    pq.write_table(
        pa.Table.from_pandas(table, schema=schema, preserve_index=False).replace_schema_metadata(
            schema.metadata
        ),
        buffer,
        compression="zstd",
    )
    write_bytes(path, buffer.getvalue())
    return path


def read_published(path: Path) -> "pd.DataFrame":
    """Return what ``import-results`` wrote.

    Raises:
        RecordError: It is missing, or no such table of this version.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    mend = "write it with 'alsweep import-results'"
    try:
        table = pq.read_table(path)
    except (FileNotFoundError, IsADirectoryError):
        raise RecordError(f"{path}: no such file; {mend}") from None
    except (pa.ArrowInvalid, OSError):
        raise RecordError(f"{path}: not a Parquet file; {mend}") from None
    version = (table.schema.metadata or {}).get(_MARK, b"none").decode()
    if version != PUBLISHED_SCHEMA:
        raise RecordError(
            f"{path}: expected a table of published results of version {PUBLISHED_SCHEMA}, got "
            f"{version}; {mend}"
        )
    found: pd.DataFrame = table.to_pandas()
    return found.astype(_KINDS)
