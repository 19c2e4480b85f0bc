"""How far a run is, read from its folder alone: also from another terminal, also after a crash."""

import gc
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal, get_args

from alsweep.config.expansion import Cell
from alsweep.config.sweep import Provenance, SweepConfig
from alsweep.config.trajectory import TrajectoryConfig
from alsweep.errors import RunFolderError
from alsweep.layout import space_path, starts_folder
from alsweep.results.decisions import read_decided
from alsweep.results.records import RunFolder, TrajectoryFolder, read_run
from alsweep.results.settings import setting_names, setting_of
from alsweep.sweep.heartbeat import SignOfLife, read_sign_of_life, silent_seconds
from alsweep.sweep.run_folder import (
    active_driver,
    provenance_of,
    stored_sweep,
)

State = Literal["done", "running", "failed", "truncated", "waiting"]

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
    """

    run: str
    name: str
    driver: str | None
    starts: int
    trajectories: tuple[TrajectoryStatus, ...]
    seconds_left: float | None

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
    found = read_run(run)
    folders, configs = found.trajectories, _planned(run, sweep)
    names = _setting_names(found, configs)
    trajectories = tuple(
        _status(folder, configs[folder.id], names[folder.id], driver is not None)
        for folder in folders
    )
    return RunStatus(
        run=str(run),
        name=sweep.name,
        driver=driver,
        starts=0 if driver is None else _starts(run),
        trajectories=trajectories,
        seconds_left=_seconds_left(folders, trajectories),
    )


def _starts(run: Path) -> int:
    """Shared starts at work: each has a folder with signs of life."""
    folder = starts_folder(run)
    return sum(path.is_dir() for path in folder.iterdir()) if folder.is_dir() else 0


def _planned(run: Path, sweep: SweepConfig) -> dict[str, TrajectoryConfig]:
    """The trajectories of a stored sweep by the ids that it was written with, and those added.

    Raises:
        RunFolderError: The file was edited by hand, so that it means other trajectories.
    """
    origin = provenance_of(run, sweep)
    made = sweep.expanded()
    configs = _by_id(made, origin)
    if configs.keys() != set(origin.trajectories):
        # Where the grid sets a part of a strategy, what it leaves out is not spelled in the file.
        # Imported here, since that takes longer than all else of a status.
        from alsweep.query.plugin_files import load_files
        from alsweep.trajectory.resolving import written_out

        load_files(sweep.plugins)
        configs = _by_id([(cell, written_out(config)) for cell, config in made], origin)
    if configs.keys() != set(origin.trajectories):
        raise RunFolderError(
            f"{space_path(run)}: means other trajectories than provenance.trajectories lists; "
            "undo the change made by hand, or run the search space again with --out here"
        )
    return {**read_decided(run).added, **configs}


def _by_id(
    made: Iterable[tuple[Cell, TrajectoryConfig]], origin: Provenance
) -> dict[str, TrajectoryConfig]:
    prints = ((origin.fingerprint_of(cell.setting) or "", config) for cell, config in made)
    return {config.trajectory_id(fingerprint): config for fingerprint, config in prints}


def _setting_names(run: RunFolder, configs: Mapping[str, TrajectoryConfig]) -> dict[str, str]:
    """Trajectory to the name of its setting, also where it has not begun."""
    settings = {one.id: setting_of(run, one, configs[one.id]) for one in run.trajectories}
    names = setting_names(settings.values())
    return {id_: names[setting.hash] for id_, setting in settings.items()}


def _status(
    folder: TrajectoryFolder, config: TrajectoryConfig, setting_name: str, driven: bool
) -> TrajectoryStatus:
    done, loops = len(folder.records), config.query.loops
    beat = read_sign_of_life(folder.folder) if driven and done < loops else None
    alive = beat is not None and beat.loop >= done and silent_seconds(beat) < _SILENCE
    now = beat if alive else None
    return TrajectoryStatus(
        id=folder.id,
        strategy=config.strategy.shown,
        setting_name=setting_name,
        seed=config.seed,
        state=_state(folder, now),
        loops_done=done,
        loops=loops,
        phase=None if now is None else now.phase,
        phase_done=0 if now is None else now.done,
        phase_total=0 if now is None else now.total,
        mean_dice=folder.records[-1].mean_dice if folder.records else None,
        error=folder.error,
    )


def _state(folder: TrajectoryFolder, beat: SignOfLife | None) -> State:
    if folder.status == "running":
        return "waiting" if beat is None else "running"
    return folder.status


def _seconds_left(
    folders: tuple[TrajectoryFolder, ...], trajectories: tuple[TrajectoryStatus, ...]
) -> float | None:
    """Mean seconds a loop so far, times what is left, over what runs at once."""
    seconds = [
        r.train_seconds + r.evaluate_seconds + r.query_seconds
        for folder in folders
        for r in folder.records
        if not r.cached_members
    ]
    left = sum(t.loops - t.loops_done for t in trajectories if t.state in ("running", "waiting"))
    at_once = sum(t.state == "running" for t in trajectories)
    if not left:
        return 0.0
    return left * sum(seconds) / len(seconds) / at_once if seconds and at_once else None
