"""The tables that nnActive's authors publish: ``analysis/<setting>/{auc,beta,ppm}.json``.

Beside them lies a pickle, which is never read: to read one is to run it.
"""

import logging
import math
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from alsweep.errors import RecordError
from alsweep.files import read_json
from alsweep.results.published.table import Metric, Row

_log = logging.getLogger(__name__)

_COLUMN = re.compile(r"\(\s*(['\"])(?P<metric>.*)\1\s*,\s*(['\"])(?P<how>mean|std|count)\3\s*\)")
"""A pair that was made a key by being written as Python writes it."""

_OF_CURVES: Mapping[str, Metric] = {"Mean Dice AUBC": "aubc", "Mean Dice Final": "final"}
"""Classes have such columns too, which the table has no place for."""


def read_analysis(folder: Path) -> Iterator[Row]:
    """Read all settings of an ``analysis`` folder; the folder above is named after the dataset.

    Raises:
        RecordError: A file is not as nnActive writes it.
    """
    source = folder.resolve().parent.name
    for setting in sorted(path for path in folder.iterdir() if path.is_dir()):
        for name, read in (("auc.json", _auc), ("beta.json", _beta), ("ppm.json", _wins)):
            if (path := setting / name).is_file():
                yield from _told(path, read, source, setting.name)


def _told(path: Path, read: Any, source: str, setting: str) -> Iterator[Row]:
    """The rows of a file; every way to fail becomes one line that names it."""
    try:
        yield from read(path, read_json(path), source, setting)
    except (AttributeError, KeyError, TypeError, ValueError, RecursionError) as error:
        raise RecordError(
            f"{path}: not as nnActive writes it ({type(error).__name__}: {error}); "
            "download it again, or take it out of the folder"
        ) from None


def _auc(path: Path, content: Any, source: str, setting: str) -> Iterator[Row]:
    """Area and last value of each strategy: mean, deviation (ddof 1) and number of seeds."""
    columns: dict[tuple[str, str], Mapping[str, Any]] = {}
    for key, values in content.items():
        if (found := _COLUMN.fullmatch(key)) is not None:
            columns[found["metric"], found["how"]] = values
    if not any(metric in _OF_CURVES for metric, _ in columns):
        raise ValueError("no column 'Mean Dice AUBC' or 'Mean Dice Final'")
    for name, metric in _OF_CURVES.items():
        std, counts = columns.get((name, "std"), {}), columns.get((name, "count"), {})
        for strategy, mean in columns.get((name, "mean"), {}).items():
            seeds = number(counts.get(strategy))
            yield Row(
                source,
                setting,
                strategy,
                metric,
                number(mean),
                std=number(std.get(strategy)),
                n=None if seeds is None else int(seeds),
            )


def _beta(path: Path, content: Any, source: str, setting: str) -> Iterator[Row]:
    """Foreground efficiency; what nnActive calls ``beta_std`` is a variance."""
    variances = content.get("beta_std", {})
    for key, strategy in content["Query Method"].items():
        variance = number(variances.get(key))
        std = None if variance is None or variance < 0 else math.sqrt(variance)
        yield Row(source, setting, strategy, "fg_eff", number(content["beta"][key]), std=std)


def _wins(path: Path, content: Any, source: str, setting: str) -> Iterator[Row]:
    """Who beats whom: ``matrix[a][b]`` grows when a is significantly *worse* than b."""
    most = float(content["max_pos_ent"])
    if not most > 0:
        raise ValueError(f"max_pos_ent is {most:g}")
    rows = [
        Row(source, setting, winner, "win", lost / most, against=loser)
        for loser, entries in content["matrix"].items()
        for winner, value in entries.items()
        if winner != loser and (lost := number(value)) is not None
    ]
    if any(row.value is not None and row.value > 1 for row in rows):
        _log.warning(
            "warning: %s: wins at loop 0 are in the shares, which are over the other loops, so "
            "that some are above 1; they are taken as they are",
            path,
        )
    yield from rows


def number(value: Any) -> float | None:
    """A finite number as it is; None for what JSON, or a table, has in place of one."""
    if value is None:
        return None
    found = float(value)
    return found if math.isfinite(found) else None
