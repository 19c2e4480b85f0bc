"""Replay: the queries that another trajectory made."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar

from alsweep.config.trajectory import TrajectoryConfig
from alsweep.errors import StrategyError
from alsweep.geometry import QueriedPatch
from alsweep.query.base import Facts, Pool, Request, Strategy, Streams, strategy
from alsweep.query.parameters import text
from alsweep.storage.place import resolved


@strategy("replay", aliases=("precomputed-queries",))
@dataclass(frozen=True)
class Replay(Strategy):
    """The query that another trajectory made in the same loop, to train on it differently.

    Dataset, starting patches, patch size, query size and overlap must be the same. It needs no
    labels by itself; what it replays may have been chosen with them. Of a run it takes the
    trajectory with its own seed, so that a study over seeds is replayed as one.

    Source: Luth et al. 2025 (nnActive, TMLR), precomputed queries.
    """

    needs: ClassVar[tuple[str, ...]] = ()
    reads_loops: ClassVar[bool] = False

    source: str = text(help="trajectory folder, RUN/trajectories/ID")
    run: str = text(help="run folder, in place of a source: the trajectory of the same seed in it")
    strategy: str = text(help="label of that trajectory's strategy; in a grid, all if left out")

    def __post_init__(self) -> None:
        """Refuse what names no trajectory, or two."""
        if bool(self.source) == bool(self.run):
            told = "is missing" if not self.run else "and 'run' exclude each other"
            raise StrategyError(
                f"strategy 'replay': parameter 'source' {told}: trajectory folder, "
                "RUN/trajectories/ID; or write run, a run folder"
            )
        if self.strategy and not self.run:
            raise StrategyError("strategy 'replay': parameter 'strategy' is of a run; write run")

    @property
    def told(self) -> str:
        """The strategy that it replays, where it is one of a run."""
        return self.strategy or super().told

    def query(self, pool: Pool, request: Request, rng: Streams) -> list[QueriedPatch]:
        """The other trajectory's choices, with its scores."""
        return list(pool.replayed(self.run or self.source, self.strategy))[: request.patches]

    def resolved(self) -> "Replay":
        """With the absolute path, or the URL: a worker's working directory is not the user's."""
        if self.run:
            return replace(self, run=resolved(self.run))
        return replace(self, source=resolved(self.source))

    def check(self, config: TrajectoryConfig, dataset: Facts) -> None:
        """The source must have queried as this trajectory would; see :func:`check_source`."""
        source = self.source or dataset.source_in(self.run, self.strategy, config)
        check_source(source, dataset.trajectory(source), config)

    def check_start(self, config: TrajectoryConfig, dataset: Facts) -> None:
        """The source must have begun as this trajectory would."""
        if config.starting_budget.whole_cases:
            raise StrategyError(
                "a replayed start brings its own whole cases; leave starting_budget.whole_cases "
                f"out and write patches: {config.starting_patches}"
            )
        source = self.source or dataset.source_in(self.run, self.strategy, config, start=True)
        check_start_source(source, dataset.trajectory(source), config)


def check_source(source: object, theirs: TrajectoryConfig, config: TrajectoryConfig) -> None:
    """Refuse a trajectory whose queries cannot be another one's.

    Args:
        source: Its folder, for the message.
        theirs: Its config.
        config: Of the trajectory that replays.

    Raises:
        StrategyError: It has fewer loops, or another patch size, query size, starting budget or
            overlap.
    """
    _refuse_other(source, theirs, config, ("patch_size_text", "patches", "overlap"))
    if theirs.query.loops < config.query.loops:
        raise StrategyError(
            f"source: {source} has {theirs.query.loops} loops, but here they are "
            f"{config.query.loops}; lower query.loops"
        )


def check_start_source(source: object, theirs: TrajectoryConfig, config: TrajectoryConfig) -> None:
    """Refuse a trajectory whose starting patches cannot be another one's.

    Raises:
        StrategyError: It has another patch size or starting budget.
    """
    _refuse_other(source, theirs, config, ("patch_size_text",))


def _refuse_other(
    source: object, theirs: TrajectoryConfig, config: TrajectoryConfig, keys: Sequence[str]
) -> None:
    found, wanted = _setting(theirs, keys), _setting(config, keys)
    for key, value in found.items():
        if value != wanted[key]:
            raise StrategyError(
                f"source: {source} was made with {key} {value}, but here it is {wanted[key]}; "
                f"replay a trajectory of the same setting"
            )


def _setting(config: TrajectoryConfig, keys: Sequence[str]) -> dict[str, Any]:
    """What must be equal, by the name that users know it by."""
    names = {"patch_size_text": "patch_size"}
    values = {names.get(key, key): getattr(config.query, key) for key in keys}
    return {**values, "starting patches": config.starting_patches}
