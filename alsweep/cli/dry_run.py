"""A dry run: a table of what would be made, and all that the run would warn of or refuse."""

import json
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from alsweep.config.sweep import ResourcesConfig, SweepConfig
    from alsweep.sweep import mixing
    from alsweep.sweep.costing import Cost
    from alsweep.sweep.counting import Counted
    from alsweep.sweep.missing import Snapshot, ToDo
    from alsweep.sweep.outlook import Outlook
    from alsweep.sweep.plan import Plan
    from alsweep.sweep.search_outlook import SearchOutlook

_WARNING = "warning: "
_NOTHING_WRITTEN = "dry run: nothing was written"
_Tell = Callable[[str], None]


def check_place_and_device(
    run_folder: Path, resources: "ResourcesConfig", *, private: bool
) -> None:
    """Refuse what a run would refuse once it begins; writes nothing that stays.

    Raises:
        ConfigError: This machine has not the device, or not enough GPUs; ``private`` alone. Or a
            card is to be used, but none is asked for.
        RunFolderError: The run folder cannot be written.
    """
    from alsweep.sweep.environment import refuse_cards_without_gpus
    from alsweep.sweep.run_folder import refuse_foreign, refuse_unwritable

    refuse_foreign(run_folder)
    refuse_unwritable(run_folder)
    # The machines of a cluster are not this one.
    if private and (resources.device not in ("auto", "cpu") or resources.gpus):
        _check_this_machine(resources)
    refuse_cards_without_gpus(resources)


def _check_this_machine(resources: "ResourcesConfig") -> None:
    import torch

    from alsweep.errors import ConfigError
    from alsweep.model.device import resolve_compute

    most = torch.cuda.device_count()
    if resources.gpus > most:
        raise ConfigError(
            f"resources.gpus: a worker needs {resources.gpus:g}, but this machine has {most}; "
            f"write {'less' if most else '0'}, or use a cluster (--address)"
        )
    resolve_compute(resources.device, "auto")


@dataclass(frozen=True)
class Asked:
    """What a dry run shall tell beside what every one does.

    Attributes:
        as_json: One JSON object in place of table and lines.
        each: A row for each trajectory, however many there are.
        calibrate: Time recipes of which the run has no records.
        price: Of a GPU's hour, or where none is asked for of a worker's; that of the search space
            if left out.
        address: Of a Ray cluster; None for a private one here.
        mix_numerics: As for the run.
    """

    as_json: bool = False
    each: bool = False
    calibrate: bool = False
    price: float | None = None
    address: str | None = None
    mix_numerics: bool = False

    def refuse_without_dry_run(self) -> None:
        """Refuse options that do nothing in a run.

        Raises:
            ConfigError: Names the first.
        """
        from alsweep.errors import ConfigError

        given = {
            "--json": self.as_json,
            "--verbose": self.each,
            "--calibrate": self.calibrate,
            "--price": self.price is not None,
        }
        for option, asked in given.items():
            if asked:
                raise ConfigError(f"{option}: is for a dry run; add --dry-run, or leave it out")


class _Said:
    """Tells lines on stderr and keeps them."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def __call__(self, text: str) -> None:
        from alsweep.cli.run import tell

        self.lines.append(text)
        tell(text)

    @property
    def warnings(self) -> tuple[str, ...]:
        """Without the word."""
        found = (line for line in self.lines if line.startswith(_WARNING))
        return tuple(line.removeprefix(_WARNING) for line in found)


def dry_run(
    sweep: "SweepConfig", space: Path, run: Path, overrides: Sequence[str], asked: Asked
) -> int:
    """Print what a run would make, warn of or refuse; writes nothing and starts no sweep.

    Args:
        sweep: What was read.
        space: The file.
        run: The run folder, absolute.
        overrides: ``PATH=VALUE``, as on the command line.
        asked: What to tell.

    Returns:
        The exit code.

    Raises:
        AlsweepError: The run would be refused.
    """
    from alsweep.sweep.plan import RefusedError
    from alsweep.sweep.planning import not_there, plan_read

    said = _Said()
    if missing := not_there(sweep, space):
        said(
            f"warning: {', '.join(map(str, missing))}: no such Dataset here, so that this is "
            "counted and nothing else is checked; ingest it first"
        )
        with _naming(space):
            return _tell_counts(sweep, said, asked, missing=missing)
    try:
        plan = plan_read(sweep, space, run, overrides, said, private=asked.address is None)
    except RefusedError as error:
        if len(error.faults) > 1:
            for fault in error.faults:
                said(f"infeasible: {fault}")
        with _naming(space):
            _tell_counts(sweep, said, asked, refused=error.faults)
        raise
    found = _look_ahead(plan, run, asked, said)
    if asked.as_json:
        print(json.dumps(found.plain(), indent=1))
        return 0
    _tell(found, asked)
    return 0


@contextmanager
def _naming(space: Path) -> Iterator[None]:
    """Name the search space in what is wrong with it."""
    from alsweep.errors import ConfigError

    try:
        yield
    except ConfigError as error:
        raise ConfigError(f"{space}: {error}") from error


def _look_ahead(plan: "Plan", run: Path, asked: Asked, said: _Said) -> "Outlook":
    """All that the run would refuse or warn of, and what it would take."""
    from alsweep.sweep import mixing, remarks, taking_over
    from alsweep.sweep.calibrating import Calibration
    from alsweep.sweep.deciding import extended
    from alsweep.sweep.forecast import forecast
    from alsweep.sweep.missing import unfinished
    from alsweep.sweep.outlook import outlook
    from alsweep.sweep.plan import opened
    from alsweep.sweep.run_folder import check_same_sweep

    private, resources = asked.address is None, plan.sweep.resources
    check_place_and_device(run, resources, private=private)
    check_wandb(plan.sweep, said)
    check_same_sweep(run, plan)
    _check_search(run, plan)
    plan = extended(plan, run)
    # Looked up once, since a run of a thousand has many files.
    made = taking_over.looked_ahead(run, plan)
    told, plan = list(remarks.of_run(made, plan)), plan.overruled
    disk = forecast(made, plan, private=private)
    if disk is not None:
        said(disk.told)
    taken = taking_over.of(made, plan)
    finished = mixing.Stored.read(run, plan, taken=taken)
    if not asked.mix_numerics:
        mixing.refuse_mixing(finished)
    foretell(run, plan.sweep, private=private, busy=bool(unfinished(made, plan)), tell=said)
    for remark in [*told, *mixing.on_stored(finished), *taking_over.summary(taken)]:
        said(remark)
    calibrate = Calibration(resources, plan.sweep.plugins) if asked.calibrate else None
    # A search space need not know of prices.
    price = resources.plain().get("price_per_gpu_hour") if asked.price is None else asked.price
    found = outlook(made, plan, private=private, calibrate=calibrate, price=price)
    _tell_caps(replace(found, disk=disk), finished, made, private, said)
    failing = (text for dataset in opened(plan) for text in remarks.infeasible(plan, dataset))
    return replace(found, disk=disk, infeasible=tuple(failing), warnings=said.warnings)


def _tell_caps(
    found: "Outlook", finished: "mixing.Stored", made: "Snapshot", private: bool, said: _Said
) -> None:
    """Warn of caps that are going to end the run."""
    from alsweep.sweep.capped import Expected, over_caps
    from alsweep.sweep.forecast import workers

    sweep = finished.plan.sweep
    at_once = workers(sweep.resources) if private else None
    expected = Expected(found.cost, found.disk, found.counted, at_once, found.search)
    if not expected.unfinished:
        return
    for text in over_caps(sweep, made, finished.records, expected):
        said(text)


def _check_search(run: Path, plan: "Plan") -> None:
    """Refuse a search that cannot tell what it gave."""
    from alsweep.results.studies import check_storage
    from alsweep.sweep.fulldata import refuse_search_without_references

    refuse_search_without_references(run, plan)
    if plan.sweep.search is not None:
        check_storage(run, plan.sweep.search.storage)


def _tell(found: "Outlook", asked: Asked) -> None:
    """The table, and a line for each thing that is worth one."""
    from alsweep.cli.dry_run_table import print_table
    from alsweep.storage.rooms import shown

    if found.lines:
        print_table(found, each=asked.each)
    where = f"{found.name} on {', '.join(found.datasets)} in {shown(Path(found.run))}"
    if found.lines or found.search is None:
        stored = f", {found.stored} of them stored already" if found.stored else ""
        lines = [f"{where}: {_to_do(found)}", _trainings(found.counted, stored)]
    else:
        lines = [f"{where}: a search alone"]
    if found.cost is not None:
        lines += [str(found.cost), *_money(found.cost)]
    if found.search is not None:
        total = found.search.total
        lines += [*found.search.lines(), *(_money(total, "search: ") if total else ())]
    lines += map(str, found.detectable)
    print("\n".join([*lines, _NOTHING_WRITTEN]))


def _to_do(found: "Outlook") -> str:
    number, counted = len(found.lines), found.counted
    return (
        f"{number} {'trajectory' if number == 1 else 'trajectories'}, {counted.finished} done, "
        f"{counted.unfinished} to do with {counted.loops} loops"
    )


def _money(cost: "Cost", of: str = "") -> list[str]:
    if cost.money is None:
        return []
    hour = "GPU-hour" if cost.unit == "GPU" else "worker's hour"
    return [f"{of}money: about {cost.money:,.2f}, at {cost.price:g} a {hour}"]


def _trainings(counted: "ToDo | Counted", stored: str = "") -> str:
    starts = f"{counted.starts} different start{'' if counted.starts == 1 else 's'}"
    unshared = f"{counted.unshared_trainings} without sharing"
    return f"{starts}; {counted.trainings} trainings ({unshared}){stored}"


def _tell_counts(
    sweep: "SweepConfig",
    said: _Said,
    asked: Asked,
    *,
    missing: Sequence[Path] = (),
    refused: Sequence[str] = (),
) -> int:
    """Print how much a search space asks for that cannot be planned."""
    from alsweep.files import canonical_json
    from alsweep.sweep.counting import count

    found, searched = count(sweep), _searched(sweep)
    places = {canonical_json([str(one.dataset), one.where]) for one in sweep.cells()}
    if asked.as_json:
        whole = {"name": sweep.name, "settings": len(places), "trajectories": found.trajectories}
        trainings = {
            "before_sharing": found.unshared_trainings,
            "after_sharing": found.trainings,
        }
        said_too = {"infeasible": list(refused), "warnings": list(said.warnings)}
        gone = {
            "missing_datasets": list(map(str, missing)),
            "search": None if searched is None else searched.plain(),
        }
        print(
            json.dumps(
                whole | {"starts": found.starts, "trainings": trainings} | gone | said_too, indent=1
            )
        )
        return 0
    several = f" in {len(places)} settings" if len(places) > 1 else ""
    lines = [f"{sweep.name}: {found.trajectories} trajectories{several}", _trainings(found)]
    lines += [] if searched is None else searched.lines()
    print("\n".join([*lines, _NOTHING_WRITTEN]))
    return 0


def _searched(sweep: "SweepConfig") -> "SearchOutlook | None":
    """What a search asks for, without its datasets."""
    if sweep.search is None:
        return None
    from alsweep.sweep.counting import examples_of
    from alsweep.sweep.search_outlook import counted

    return counted(sweep, examples_of(sweep))


def foretell(run: Path, sweep: "SweepConfig", *, private: bool, busy: bool, tell: _Tell) -> None:
    """Warn of what the run would warn of; ``busy`` says that there is anything to do.

    Raises:
        ConfigError: Ray could never give a worker what it needs, or W&B does not know the user.
    """
    from alsweep.sweep.environment import refuse_too_many_cpus
    from alsweep.sweep.run_folder import active_driver

    if busy and private:
        refuse_too_many_cpus(sweep.resources)
        _warn_of_idle_cards(sweep.resources, tell)
    driver = active_driver(run)
    if driver is not None:
        tell(
            f"warning: another alsweep ({driver}) is at work in {run}; a run is refused until it "
            "ends"
        )


def check_wandb(sweep: "SweepConfig", tell: _Tell) -> None:
    """Check the mode, and the login where nobody could be asked for it; tell what is not heeded.

    Raises:
        ConfigError: There is no such mode or sink, or it needs a login that is not there.
    """
    from alsweep.sweep.environment import sinks_of, unset_which_run, wandb_settings

    sinks_of(sweep)
    nobody_to_ask = sys.stdin is None or not sys.stdin.isatty()
    unheeded = unset_which_run(wandb_settings(sweep.wandb, ask=nobody_to_ask))
    if unheeded is not None:
        tell(unheeded)


def _warn_of_idle_cards(resources: "ResourcesConfig", tell: _Tell) -> None:
    # Torch is slow to import, and most machines without a card have no such file.
    if resources.gpus or not any(Path("/dev").glob("nvidia[0-9]*")):
        return
    import torch

    from alsweep.sweep.environment import unused_cards

    idle = unused_cards(resources, torch.cuda.device_count())
    if idle is not None:
        tell(f"warning: {idle}")
