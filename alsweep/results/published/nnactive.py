"""nnActive's result folders: one an experiment, with ``loop_XXX/summary.json`` in it."""

import logging
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from alsweep.errors import RecordError
from alsweep.files import read_json
from alsweep.results.published.analysis import number
from alsweep.results.published.table import Row

_log = logging.getLogger(__name__)

_NAME = re.compile(
    r"(?P<dataset>Dataset\d+_.+?)__(?P<setting>.+)__unc-(?P<strategy>.+?)__seed-(?P<seed>\d+)"
)
_CONFIG = "config.json"
_LOOP = re.compile(r"loop_(\d+)")


@dataclass(frozen=True)
class _Experiment:
    """One strategy in one setting with one seed; told by its config, else by its folder's name."""

    source: str
    setting: str
    strategy: str
    seed: int


def read_experiments(folder: Path) -> Iterator[Row]:
    """Read Dice after every loop of each experiment in a ``nnActive_results`` folder.

    Raises:
        RecordError: A file is not as nnActive writes it, or two experiments are the same.
    """
    seen: dict[_Experiment, Path] = {}
    for path in sorted(path for path in folder.iterdir() if path.is_dir()):
        if not any(_LOOP.fullmatch(inner.name) for inner in path.iterdir()):
            continue
        experiment = _experiment(path)
        if (other := seen.setdefault(experiment, path)) != path:
            raise RecordError(
                f"{path}: the same setting, strategy and seed as {other.name}; keep one of the two"
            )
        yield from _curve(path, experiment)


def _experiment(path: Path) -> _Experiment:
    """What an experiment is; configs of older versions lack keys that the name tells."""
    config = _read(path / _CONFIG) if (path / _CONFIG).is_file() else {}
    named = _NAME.fullmatch(path.name)
    told = {} if named is None else named.groupdict()
    suffix = str(config.get("pre_suffix") or "").removeprefix("__")
    try:
        return _Experiment(
            str(told.get("dataset") or config["dataset"]),
            str(suffix or told["setting"]),
            str(config.get("uncertainty") or told["strategy"]),
            int(config["seed"] if config.get("seed") is not None else told["seed"]),
        )
    except (KeyError, TypeError, ValueError) as error:
        raise RecordError(
            f"{path / _CONFIG}: {error.args[0]}: neither the file nor the folder's name "
            "tells it; restore config.json, or call the folder "
            "DatasetIII_NAME__SETTING__unc-STRATEGY__seed-SEED"
        ) from None


def _curve(path: Path, experiment: _Experiment) -> Iterator[Row]:
    loops = sorted(
        (int(found[1]), inner / "summary.json")
        for inner in path.iterdir()
        if (found := _LOOP.fullmatch(inner.name)) and (inner / "summary.json").is_file()
    )
    at_work = _loop_at_work(path)
    for loop, summary in loops:
        if at_work is not None and loop > at_work:
            # nnActive leaves the files of a loop that was taken back.
            _log.warning("skipped: %s: state.json is at loop %d", summary, at_work)
            continue
        yield Row(
            experiment.source,
            experiment.setting,
            experiment.strategy,
            "mean_dice",
            _dice(summary),
            seed=experiment.seed,
            loop=loop,
        )


def _loop_at_work(path: Path) -> int | None:
    """The loop that an experiment has come to; None where nothing says it."""
    state = path / "state.json"
    if not state.is_file():
        return None
    loop = _read(state).get("loop")
    return loop if isinstance(loop, int) else None


def _dice(summary: Path) -> float | None:
    """nnU-Net's mean over classes; None where it was undefined."""
    try:
        return number(_read(summary)["foreground_mean"]["Dice"])
    except (KeyError, TypeError, ValueError):
        raise RecordError(
            f"{summary}: no number at foreground_mean.Dice; restore the file, or take its loop "
            "out of the folder"
        ) from None


def _read(path: Path) -> dict[str, Any]:
    try:
        content = read_json(path)
    except (ValueError, RecursionError) as error:
        raise RecordError(f"{path}: not valid JSON ({error}); restore the file") from None
    if not isinstance(content, dict):
        raise RecordError(f"{path}: expected a JSON object; restore the file")
    return content
