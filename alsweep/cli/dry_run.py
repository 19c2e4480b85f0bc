"""A dry run: a table of what would be made, and all that the run would warn of or refuse."""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from alsweep.config.sweep import ResourcesConfig, SweepConfig
    from alsweep.sweep.plan import Plan

_WIDE = 1000


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
            "write less, or use a cluster (--address)"
        )
    resolve_compute(resources.device, "auto")


def tell_what_would_be_done(
    plan: "Plan", run_folder: Path, *, private: bool = True, mix_numerics: bool = False
) -> int:
    """Print what a run would make, warn of or refuse; writes nothing and starts nothing."""
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    from alsweep.cli.run import tell
    from alsweep.sweep import mixing, remarks
    from alsweep.sweep.deciding import extended
    from alsweep.sweep.fulldata import refuse_search_without_references
    from alsweep.sweep.missing import loops_done, to_do
    from alsweep.sweep.run_folder import check_same_sweep
    from alsweep.sweep.stored import stored_members

    run_folder = run_folder.absolute()
    check_same_sweep(run_folder, plan)
    refuse_search_without_references(run_folder, plan)
    plan = extended(plan, run_folder)
    told, plan = list(remarks.of_run(run_folder, plan)), plan.overruled
    finished = mixing.Stored.read(run_folder, plan)
    if not mix_numerics:
        mixing.refuse_mixing(finished)
    told += mixing.on_stored(finished)
    counted = to_do(run_folder, plan)
    foretell(run_folder, plan.sweep, private=private, busy=counted.unfinished > 0)
    for remark in told:
        tell(remark)
    # Another machine's precision and device are in the keys of a cluster's members.
    stored = stored_members(run_folder, plan) if private else 0
    keys = dict.fromkeys(key for one in plan.own if one.cell for key in one.cell.values)
    heads = ["setting"] if plan.sweep.settings else []
    table = Table(*heads, *map(escape, keys), "seed", "loops done")
    # An id is there to be copied: it is folded where the terminal is narrow, and never cut.
    table.add_column("trajectory", overflow="fold")
    for planned in plan.trajectories:
        done = loops_done(run_folder, planned)
        values = planned.cell.values if planned.cell else {}
        cell = [escape(planned.setting or "")] if heads else []
        cell += [
            escape(planned.label if key == "strategy" else str(values.get(key, ""))) for key in keys
        ]
        seed = str(planned.config.seed)
        table.add_row(*cell, seed, f"{done}/{planned.config.query.loops}", planned.id)
    console = Console()
    # A file or another program takes lines of any length.
    whole = Console(width=_WIDE) if not console.is_terminal else console
    if plan.trajectories:
        whole.print(table)
    console.print(
        f"{plan.sweep.name} on {', '.join(plan.datasets.values())} in {remarks.shown(run_folder)}: "
        f"{len(plan.trajectories)} trajectories, {counted.finished} done, "
        f"{counted.unfinished} to do with {counted.loops} loops\n"
        f"{counted.starts} shared start{'' if counted.starts == 1 else 's'}; "
        f"{counted.trainings} trainings ({counted.unshared_trainings} without sharing)"
        f"{f', {stored} of them stored already' if stored else ''}\n"
        f"{told_search(plan.sweep)}"
        f"dry run: nothing was written",
        soft_wrap=True,
        highlight=False,
        markup=False,
    )
    return 0


def told_search(sweep: "SweepConfig") -> str:
    """How much a search may add, as a line; empty where nothing is searched."""
    if sweep.search is None:
        return ""
    n, settings = sweep.search.configurations, len(sweep.settings or ()) or 1
    each = len(sweep.seeds) * settings
    return (
        f"search: {n} configuration{'' if n == 1 else 's'} of {each} "
        f"{'trajectory' if each == 1 else 'trajectories'} each, {n * each} at most; those that "
        "are there already are not made again\n"
    )


def tell_counts(sweep: "SweepConfig", missing: Sequence[Path]) -> int:
    """Print how much a search space asks for whose datasets are not there yet."""
    import typer

    from alsweep.cli.run import tell
    from alsweep.sweep.counting import count

    found = count(sweep)
    tell(
        f"warning: {', '.join(map(str, missing))}: no such Dataset here, so that this is counted "
        "and nothing else is checked; ingest it first"
    )
    typer.echo(
        f"{sweep.name}: {found.trajectories} trajectories\n"
        f"{found.starts} shared start{'' if found.starts == 1 else 's'}; "
        f"{found.trainings} trainings ({found.unshared_trainings} without sharing)\n"
        f"{told_search(sweep)}"
        "dry run: nothing was written"
    )
    return 0


def foretell(run: Path, sweep: "SweepConfig", *, private: bool, busy: bool) -> None:
    """Warn of what the run would warn of; ``busy`` says that there is anything to do.

    Raises:
        ConfigError: Ray could never give a worker what it needs, or W&B does not know the user.
    """
    from alsweep.cli.run import tell
    from alsweep.sweep.environment import refuse_too_many_cpus
    from alsweep.sweep.run_folder import active_driver

    if busy and private:
        refuse_too_many_cpus(sweep.resources)
        _warn_of_idle_cards(sweep.resources)
    driver = active_driver(run)
    if driver is not None:
        tell(
            f"warning: another alsweep ({driver}) is at work in {run}; a run is refused until it "
            "ends"
        )


def check_wandb(sweep: "SweepConfig") -> None:
    """Check the mode, and the login where nobody could be asked for it; tell what is not heeded.

    Raises:
        ConfigError: There is no such mode, or it needs a login that is not there.
    """
    from alsweep.cli.run import tell
    from alsweep.sweep.environment import unset_which_run, wandb_settings

    nobody_to_ask = sys.stdin is None or not sys.stdin.isatty()
    unheeded = unset_which_run(wandb_settings(sweep.wandb, ask=nobody_to_ask))
    if unheeded is not None:
        tell(unheeded)


def _warn_of_idle_cards(resources: "ResourcesConfig") -> None:
    # Torch is slow to import, and most machines without a card have no such file.
    if resources.gpus or not any(Path("/dev").glob("nvidia[0-9]*")):
        return
    import torch

    from alsweep.cli.run import tell
    from alsweep.sweep.environment import unused_cards

    idle = unused_cards(resources, torch.cuda.device_count())
    if idle is not None:
        tell(f"warning: {idle}")
