"""The queries of another trajectory, or of all of a run, for the strategy that replays them."""

from collections.abc import Callable, Collection, Mapping, Sequence
from functools import lru_cache
from pathlib import Path

from alsweep.config.trajectory import TrajectoryConfig
from alsweep.data.case import Dataset
from alsweep.errors import AlsweepError, StrategyError
from alsweep.geometry import Patch, QueriedPatch
from alsweep.layout import config_path, query_path, space_path, trajectories_folder
from alsweep.query.presets.replay import check_source, check_start_source
from alsweep.results.loops import read_query
from alsweep.results.records import read_config, read_run
from alsweep.storage.place import spelled
from alsweep.storage.rooms import known_as, near, refresh, told_of
from alsweep.trajectory.query_log import QueryLog


def source_config(source: str) -> TrajectoryConfig:
    """Config of the trajectory in the folder ``source``.

    Raises:
        StrategyError: The folder is no trajectory's.
    """
    try:
        return read_config(near(source))
    except AlsweepError as error:
        raise StrategyError(f"source: {told_of(source, str(error))}") from error


def find_source(run: Path, strategy: str, config: TrajectoryConfig, *, start: bool = False) -> Path:
    """Folder of the trajectory of a run that a trajectory of the same seed replays.

    Where a run over several datasets has several that would do, it is the one on the same dataset.

    Args:
        run: A run folder.
        strategy: Label of its strategy there; any, if it is empty.
        config: Of the trajectory that replays.
        start: Whether the starting patches alone are replayed, which strategies mostly share.

    Raises:
        StrategyError: There is none that would do, or there are several that differ.
    """
    of_seed = {f: c for f, c in begun_in(run).items() if c.seed == config.seed}
    found = {f: c for f, c in of_seed.items() if strategy in ("", c.strategy.shown)}
    if not found:
        raise StrategyError(_nothing_there(run, strategy, config.seed, of_seed.values()))
    check = check_start_source if start else check_source
    refusals = {f: _refusal(check, known_as(f), theirs, config) for f, theirs in found.items()}
    fit = [folder for folder, refused in refusals.items() if refused is None]
    if not fit:
        raise next(refused for refused in refusals.values() if refused is not None)
    fit = [folder for folder in fit if found[folder].dataset == config.dataset] or fit
    if len(fit) > 1 and not (start and _begin_alike(fit)):
        names = ", ".join(folder.name for folder in fit[:3])
        raise StrategyError(
            f"run: {spelled(run)} has {len(fit)} trajectories of seed {config.seed} that could be "
            f"replayed ({names}{', ...' if len(fit) > 3 else ''}); say which by strategy, or name "
            "one as source"
        )
    return fit[0]


def begun_in(run: Path) -> Mapping[Path, TrajectoryConfig]:
    """Folder and config of each trajectory of a run that has begun, in the order of the run.

    Raises:
        StrategyError: The folder is no run's.
    """
    try:
        here = near(run)
        folder = trajectories_folder(here)
        return _begun_in(here, folder.stat().st_mtime_ns if folder.exists() else 0)
    except AlsweepError as error:
        raise StrategyError(f"run: {told_of(run, str(error))}") from error


@lru_cache(maxsize=4)
def _begun_in(run: Path, changed: int) -> Mapping[Path, TrajectoryConfig]:
    """Read once for all trajectories that replay it, until there are others in it."""
    return {t.folder: t.config for t in read_run(run).trajectories if t.config is not None}


def _nothing_there(
    run: Path, strategy: str, seed: int, of_seed: Collection[TrajectoryConfig]
) -> str:
    if of_seed:
        labels = ", ".join(dict.fromkeys(config.strategy.shown for config in of_seed))
        return f"run: {spelled(run)} has no strategy '{strategy}' with seed {seed}; it has {labels}"
    seeds = sorted({config.seed for config in begun_in(run).values()})
    there = ", ".join(map(str, seeds)) or "none"
    return f"run: {spelled(run)} has no trajectory with seed {seed} to replay; seeds there: {there}"


def _refusal(
    check: Callable[[object, TrajectoryConfig, TrajectoryConfig], None],
    folder: str,
    theirs: TrajectoryConfig,
    config: TrajectoryConfig,
) -> StrategyError | None:
    try:
        check(folder, theirs, config)
    except StrategyError as error:
        return error
    return None


def _begin_alike(folders: Sequence[Path]) -> bool:
    starts = [sorted(q.patch for q in read_query(query_path(f, 0))) for f in folders]
    return all(start == starts[0] for start in starts)


def _located(source: str, strategy: str, config: TrajectoryConfig, *, start: bool = False) -> Path:
    folder = near(source)
    if config_path(folder).exists() or not space_path(folder).exists():
        return folder
    found = find_source(folder, strategy, config, start=start)
    refresh(folder, found.relative_to(folder).as_posix())
    return found


def replayed_start(
    config: TrajectoryConfig, dataset: Dataset, source: str, strategy: str = ""
) -> list[QueriedPatch]:
    """The starting patches of the trajectory in the folder ``source``, or of one in a run's.

    Raises:
        StrategyError: It is of another setting, or its patches are not of this dataset.
        RecordError: It has none.
    """
    folder = _located(source, strategy, config, start=True)
    check_start_source(known_as(folder), source_config(str(folder)), config)
    queried = read_query(query_path(folder, 0))
    for patch in (one.patch for one in queried):
        if patch.case not in dataset.pool or not patch.inside(dataset.cases[patch.case].shape):
            raise StrategyError(
                f"source: {source} was made on another dataset: {patch} is not in the pool of this "
                "one; replay it on its own"
            )
    return queried


def replayed(
    config: TrajectoryConfig, taken: Sequence[Patch], loop: int, source: str, strategy: str = ""
) -> list[QueriedPatch]:
    """What another trajectory queried in ``loop``, with its scores.

    Args:
        config: Of the trajectory that replays.
        taken: Its patches so far.
        loop: Whose networks would have been asked.
        source: RUN/trajectories/ID; or RUN, for the one with the seed of ``config``.
        strategy: Its label, in a run.

    Raises:
        StrategyError: It is of another setting, or was annotated differently before this loop.
        RecordError: It has not got so far.
    """
    folder = _located(source, strategy, config)
    check_source(known_as(folder), source_config(str(folder)), config)
    if sorted(QueryLog(folder).patches(loop)) != sorted(taken):
        known = known_as(folder)
        raise StrategyError(
            f"source: {known} had other patches annotated at loop {loop}; a replay needs the same "
            f"dataset and start, and replays every query from the first; starting_budget: "
            f"{{strategy: {{name: replay, source: {known}}}}} begins with its patches"
        )
    return read_query(query_path(folder, loop + 1))
