"""The run folder: whose it is, which sweep it holds, and that one driver at a time works in it."""

from __future__ import annotations

import fcntl
import os
import socket
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, TYPE_CHECKING

from alsweep.config.load import load_sweep
from alsweep.config.provenance import Provenance
from alsweep.config.sweep import SweepConfig
from alsweep.data.inside import refuse_inside_dataset
from alsweep.disk import full_disk
from alsweep.errors import AlsweepError, RunFolderError
from alsweep.files import is_litter, write_bytes
from alsweep.layout import (
    DATASET,
    LOCK,
    MIRROR,
    PLUGINS,
    SPACE,
    config_path,
    lock_path,
    plugins_folder,
    space_path,
    trajectory_folder,
)
from alsweep.storage.lease import leased, seen_at_work
from alsweep.storage.mirror import mirror_at
from alsweep.storage.rooms import refuse_remote
from alsweep.sweep.claims import at_work
from alsweep.sweep.links import refuse_links_out
from alsweep.sweep.study_name import study_name
from alsweep.trajectory.query_log import QueryLog

if TYPE_CHECKING:
    from alsweep.config.trajectory import TrajectoryConfig
    from alsweep.sweep.plan import Plan

_OUR_BEGINNINGS = {LOCK, DATASET, PLUGINS}
"""What a folder holds when it was stopped before its sweep.yaml was written."""


def load_plugins(run: Path, config: TrajectoryConfig) -> None:
    """Load the plug-in files that a trajectory's strategies are from.

    Raises:
        StrategyError: The run has one of them no more.
    """
    from alsweep.query.plugin_files import load_stored

    for spec in (config.strategy, config.starting_budget.strategy):
        load_stored(plugins_folder(run), spec.plugins)


@contextmanager
def driver_lock(run: Path) -> Iterator[None]:
    """Hold a run folder for one driver, and make it where it is not there; a crash lets go of it.

    Raises:
        RunFolderError: The folder is not alsweep's, cannot be written, a link in it leads out, or
            another driver holds it.
    """
    refuse_foreign(run)
    try:
        run.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise _unwritable(run, error) from None
    refuse_links_out(run)
    with _locked(run, fcntl.LOCK_EX) as lock:
        if at_work(run):  # where locks do not reach from machine to machine
            raise _occupied(run)
        lock.truncate(0)
        lock.write(f"process {os.getpid()} on {socket.gethostname()}")
        lock.flush()
        with leased(run):
            yield


@contextmanager
def worker_lock(run: Path) -> Iterator[None]:
    """Keep drivers out of a run folder while a worker is in it; other workers may come.

    Raises:
        RunFolderError: It cannot be written, a link in it leads out, or a driver is at work in it.
    """
    refuse_links_out(run)
    with _locked(run, fcntl.LOCK_SH):
        yield


@contextmanager
def _locked(run: Path, kind: int) -> Iterator[IO[str]]:
    try:
        lock = lock_path(run).open("a+", encoding="utf-8")
    except OSError as error:
        raise _unwritable(run, error) from None
    with lock:
        try:
            fcntl.flock(lock, kind | fcntl.LOCK_NB)
        except BlockingIOError:
            raise _occupied(run) from None
        yield lock


def _occupied(run: Path) -> RunFolderError:
    return RunFolderError(
        f"{run}: another alsweep ({_holder(run)}) is at work in it; wait for it, or stop it first"
    )


def refuse_unwritable(run: Path) -> None:
    """Try to write where a run folder lies or would be made, and leave nothing behind.

    Args:
        run: Absolute.

    Raises:
        RunFolderError: It cannot be written.
        DatasetError: It lies in a Dataset.
        ConfigError: It is in an object store.
    """
    refuse_remote(run, "--out")
    refuse_inside_dataset(run)
    place = next(path for path in (run, *run.parents) if path.exists())
    try:
        with tempfile.TemporaryFile(dir=place):
            pass
    except OSError as error:
        raise _unwritable(run, error) from None


def _unwritable(run: Path, error: OSError) -> AlsweepError:
    return full_disk(error, run) or RunFolderError(
        f"{run}: cannot be written ({error.strerror}); choose another --out, go on "
        "in a copy, or mend its permissions"
    )


def _holder(run: Path) -> str:
    if workers := at_work(run):
        return ", ".join(workers)
    return lock_path(run).read_text(encoding="utf-8").strip() or "just starting"


def active_driver(run: Path) -> str | None:
    """Who is at work in a run folder, or None; for people, since it may change at once."""
    mirror = mirror_at(run)
    if mirror is not None:
        return seen_at_work(mirror.store)
    try:
        with lock_path(run).open("r", encoding="utf-8") as lock:
            fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return _holder(run)
    except OSError:
        return None
    return ", ".join(at_work(run)) or None


def refuse_foreign(run: Path) -> None:
    """Refuse a place that holds something which alsweep did not begin, or lies in a Dataset.

    Raises:
        RunFolderError: It does; names it.
        DatasetError: It lies in a Dataset.
    """
    refuse_inside_dataset(run)
    if not run.exists():
        return
    mend = "choose another --out"
    if not run.is_dir():
        raise RunFolderError(f"{run}: is a file, expected a run folder; {mend}")
    try:
        names = {entry.name for entry in run.iterdir()}
    except OSError as error:
        raise _unwritable(run, error) from None
    foreign = {name for name in names if not is_litter(name)} - {MIRROR}
    if SPACE in names or not foreign or (LOCK in names and foreign <= _OUR_BEGINNINGS):
        return
    raise RunFolderError(
        f"{run}: holds '{min(foreign)}' and no {SPACE}, so alsweep did not begin it; {mend}"
    )


def stored_sweep(run: Path) -> SweepConfig:
    """Return the resolved sweep of a run folder.

    Raises:
        RunFolderError: There is none.
    """
    path = space_path(run)
    if not path.exists():
        raise RunFolderError(f"{run}: no {SPACE} in it; name a run folder that 'alsweep run' wrote")
    sweep = load_sweep(path)
    provenance_of(run, sweep)
    return sweep


def provenance_of(run: Path, sweep: SweepConfig) -> Provenance:
    """Return where a stored sweep comes from.

    Raises:
        RunFolderError: It is a user's search space and not one that alsweep resolved.
    """
    if sweep.provenance is None:
        raise RunFolderError(
            f"{run}: its {SPACE} was not written by 'alsweep run'; choose another folder"
        )
    return sweep.provenance


def check_same_sweep(run: Path, plan: Plan) -> None:
    """Refuse to mix two sweeps, or two datasets, in one folder. Writes nothing.

    Raises:
        RunFolderError: The folder is foreign, holds another sweep, or was begun on other data.
    """
    refuse_foreign(run)
    if not space_path(run).exists():
        return
    stored = stored_sweep(run)
    begun = provenance_of(run, stored)
    if stored.name != plan.sweep.name:
        raise RunFolderError(
            f"{run}: holds the sweep '{stored.name}', not '{plan.sweep.name}'; choose another --out"
        )
    _refuse_other_data(run, begun, plan)
    _refuse_other_search(run, stored, plan)


def _refuse_other_search(run: Path, stored: SweepConfig, plan: Plan) -> None:
    """Values that were told of other configurations, or of other seeds, would be compared."""
    then, now = provenance_of(run, stored).study, study_name(plan)
    if stored.search is None or plan.sweep.search is None or then == now:
        return
    before, after = stored.search.plain(), plan.sweep.search.plain()
    before |= {"over": None, **{f"over.{key}": v for key, v in before["over"].items()}}
    after |= {"over": None, **{f"over.{key}": v for key, v in after["over"].items()}}
    free = ("configurations", "confirm_seeds", "prune", "stop", "storage", "seed")
    differ = [k for k in dict.fromkeys([*before, *after]) if before.get(k) != after.get(k)]
    changed = [f"search.{key}" for key in differ if key not in free] or ["seeds or base"]
    raise RunFolderError(
        f"{run}: {', '.join(changed)} changed since its search began, so that what was tried would "
        f"be held against what it is not; undo the change, or choose another --out"
    )


def _refuse_other_data(run: Path, begun: Provenance, plan: Plan) -> None:
    """Each setting stays on its data; settings that were not there before may be on any."""
    for one in plan.meant:
        known = begun.fingerprint_of(one.setting)
        if known is None and not set(begun.fingerprints) & set(plan.datasets):
            known = begun.fingerprints[0]
        if known not in (None, one.dataset_fingerprint):
            which = "" if one.setting is None else f"setting '{one.setting}' of "
            raise RunFolderError(
                f"{run}: {which}it was begun on a dataset with fingerprint {known[:12]}, but "
                f"{one.config.dataset} has {one.dataset_fingerprint[:12]}; restore the dataset or "
                "choose another --out"
            )


def left_out(run: Path, plan: Plan) -> list[str]:
    """Trajectories that an earlier state of the sweep had here, and that the plan has no more."""
    if not space_path(run).exists():
        return []
    earlier, now = provenance_of(run, stored_sweep(run)).trajectories, set(plan.ids)
    return [id_ for id_ in earlier if id_ not in now]


def refresh_configs(run: Path, plan: Plan) -> None:
    """Tell trajectories that have begun, finished ones too, of a moved dataset or a new label."""
    for planned in plan.trajectories:
        folder = trajectory_folder(run, planned.id)
        if config_path(folder).exists():
            QueryLog(folder).claim(planned.config)


def write_space(run: Path, plan: Plan) -> None:
    """Write RUN/sweep.yaml, unless it says so already, and the plug-in files that it names."""
    from alsweep.query.plugin_files import store
    from alsweep.sweep.space_file import resolved_sweep, to_yaml

    text = to_yaml(resolved_sweep(plan)).encode()
    path = space_path(run)
    try:
        for file in plan.sweep.plugins:
            store(file, plugins_folder(run))
        if not path.exists() or path.read_bytes() != text:
            write_bytes(path, text)
    except OSError as error:
        raise _unwritable(run, error) from None
