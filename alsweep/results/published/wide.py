"""CSV files with one row a strategy (or trajectory), and the YAML file that explains them."""

import csv
from collections.abc import Iterator, Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from pydantic import Field
from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from alsweep.config.base import Frozen
from alsweep.config.validation import validated
from alsweep.errors import ConfigError, RecordError
from alsweep.results.published.analysis import number
from alsweep.results.published.table import Metric, Row

_UNDEFINED = {"", "-", "\u2013", "\u2014", "nan", "n/a", "na", "none", "null"}


class Column(Frozen):
    """What a column of numbers is; ``std`` and ``n`` name columns, ``n`` may be a number."""

    metric: Metric
    loop: int | None = Field(None, ge=0)
    against: str | None = None
    std: str | None = None
    n: str | int | None = None


class Named(Frozen):
    """A column whose cells are meant."""

    column: str


class Mapped(Frozen):
    """A mapping file: a text is meant as it is, ``{column: NAME}`` is the cell of each row."""

    source: str | Named
    setting: str | Named
    strategy: Named
    seed: Named | None = None
    names: dict[str, str] = Field({}, description="strategies as the file has them to other names")
    scale: float = Field(1.0, gt=0, description="of Dice and wins: 0.01 where the file has percent")
    delimiter: str = ","
    decimal: str = "."
    columns: dict[str, Column] = Field(min_length=1)


def read_mapping(path: Path) -> Mapped:
    """Read a mapping file.

    Raises:
        ConfigError: It is missing, no YAML mapping, or a key is wrong.
    """
    try:
        with path.open(encoding="utf-8") as file:
            raw = YAML(typ="safe", pure=True).load(file)
    except FileNotFoundError:
        raise ConfigError(f"--mapping {path}: no such file") from None
    except (YAMLError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: not valid YAML ({' '.join(str(error).split())})") from None
    if not isinstance(raw, dict):
        raise ConfigError(f"{path}: expected keys and values, as docs/other-results.md shows")
    try:
        return validated(Mapped, raw, {})
    except ConfigError as error:
        raise ConfigError(f"{path}: {error}") from None


def read_wide(path: Path, mapped: Mapped, mapping: Path) -> Iterator[Row]:
    """Read one CSV file.

    Args:
        path: With a line of headings.
        mapped: What its columns are.
        mapping: Where that was read, for messages.

    Raises:
        RecordError: The file is missing, or a cell is no number.
        ConfigError: The mapping names a column that is not there.
    """
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            lines = csv.DictReader(file, delimiter=mapped.delimiter)
            _refuse_unknown(path, mapped, mapping, list(lines.fieldnames or ()))
            for place, line in enumerate(lines, start=2):
                yield from _rows(line, mapped, f"{path}, line {place}")
    except (UnicodeDecodeError, csv.Error) as error:
        raise RecordError(f"{path}: no CSV file in UTF-8 ({error}); save it as one") from None


def _refuse_unknown(path: Path, mapped: Mapped, mapping: Path, headings: list[str]) -> None:
    ones = (mapped.source, mapped.setting, mapped.strategy, mapped.seed)
    named = [one.column for one in ones if isinstance(one, Named)]
    for name, column in mapped.columns.items():
        named += [name, *(c for c in (column.std, column.n) if isinstance(c, str))]
    for name in named:
        if name not in headings:
            near = get_close_matches(name, headings, n=1, cutoff=0.3)
            hint = f"did you mean '{near[0]}'?" if near else f"it has {', '.join(headings)}"
            raise ConfigError(f"{mapping}: {path} has no column '{name}'; {hint}")


def _rows(line: Mapping[str, Any], mapped: Mapped, place: str) -> Iterator[Row]:
    strategy = _text(mapped.strategy, line)
    seed = None if mapped.seed is None else _value(line, mapped.seed.column, mapped, place)
    for name, column in mapped.columns.items():
        value = _value(line, name, mapped, place)
        if value is None:
            continue
        # FG-Eff is a rate, and no share of anything.
        scale = 1.0 if column.metric == "fg_eff" else mapped.scale
        std = None if column.std is None else _value(line, column.std, mapped, place)
        n = _value(line, column.n, mapped, place) if isinstance(column.n, str) else column.n
        yield Row(
            _text(mapped.source, line),
            _text(mapped.setting, line),
            mapped.names.get(strategy, strategy),
            column.metric,
            value * scale,
            seed=None if seed is None else int(seed),
            loop=column.loop,
            against=column.against,
            std=None if std is None else std * scale,
            n=None if n is None else int(n),
        )


def _text(meant: str | Named, line: Mapping[str, Any]) -> str:
    return meant if isinstance(meant, str) else str(line[meant.column] or "").strip()


def _value(line: Mapping[str, Any], name: str, mapped: Mapped, place: str) -> float | None:
    cell = str(line[name] or "").strip()
    if cell.lower() in _UNDEFINED:
        return None
    try:
        return number(cell.replace(mapped.decimal, ".").rstrip("%").strip())
    except ValueError:
        raise RecordError(
            f"{place}: column '{name}': expected a number, got '{cell}'; mend the cell, or name "
            "the sign of its decimals in the mapping (decimal: ',')"
        ) from None
