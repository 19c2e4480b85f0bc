"""The queries of another trajectory, read for the strategy that replays them."""

from collections.abc import Sequence
from pathlib import Path

from alsweep.config.trajectory import TrajectoryConfig
from alsweep.errors import AlsweepError, StrategyError
from alsweep.geometry import Patch
from alsweep.query.base import Choice
from alsweep.results.loops import query_path, read_query
from alsweep.results.records import read_config
from alsweep.trajectory.query_log import QueryLog

_SHARED = ("patch_size_text", "patches", "overlap")


def check_source(config: TrajectoryConfig, source: Path) -> None:
    """Refuse a trajectory whose queries cannot be another one's.

    Raises:
        StrategyError: The folder is no trajectory's, has fewer loops, or another patch size, query
            size, starting budget or overlap.
    """
    try:
        theirs = read_config(source)
    except AlsweepError as error:
        raise StrategyError(f"source: {error}") from error
    pairs = {key: (getattr(theirs.query, key), getattr(config.query, key)) for key in _SHARED}
    pairs["starting patches"] = (theirs.starting_patches, config.starting_patches)
    for key, (found, wanted) in pairs.items():
        if found != wanted:
            name = "patch_size" if key == "patch_size_text" else key
            raise StrategyError(
                f"source: {source} was made with {name} {found}, but here it is {wanted}; "
                f"replay a trajectory of the same setting"
            )
    if theirs.query.loops < config.query.loops:
        raise StrategyError(
            f"source: {source} has {theirs.query.loops} loops, but here they are "
            f"{config.query.loops}; lower query.loops"
        )


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
            f"dataset, seed and start, and replays every query from the first"
        )
    queried = read_query(query_path(folder, loop + 1))
    return [Choice(one.patch, one.score) for one in queried]
