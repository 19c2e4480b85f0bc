"""How far a run is, read from its folder alone: also from another terminal, also after a crash."""

import gc
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal, get_args

from alsweep.config.expansion import Cell
from alsweep.config.provenance import Provenance
from alsweep.config.sweep import SweepConfig
from alsweep.config.trajectory import TrajectoryConfig
from alsweep.errors import ConfigError, RunFolderError, StrategyError
from alsweep.layout import config_path, space_path, starts_folder, trajectory_folder
from alsweep.results.begun import begun_as
from alsweep.results.decisions import Decision, decided
from alsweep.results.mishaps import Counts, counts_by_name, read_mishaps
from alsweep.results.records import RunFolder, TrajectoryFolder, read_config, read_run
from alsweep.results.settings import setting_names, settings_of
from alsweep.storage.rooms import known_as
from alsweep.sweep.caps import metered
from alsweep.sweep.heartbeat import SignOfLife, read_sign_of_life, silent_seconds
from alsweep.sweep.run_folder import (
    active_driver,
    provenance_of,
    stored_sweep,
)
from alsweep.sweep.search_status import SearchStatus, read_search

State = Literal["done", "running", "failed", "truncated", "waiting"]

_GOING: tuple[State, ...] = ("running", "waiting")

_SILENCE = 600.0
"""Seconds; a worker that has been silent for longer is not counted as running."""


@dataclass(frozen=True)
class TrajectoryStatus:
    """One trajectory: how far it is.

    Attributes:
        id: Its folder's name.
        strategy: Label.
        setting_name: Of its setting, for people.
        seed: Of the trajectory.
        state: ``waiting`` has loops to do and no worker; ``truncated`` was stopped before its last.
        loops_done: Finished loops.
        loops: Of the trajectory.
        phase: What a worker does in the loop at hand; None without a worker.
        phase_done: Steps of the phase that are done.
        phase_total: Steps of the phase.
        mean_dice: Of the last finished loop.
        error: Why it failed.
        seconds_left: Of work on it, where it is not done and its loops' pace is known: from its own
            loops, else from all.
        lost: How often its worker, its machine or the store was lost.
        errors: How often an error was raised that is none of alsweep's own.
    """

    id: str
    strategy: str
    setting_name: str
    seed: int
    state: State
    loops_done: int
    loops: int
    phase: str | None
    phase_done: int
    phase_total: int
    mean_dice: float | None
    error: str | None
    seconds_left: float | None = None
    lost: int = 0
    errors: int = 0


@dataclass(frozen=True)
class CapStatus:
    """A cap of a sweep that its folder can tell of.

    Attributes:
        name: As ``gpu_hours``.
        used: So far.
        bound: At which it ends.
    """

    name: str
    used: float
    bound: float


@dataclass(frozen=True)
class RunStatus:
    """A run: who works in it and how far it is.

    Attributes:
        run: The folder.
        name: Of the sweep.
        driver: Who is at work, or None.
        starts: Shared starts that are being prepared; trajectories wait for theirs.
        trajectories: In the order of sweep.yaml; then what was added.
        seconds_left: Estimate; None where nothing can be said.
        decisions: What was decided while it ran, in order; configs are left out.
        caps: What is used of each; ``hours`` only the driver knows.
        search: How far its search is; None where nothing is searched.
        time: When this was.
        lost: How often a worker, its machine or the store was lost, also while it made what several
            share.
        errors: How often an error was raised that is none of alsweep's own.
    """

    run: str
    name: str
    driver: str | None
    starts: int
    trajectories: tuple[TrajectoryStatus, ...]
    seconds_left: float | None
    decisions: tuple[dict[str, Any], ...] = ()
    caps: tuple[CapStatus, ...] = ()
    search: SearchStatus | None = None
    time: str = ""
    lost: int = 0
    errors: int = 0

    @property
    def over(self) -> bool:
        """Whether nothing runs or waits any more, and nothing is suggested."""
        made = not self.counts["running"] + self.counts["waiting"]
        return made and (self.search is None or self.search.over)

    @property
    def capped(self) -> str | None:
        """The cap that keeps the run from going on."""
        reached = (f"caps.{cap.name}" for cap in self.caps if cap.used >= cap.bound)
        return None if self.over else next(reached, None)

    @property
    def counts(self) -> dict[State, int]:
        """Trajectories in each state."""
        counted = Counter(trajectory.state for trajectory in self.trajectories)
        states: tuple[State, ...] = get_args(State)
        return {state: counted[state] for state in states}

    def plain(self) -> dict[str, Any]:
        """As JSON values."""
        return {**asdict(self), "counts": self.counts}


def read_status(run: Path) -> RunStatus:
    """Read how far a run is.

    Raises:
        RunFolderError: ``run`` is no run folder, or its sweep.yaml was edited by hand.
        RecordError: A file in it is broken.
    """
    with _all_kept():
        return _read_status(run)


@contextmanager
def _all_kept() -> Iterator[None]:
    """Keep the collector from walking again and again over thousands of values that all stay."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()


def _read_status(run: Path) -> RunStatus:
    sweep = stored_sweep(run)
    driver = active_driver(run)
    own = _planned(run, sweep)
    # What was added is in no search space: nobody has looked yet whether it has its id.
    found = read_run(run, begun_as(sweep, provenance_of(run, sweep)), own)
    configs = {**decided(found.decisions).added, **own}
    folders = found.trajectories
    names = _setting_names(found, configs)
    pace = _pace(folders)
    mishaps = read_mishaps(run)
    each = counts_by_name(mishaps)
    trajectories = tuple(
        replace(
            _status(folder, configs[folder.id], names[folder.id], driver is not None, pace),
            **asdict(each.get(folder.id, Counts())),
        )
        for folder in folders
    )
    search = read_search(run, sweep)
    return RunStatus(
        run=known_as(run),
        name=sweep.name,
        driver=driver,
        starts=0 if driver is None else _starts(run),
        trajectories=trajectories,
        seconds_left=_seconds_left(pace, trajectories, search),
        decisions=tuple(_plain(one) for one in found.decisions),
        caps=_caps(run, sweep, folders),
        search=search,
        time=datetime.now(UTC).isoformat(timespec="seconds"),
        **asdict(Counts.of(mishaps)),
    )


def _plain(decision: Decision) -> dict[str, Any]:
    shown = ("action", "trajectory", "by", "why", "loop")
    return {name: getattr(decision, name) for name in shown}


def _caps(
    run: Path, sweep: SweepConfig, folders: Sequence[TrajectoryFolder]
) -> tuple[CapStatus, ...]:
    bounds = {name: bound for name, bound in sweep.caps.bounds.items() if name != "hours"}
    if not bounds:
        return ()
    used = metered(sweep, run, {one.id: one.records for one in folders}).used()
    return tuple(CapStatus(name, used[name], bound) for name, bound in bounds.items())


def _starts(run: Path) -> int:
    """Shared starts at work: each has a folder with signs of life."""
    folder = starts_folder(run)
    return sum(path.is_dir() for path in folder.iterdir()) if folder.is_dir() else 0


def _planned(run: Path, sweep: SweepConfig) -> dict[str, TrajectoryConfig]:
    """The trajectories of a stored sweep by the ids that it was written with.

    Raises:
        RunFolderError: The file was edited by hand, so that it means other trajectories.
    """
    origin = provenance_of(run, sweep)
    made = sweep.expanded()
    configs = _by_id(made, origin)
    if configs.keys() != set(origin.trajectories):
        # Where the grid sets a part of a strategy, what it leaves out is not spelled in the file.
        spelled = [(cell, _spelled_out(config)) for cell, config in made]
        configs = _by_id([(cell, config) for cell, config in spelled if config is not None], origin)
        pairs = zip(made, spelled, strict=True)
        strange = _by_id([one for one, (_, config) in pairs if config is None], origin)
        placed = _by_place(strange, [i for i in origin.trajectories if i not in configs])
        configs |= {id_: _begun(run, id_) or config for id_, config in placed.items()}
    if configs.keys() != set(origin.trajectories):
        raise RunFolderError(
            f"{space_path(run)}: means other trajectories than provenance.trajectories lists; "
            "undo the change made by hand, or run the search space again with --out here"
        )
    return configs


def _by_id(
    made: Iterable[tuple[Cell, TrajectoryConfig]], origin: Provenance
) -> dict[str, TrajectoryConfig]:
    prints = ((origin.fingerprint_of(cell.setting) or "", config) for cell, config in made)
    return {config.trajectory_id(fingerprint): config for fingerprint, config in prints}


def _spelled_out(config: TrajectoryConfig) -> TrajectoryConfig | None:
    """With all parameters; None where a plug-in file knows them, which nobody runs here."""
    # Imported here, since that takes longer than all else of a status.
    from alsweep.trajectory.resolving import written_out

    try:
        return written_out(config)
    except (ConfigError, StrategyError):
        return None


def _begun(run: Path, id_: str) -> TrajectoryConfig | None:
    folder = trajectory_folder(run, id_)
    return read_config(folder) if config_path(folder).exists() else None


def _by_place(
    configs: Mapping[str, TrajectoryConfig], ids: Sequence[str]
) -> dict[str, TrajectoryConfig]:
    """Give those whose id is not listed the listed ones of their seed that are left, in order."""
    found = {id_: config for id_, config in configs.items() if id_ in ids}
    left = [id_ for id_ in ids if id_ not in found]
    for own, config in configs.items():
        if own not in found:
            id_ = next((one for one in left if f"-s{config.seed}-" in one), own)
            found[id_] = config
            left = [one for one in left if one != id_]
    return found


def _setting_names(run: RunFolder, configs: Mapping[str, TrajectoryConfig]) -> dict[str, str]:
    """Trajectory to the name of its setting, also where it has not begun."""
    settings = settings_of(run, configs)
    names = setting_names(settings.values())
    return {id_: names[setting.hash] for id_, setting in settings.items()}


def _status(
    folder: TrajectoryFolder,
    config: TrajectoryConfig,
    setting_name: str,
    driven: bool,
    pace: float | None,
) -> TrajectoryStatus:
    done, loops = len(folder.records), config.query.loops
    beat = read_sign_of_life(folder.folder) if driven and done < loops else None
    alive = beat is not None and beat.loop >= done and silent_seconds(beat) < _SILENCE
    now = beat if alive else None
    state = _state(folder, now)
    own = _pace([folder]) or pace
    return TrajectoryStatus(
        id=folder.id,
        strategy=config.strategy.shown,
        setting_name=setting_name,
        seed=config.seed,
        state=state,
        loops_done=done,
        loops=loops,
        phase=None if now is None else now.phase,
        phase_done=0 if now is None else now.done,
        phase_total=0 if now is None else now.total,
        mean_dice=folder.records[-1].mean_dice if folder.records else None,
        error=folder.error,
        seconds_left=own * (loops - done) if own is not None and state in _GOING else None,
    )


def _state(folder: TrajectoryFolder, beat: SignOfLife | None) -> State:
    if folder.status == "running":
        return "waiting" if beat is None else "running"
    return folder.status


def _pace(folders: Iterable[TrajectoryFolder]) -> float | None:
    """Mean seconds of a loop whose members were not found ready; None before there is one."""
    seconds = [
        r.train_seconds + r.evaluate_seconds + r.query_seconds
        for folder in folders
        for r in folder.records
        if not r.cached_members
    ]
    return sum(seconds) / len(seconds) if seconds else None


def _seconds_left(
    pace: float | None, trajectories: tuple[TrajectoryStatus, ...], search: SearchStatus | None
) -> float | None:
    """Mean seconds a loop so far, times what is left, over what runs at once.

    What a search is going to suggest, nobody knows yet.
    """
    if search is not None and not search.over:
        return None
    left = sum(t.loops - t.loops_done for t in trajectories if t.state in _GOING)
    at_once = sum(t.state == "running" for t in trajectories)
    if not left:
        return 0.0
    return left * pace / at_once if pace is not None and at_once else None
