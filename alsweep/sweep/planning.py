"""From a search space, in a file or in Python, to a plan on its dataset."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from alsweep.config.provenance import Provenance
from alsweep.config.sweep import SweepConfig
from alsweep.errors import ConfigError, DatasetError
from alsweep.layout import space_path
from alsweep.storage.place import absolute, is_remote
from alsweep.sweep.audience import log
from alsweep.sweep.environment import expanded

if TYPE_CHECKING:
    from alsweep.data.case import Dataset
    from alsweep.sweep.plan import Plan

Tell = Callable[[str], None]


def plan_read(
    sweep: SweepConfig,
    space: Path,
    run: Path,
    overrides: Sequence[str] = (),
    tell: Tell = log,
    *,
    people: bool = False,
    private: bool = True,
) -> Plan:
    """Resolve a sweep that was read from a file.

    Args:
        sweep: What was read.
        space: The file.
        run: Where the sweep is going to be made.
        overrides: ``PATH=VALUE``, as on the command line.
        tell: Hears warnings.
        people: Whether there are any to ask.
        private: Whether it is made on this machine, and not on a cluster.

    Raises:
        ConfigError: It cannot work on its dataset.
        DatasetError: Its dataset cannot be opened.
    """
    recorded = _recorded_run(sweep, space, run, overrides)
    plan = plan_of(sweep, space, recorded, tell, moved=_moved(sweep, overrides), people=people)
    return with_fraction(plan, private=private, tell=tell)


def with_fraction(plan: Plan, *, private: bool, tell: Tell) -> Plan:
    """The plan with a number where its sweep says ``gpus: auto``, which is tried out on the card.

    Raises:
        ConfigError: It is to be made on a cluster, whose cards are not here, or no worker fits one.
    """
    if not plan.sweep.resources.gpus_to_find:
        return plan
    from alsweep.sweep.fraction import with_gpus

    return with_gpus(plan, private=private, tell=tell)


def _recorded_run(
    sweep: SweepConfig, space: Path, out: Path, overrides: Sequence[str]
) -> Path | None:
    """The run folder whose own dataset a search space asks for; None where it names any other.

    A RUN/sweep.yaml with another ``--out`` may be run on whatever lies at its dataset's place.
    """
    if sweep.provenance is None or any(o.startswith("dataset=") for o in overrides):
        return None
    run = space.absolute().parent
    lie = [sweep.dataset_of(name) for name in _setting_names(sweep)]
    gone = not all(is_remote(place) or place.exists() for place in lie)
    return run if out.absolute() == run or gone else None


def _moved(sweep: SweepConfig, overrides: Sequence[str]) -> frozenset[str]:
    """Settings whose dataset an override names."""
    names = {f"settings.{one.name}.dataset=": one.name for one in sweep.settings or ()}
    return frozenset(name for o in overrides for key, name in names.items() if o.startswith(key))


def _setting_names(sweep: SweepConfig) -> list[str | None]:
    return [one.name for one in sweep.settings or ()] or [None]


def not_there(sweep: SweepConfig, space: Path) -> list[Path]:
    """Datasets that a user's search space names and that are not there; what is there may be wrong.

    Raises:
        ConfigError: A variable in a place is not set.
    """
    if sweep.provenance is not None:
        return []
    named = {sweep.dataset_of(one): _dataset_key(sweep, one) for one in _setting_names(sweep)}
    local = {place: key for place, key in named.items() if not is_remote(place)}
    return [
        place for place, key in local.items() if not expanded(place, f"{space}: {key}").exists()
    ]


def stored_plan(run: Path, tell: Tell = log) -> Plan:
    """The plan that a run folder was last run with.

    Raises:
        RunFolderError: It is none.
        DatasetError: Its dataset is nowhere.
    """
    from alsweep.sweep.run_folder import stored_sweep

    return plan_of(stored_sweep(run), space_path(run), run, tell)


def plan_of(
    sweep: SweepConfig,
    space: Path | str,
    run: Path | None = None,
    tell: Tell = log,
    moved: Collection[str] = (),
    *,
    people: bool = False,
) -> Plan:
    """Resolve a sweep against its datasets; errors name the search space.

    Args:
        sweep: What to plan.
        space: Where it was read.
        run: Run folder that the sweep is a record of, whose datasets may have been moved with it.
        tell: Hears warnings.
        moved: Settings of a recorded sweep whose datasets lie where it says now.
        people: Whether there are any to ask.
    """
    from alsweep.sweep import remarks
    from alsweep.sweep.plan import RefusedError, make_plan, opened

    recorded = None if run is None or sweep.provenance is None else (run, sweep.provenance)
    datasets: dict[Path, Dataset] = {}
    for setting in _setting_names(sweep):
        place = sweep.dataset_of(setting)
        if place not in datasets:
            of_run = None if setting in moved else recorded
            datasets[place] = _open(place, _dataset_key(sweep, setting), setting, space, of_run)
    try:
        plan = make_plan(sweep, datasets, people=people)
    except RefusedError as error:
        raise RefusedError([f"{space}: {fault}" for fault in error.faults]) from error
    except ConfigError as error:
        raise ConfigError(f"{space}: {error}") from error
    for dataset in opened(plan):
        for remark in remarks.of_data(plan, dataset):
            tell(remark)
    return plan


def _dataset_key(sweep: SweepConfig, setting: str | None) -> str:
    """Where the dataset of a setting stands in the YAML."""
    own = any(one.name == setting and one.dataset for one in sweep.settings or ())
    return f"settings.{setting}.dataset" if own else "dataset"


def _open(
    place: Path,
    key: str,
    setting: str | None,
    space: Path | str,
    recorded: tuple[Path, Provenance] | None,
) -> Dataset:
    from alsweep.data.case import Dataset
    from alsweep.data.recorded import open_recorded

    lies = absolute(expanded(place, f"{space}: {key}"))
    known = None if recorded is None else recorded[1].fingerprint_of(setting)
    if recorded is not None and known is not None:
        return open_recorded(lies, known, recorded[0], key)
    try:
        return Dataset.open(lies)
    except DatasetError as error:
        raise DatasetError(f"{space}: {key}: {error}") from error
