"""The queries of another trajectory, read for the strategy that replays them."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from alsweep.config.trajectory import TrajectoryConfig
from alsweep.data.case import Dataset
from alsweep.errors import AlsweepError, StrategyError
from alsweep.geometry import Patch
from alsweep.layout import query_path
from alsweep.query.base import Choice
from alsweep.results.loops import read_query
from alsweep.results.records import read_config
from alsweep.trajectory.query_log import QueryLog

_SHARED = ("patch_size_text", "patches", "overlap")


def check_source(config: TrajectoryConfig, source: Path) -> None:
    """Refuse a trajectory whose queries cannot be another one's.

    Raises:
        StrategyError: The folder is no trajectory's, has fewer loops, or another patch size, query
            size, starting budget or overlap.
    """
    theirs = _config(source)
    _refuse_other(source, _setting(theirs, _SHARED), _setting(config, _SHARED))
    if theirs.query.loops < config.query.loops:
        raise StrategyError(
            f"source: {source} has {theirs.query.loops} loops, but here they are "
            f"{config.query.loops}; lower query.loops"
        )


def check_start_source(config: TrajectoryConfig, source: Path) -> None:
    """Refuse a trajectory whose starting patches cannot be another one's.

    Raises:
        StrategyError: The folder is no trajectory's, or has another patch size or starting budget.
    """
    shared = ("patch_size_text",)
    _refuse_other(source, _setting(_config(source), shared), _setting(config, shared))


def _config(source: Path) -> TrajectoryConfig:
    try:
        return read_config(source)
    except AlsweepError as error:
        raise StrategyError(f"source: {error}") from error


def _setting(config: TrajectoryConfig, keys: Sequence[str]) -> dict[str, Any]:
    """What must be equal, by the name that users know it by."""
    names = {"patch_size_text": "patch_size"}
    values = {names.get(key, key): getattr(config.query, key) for key in keys}
    return {**values, "starting patches": config.starting_patches}


def _refuse_other(source: Path, found: Mapping[str, Any], wanted: Mapping[str, Any]) -> None:
    for key, value in found.items():
        if value != wanted[key]:
            raise StrategyError(
                f"source: {source} was made with {key} {value}, but here it is {wanted[key]}; "
                f"replay a trajectory of the same setting"
            )


def replayed_start(config: TrajectoryConfig, dataset: Dataset, source: str) -> list[Choice]:
    """The starting patches of the trajectory in the folder ``source``.

    Raises:
        StrategyError: It is of another setting, or its patches are not of this dataset.
        RecordError: It has none.
    """
    folder = Path(source)
    check_start_source(config, folder)
    queried = read_query(query_path(folder, 0))
    for patch in (one.patch for one in queried):
        if patch.case not in dataset.pool or not patch.inside(dataset.cases[patch.case].shape):
            raise StrategyError(
                f"source: {source} was made on another dataset: {patch} is not in the pool of this "
                "one; replay it on its own"
            )
    return [Choice(one.patch, one.score) for one in queried]


def replayed(
    config: TrajectoryConfig, taken: Sequence[Patch], loop: int, source: str
) -> list[Choice]:
    """What the trajectory in the folder ``source`` queried in ``loop``, with its scores.

    Args:
        config: Of the trajectory that replays.
        taken: Its patches so far.
        loop: Whose networks would have been asked.
        source: RUN/trajectories/ID.

    Raises:
        StrategyError: It is of another setting, or was annotated differently before this loop.
        RecordError: It has not got so far.
    """
    folder = Path(source)
    check_source(config, folder)
    if sorted(QueryLog(folder).patches(loop)) != sorted(taken):
        raise StrategyError(
            f"source: {source} had other patches annotated at loop {loop}; a replay needs the same "
            f"dataset and start, and replays every query from the first; starting_budget: "
            f"{{strategy: {{name: replay, source: {source}}}}} begins with its patches"
        )
    queried = read_query(query_path(folder, loop + 1))
    return [Choice(one.patch, one.score) for one in queried]
