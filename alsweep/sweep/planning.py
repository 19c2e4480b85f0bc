"""From a search space, in a file or in Python, to a plan on its dataset."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from alsweep.config.sweep import SweepConfig
from alsweep.errors import ConfigError, DatasetError
from alsweep.layout import space_path
from alsweep.sweep.audience import log
from alsweep.sweep.environment import expanded

if TYPE_CHECKING:
    from alsweep.sweep.plan import Plan

Tell = Callable[[str], None]


def plan_read(
    sweep: SweepConfig, space: Path, run: Path, overrides: Sequence[str] = (), tell: Tell = log
) -> Plan:
    """Resolve a sweep that was read from a file.

    Args:
        sweep: What was read.
        space: The file.
        run: Where the sweep is going to be made.
        overrides: ``PATH=VALUE``, as on the command line.
        tell: Hears warnings.

    Raises:
        ConfigError: It cannot work on its dataset.
        DatasetError: Its dataset cannot be opened.
    """
    return plan_of(sweep, space, _recorded_run(sweep, space, run, overrides), tell)


def _recorded_run(
    sweep: SweepConfig, space: Path, out: Path, overrides: Sequence[str]
) -> Path | None:
    """The run folder whose own dataset a search space asks for; None where it names any other.

    A RUN/sweep.yaml with another ``--out`` may be run on whatever lies at its dataset's place.
    """
    if sweep.provenance is None or any(o.startswith("dataset=") for o in overrides):
        return None
    run = space.absolute().parent
    return run if out.absolute() == run or not sweep.dataset.exists() else None


def stored_plan(run: Path, tell: Tell = log) -> Plan:
    """The plan that a run folder was last run with.

    Raises:
        RunFolderError: It is none.
        DatasetError: Its dataset is nowhere.
    """
    from alsweep.sweep.run_folder import stored_sweep

    return plan_of(stored_sweep(run), space_path(run), run, tell)


def plan_of(
    sweep: SweepConfig, space: Path | str, run: Path | None = None, tell: Tell = log
) -> Plan:
    """Resolve a sweep against its dataset; errors name the search space.

    Args:
        sweep: What to plan.
        space: Where it was read.
        run: Run folder that the sweep is a record of, whose dataset may have been moved with it.
        tell: Hears warnings.
    """
    from alsweep.data.case import Dataset
    from alsweep.data.recorded import open_recorded
    from alsweep.sweep import remarks
    from alsweep.sweep.plan import make_plan

    place = expanded(sweep.dataset, f"{space}: dataset").absolute()
    if run is None or sweep.provenance is None:
        try:
            dataset = Dataset.open(place)
        except DatasetError as error:
            raise DatasetError(f"{space}: dataset: {error}") from error
    else:
        dataset = open_recorded(place, sweep.provenance.dataset_fingerprint, run)
    try:
        plan = make_plan(sweep, dataset)
    except ConfigError as error:
        raise ConfigError(f"{space}: {error}") from error
    for remark in remarks.of_data(plan, dataset):
        tell(remark)
    return plan
