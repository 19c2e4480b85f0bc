"""The queries of another trajectory, read for the strategy that replays them."""

from collections.abc import Sequence
from pathlib import Path

from alsweep.config.trajectory import TrajectoryConfig
from alsweep.data.case import Dataset
from alsweep.errors import AlsweepError, StrategyError
from alsweep.geometry import Patch, QueriedPatch
from alsweep.layout import query_path
from alsweep.query.presets.replay import check_source, check_start_source
from alsweep.results.loops import read_query
from alsweep.results.records import read_config
from alsweep.trajectory.query_log import QueryLog


def source_config(source: str) -> TrajectoryConfig:
    """Config of the trajectory in the folder ``source``.

    Raises:
        StrategyError: The folder is no trajectory's.
    """
    try:
        return read_config(Path(source))
    except AlsweepError as error:
        raise StrategyError(f"source: {error}") from error


def replayed_start(config: TrajectoryConfig, dataset: Dataset, source: str) -> list[QueriedPatch]:
    """The starting patches of the trajectory in the folder ``source``.

    Raises:
        StrategyError: It is of another setting, or its patches are not of this dataset.
        RecordError: It has none.
    """
    folder = Path(source)
    check_start_source(source, source_config(source), config)
    queried = read_query(query_path(folder, 0))
    for patch in (one.patch for one in queried):
        if patch.case not in dataset.pool or not patch.inside(dataset.cases[patch.case].shape):
            raise StrategyError(
                f"source: {source} was made on another dataset: {patch} is not in the pool of this "
                "one; replay it on its own"
            )
    return queried


def replayed(
    config: TrajectoryConfig, taken: Sequence[Patch], loop: int, source: str
) -> list[QueriedPatch]:
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
    check_source(source, source_config(source), config)
    if sorted(QueryLog(folder).patches(loop)) != sorted(taken):
        raise StrategyError(
            f"source: {source} had other patches annotated at loop {loop}; a replay needs the same "
            f"dataset and start, and replays every query from the first; starting_budget: "
            f"{{strategy: {{name: replay, source: {source}}}}} begins with its patches"
        )
    return read_query(query_path(folder, loop + 1))
