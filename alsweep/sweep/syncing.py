"""Bring W&B up to a run folder, whatever was sent before: the server is asked what it has."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ruamel.yaml import YAML

from alsweep.config.sweep import WandbConfig
from alsweep.config.validation import validated
from alsweep.errors import DatasetError, RunFolderError
from alsweep.layout import results_path, space_path
from alsweep.results.begun import read_begun
from alsweep.results.records import RunFolder, TrajectoryFolder, read_run
from alsweep.results.table import write_table
from alsweep.sweep.environment import set_back, set_variable, unset_which_run, variables
from alsweep.sweep.run_folder import active_driver, driver_lock

if TYPE_CHECKING:
    from alsweep.data.case import Dataset
    from alsweep.tracking.analysis import Analysis, QueriedRow
    from alsweep.tracking.base import Tracked
    from alsweep.tracking.wandb import WandbTracker

Tell = Callable[[str], None]


@dataclass(frozen=True)
class Synced:
    """What was sent.

    Attributes:
        trajectories: Whose runs are up to date now.
        sent: How many of them were not before.
        analysis: Where to look at it; None where nothing is finished yet.
    """

    trajectories: int
    sent: int
    analysis: str | None


def sync_run(run: Path, settings: WandbConfig, tell: Tell, *, queries: bool = True) -> Synced:
    """Send to W&B what it lacks of a run: loops, tables of queries, and the analysis.

    Safe to be killed and to be called again: each trajectory's run is continued after the last
    step that the server has, so that no step is there twice.

    Args:
        run: The run folder; nobody may be at work in it.
        settings: Where to; the mode is online whatever they say.
        tell: Hears what is done.
        queries: Whether to send a table of the queried patches of each finished trajectory.

    Raises:
        RunFolderError: It is no run folder, or somebody is at work in it.
        RecordError: A file in it is broken.
        ConfigError: W&B does not know the user.
    """
    from alsweep.tracking.wandb import WandbTracker, require_login

    known = read_run(run)
    if (driver := active_driver(run)) is not None:
        raise RunFolderError(
            f"{run}: another alsweep ({driver}) is at work in it; wait for it, or stop it first"
        )
    settings = settings.model_copy(update={"mode": "online"})
    begun = [t for t in known.trajectories if t.config is not None and t.records]
    with online(settings, tell), driver_lock(run):
        require_login("sync", "set WANDB_API_KEY")
        tracker = WandbTracker(run, settings, _Queried(known) if queries else None)
        sent = sum(_sent(tracker, known, one, tell) for one in begun)
        tracker.close()
        analysis = _analysis(known, tell)
        place = None if analysis is None else tracker.analyse(analysis)
    return Synced(len(begun), sent, place)


@contextmanager
def online(settings: WandbConfig, tell: Tell) -> Iterator[None]:
    """The environment as W&B's client wants it: whoever syncs means online, now."""
    before = variables()
    if (unheeded := unset_which_run(settings)) is not None:
        tell(unheeded)
    set_variable("WANDB_MODE", "online")
    try:
        yield
    finally:
        set_back(before)


def wandb_of(run: Path) -> WandbConfig:
    """The W&B settings of a run; the defaults where its sweep.yaml has none.

    Raises:
        RunFolderError: It is no run folder.
        ConfigError: They are wrong.
    """
    read_begun(run)
    raw = YAML(typ="safe", pure=True).load(space_path(run).read_bytes())
    place = f"{space_path(run)}: wandb."
    return validated(WandbConfig, raw.get("wandb") or {}, {}, place, stored=True)


def tracked(run: RunFolder, trajectory: TrajectoryFolder) -> Tracked:
    """A trajectory of a run folder as trackers show it."""
    from alsweep.tracking.base import Tracked

    assert trajectory.config is not None
    ground = run.ground(trajectory)
    return Tracked(
        trajectory.id, trajectory.config, run.name, ground.dataset_fingerprint, ground.setting
    )


def _sent(tracker: WandbTracker, run: RunFolder, one: TrajectoryFolder, tell: Tell) -> bool:
    """Bring the run of a trajectory up to its records; whether anything had to be sent."""
    shown = tracked(run, one)
    if tracker.has(shown, len(one.records)):
        return False
    tell(f"{one.id}: {len(one.records)} loops")
    tracker.update(shown, one.records)
    return True


class _Queried:
    """Rows of the queries of trajectories; each dataset is opened once."""

    def __init__(self, run: RunFolder) -> None:
        self._run = run
        self._by_id = {one.id: one for one in run.trajectories}
        self._datasets: dict[Path, Dataset | None] = {}

    def __call__(self, shown: Tracked) -> Sequence[QueriedRow]:
        from alsweep.report.queried import queried_patches
        from alsweep.tracking.analysis import QueriedRow

        trajectory = self._by_id[shown.id]
        return [
            QueriedRow(
                one.loop,
                one.rank,
                one.queried.patch.case,
                one.queried.patch.start,
                one.queried.patch.size,
                one.queried.score,
                one.classes,
                one.slices,
            )
            for one in queried_patches(trajectory, self._dataset(trajectory))
        ]

    def _dataset(self, trajectory: TrajectoryFolder) -> Dataset | None:
        from alsweep.report.volumes import open_dataset

        place = self._run.ground(trajectory).dataset
        if place not in self._datasets:
            try:
                self._datasets[place] = open_dataset(self._run, trajectory)
            except DatasetError:  # then the table is without pictures
                self._datasets[place] = None
        return self._datasets[place]


def _analysis(run: RunFolder, tell: Tell) -> Analysis | None:
    """What the report says; None where nothing is finished."""
    from alsweep.report.analysis import analyse
    from alsweep.tracking.analysis import Analysis

    try:
        said = analyse(run.path)
    except RunFolderError as error:
        tell(str(error))
        return None
    write_table(run)
    return Analysis(
        said.sweep, said.tables, said.figures, said.pictures, results_path(run.path), said.numbers
    )
