"""``alsweep run``: make what is missing of a search space."""

import os
import secrets
import shlex
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from alsweep.config.sweep import ResourcesConfig, SweepConfig, WandbConfig
    from alsweep.sweep.driver import Outcome
    from alsweep.sweep.plan import Plan
    from alsweep.sweep.work import Work
    from alsweep.tracking.base import BackgroundTracker

SOME_FAILED = 3
ALL_FAILED = 1
INTERRUPTED = 130
_MOST_ERRORS = 5
_SECONDS_TO_CLOSE = 10.0
_WIDE = 1000

_ENVIRONMENT = {
    "RAY_AIR_NEW_OUTPUT": "0",  # the new output ignores verbose=0
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_CHDIR_TO_TRIAL_DIR": "0",
    "RAY_DEDUP_LOGS": "0",
    "TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1",  # records are the journal
    "TUNE_DISABLE_SIGINT_HANDLER": "1",  # Tune's would wait for the loops at hand
    "TUNE_GLOBAL_CHECKPOINT_S": "3600",  # Tune's own state is never read again
    "TUNE_WARN_EXCESSIVE_EXPERIMENT_CHECKPOINT_SYNC_THRESHOLD_S": "0",
}


def run(
    space: Annotated[Path, typer.Argument(help="Search space, a YAML file.")],
    out: Annotated[
        Path | None, typer.Option("--out", help="Run folder; default: runs/NAME.")
    ] = None,
    set_: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="PATH=VALUE", help="Override a key; may be repeated."),
    ] = None,
    plugin: Annotated[
        list[Path] | None,
        typer.Option("--plugin", metavar="FILE", help="File with strategies; may be repeated."),
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Say what would be done, and write nothing.")
    ] = False,
    address: Annotated[
        str | None, typer.Option(help="Ray cluster to use; default: a private one here.")
    ] = None,
) -> int:
    """Make what is missing of a sweep: run it, continue it, extend it.

    Example: alsweep run search_spaces/hippocampus-low.yaml --set base.training.epochs=2
    """
    from alsweep.config.load import load_sweep

    sweep = load_sweep(space, set_ or [], plugin or [])
    folder = out or Path("runs") / sweep.name
    plan = plan_of(sweep, space)
    if dry_run:
        check_place_and_device(folder.absolute(), sweep.resources, private=address is None)
        return tell_what_would_be_done(plan, folder)
    return make(plan, folder, address)


def plan_of(sweep: "SweepConfig", space: Path) -> "Plan":
    """Resolve a sweep against its dataset; errors name the search space."""
    from alsweep.data.case import Dataset
    from alsweep.errors import ConfigError
    from alsweep.sweep.plan import make_plan

    dataset = Dataset.open(sweep.dataset.absolute())
    try:
        return make_plan(sweep, dataset)
    except ConfigError as error:
        raise ConfigError(f"{space}: {error}") from error


def make(plan: "Plan", run_folder: Path, address: str | None = None) -> int:
    """Make what is missing of a plan by training, then results and report.

    Returns:
        The exit code.
    """
    from alsweep.sweep.work import Training

    run_folder = run_folder.absolute()
    return carry_out(
        plan, run_folder, Training(run_folder, plan.sweep.resources), address, write_report
    )


def carry_out(
    plan: "Plan",
    run_folder: Path,
    work: "Work",
    address: str | None,
    report: Callable[[Path], Path],
) -> int:
    """Make what is missing of a plan, whatever the work is, and write results and report.

    Args:
        plan: What to make.
        run_folder: Absolute.
        work: Makes trajectories.
        address: Of a Ray cluster, or None.
        report: Writes the report of a run folder; returns the page.

    Returns:
        The exit code.
    """
    wandb = wandb_settings(plan.sweep.wandb)
    prepare_environment(plan.sweep.resources, private=address is None)
    from alsweep.results.records import write_results
    from alsweep.sweep.run_folder import check_same_sweep, driver_lock, write_space
    from alsweep.sweep.stops import stops_raise

    check_same_sweep(run_folder, plan)
    with driver_lock(run_folder), stops_raise():
        # Again, now that nobody else can be at work in it.
        check_same_sweep(run_folder, plan)
        _warn_of_left_out(run_folder, plan)
        try:
            write_space(run_folder, plan)
            outcome = _make_missing(plan, run_folder, work, _tracker(wandb, run_folder), address)
            write_results(run_folder)
            page = report(run_folder)
        except KeyboardInterrupt:
            mend = f"alsweep resume {shlex.quote(str(shown(run_folder)))}"
            typer.echo(f"interrupted; what was finished is saved. Go on with: {mend}", err=True)
            return INTERRUPTED
    _tell_results(run_folder, page)
    return _exit_code(outcome)


def prepare_environment(resources: "ResourcesConfig", *, private: bool) -> None:
    """Ray, Tune and the workers' numerical libraries read these when they are imported."""
    for name, value in _ENVIRONMENT.items():
        os.environ.setdefault(name, value)
    if not private:
        return
    from alsweep.sweep.environment import worker_environment

    # The number of threads is the search space's, since it can change the last bits of a result.
    os.environ.update(worker_environment(resources))
    # Without a token of its own, a private Ray would write one into the user's home.
    os.environ.setdefault("RAY_AUTH_MODE", "token")
    os.environ.setdefault("RAY_AUTH_TOKEN", secrets.token_hex(16))


def _warn_of_left_out(run_folder: Path, plan: "Plan") -> None:
    from alsweep.sweep.run_folder import left_out

    gone = left_out(run_folder, plan)
    if not gone:
        return
    names = gone[0] if len(gone) == 1 else f"{gone[0]}, ..."
    typer.echo(
        f"warning: {len(gone)} trajectories of this run are not in the search space any more "
        f"({names}); their folders stay, but results and report leave them out",
        err=True,
    )


def _make_missing(
    plan: "Plan",
    run_folder: Path,
    work: "Work",
    tracker: "BackgroundTracker",
    address: str | None,
) -> "Outcome":
    from rich.console import Console

    from alsweep.sweep.display import make_display
    from alsweep.sweep.driver import make_missing
    from alsweep.sweep.job import Job
    from alsweep.sweep.missing import loops_done

    loops = {planned.id: loops_done(run_folder, planned) for planned in plan.trajectories}
    try:
        with make_display(run_folder, plan, loops, Console(stderr=True)) as display:
            outcome = make_missing(Job(plan, run_folder, work, display, tracker), address)
    except BaseException:
        tracker.close(patience=_SECONDS_TO_CLOSE)
        raise
    tracker.close()
    return outcome


def wandb_settings(written: "WandbConfig") -> "WandbConfig":
    """The search space's settings, but WANDB_MODE wins, as W&B's users expect.

    Raises:
        ConfigError: There is no such mode, or it needs a login that is not there.
    """
    from alsweep.config.sweep import WandbConfig
    from alsweep.config.validation import validated
    from alsweep.tracking.wandb import require_login

    mode = os.environ.get("WANDB_MODE", written.mode)
    settings = validated(WandbConfig, {**written.plain(), "mode": mode}, {"mode": "WANDB_MODE"})
    if settings.mode == "online":
        require_login()
    return settings


def _tracker(settings: "WandbConfig", run_folder: Path) -> "BackgroundTracker":
    from alsweep.tracking.base import BackgroundTracker, NullTracker
    from alsweep.tracking.wandb import WandbTracker

    if settings.mode == "disabled":
        return BackgroundTracker(NullTracker)
    return BackgroundTracker(lambda: WandbTracker(run_folder, settings))


def _exit_code(outcome: "Outcome") -> int:
    if not outcome.failed:
        return 0
    for id_, error in list(outcome.failed.items())[:_MOST_ERRORS]:
        typer.echo(f"failed: {id_}: {' '.join(error.split())}", err=True)
    total = len(outcome.failed) + outcome.done
    text = f"{len(outcome.failed)} of {total} trajectories failed"
    typer.echo(f"alsweep: error: {text}; mend the cause and resume the run", err=True)
    return SOME_FAILED if outcome.done else ALL_FAILED


def write_report(run_folder: Path) -> Path:
    """Write RUN/report; returns the page."""
    from alsweep.report import write_report as write

    return write([run_folder], run_folder / "report")


def _tell_results(run_folder: Path, page: Path) -> None:
    """A short table and where the report is."""
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    from alsweep.results import aubc, load_results

    table = load_results(run_folder)
    done = table[table["status"] == "done"]
    if not done.empty:
        last = done.sort_values("loop").groupby("trajectory").tail(1)
        keys = ["setting", "strategy", "seed"]
        curves = last.merge(aubc(done), on=keys).groupby("strategy")
        totals = Table("strategy", "final Dice", "AUBC", "trajectories")
        for strategy, rows in curves:
            dice, area = (f"{rows[column].mean():.3f}" for column in ("mean_dice", "aubc"))
            totals.add_row(escape(str(strategy)), dice, area, str(len(rows)))
        Console().print(totals)
    typer.echo(f"report: {shown(page)}")


def shown(path: Path) -> Path:
    """A path as the user would write it."""
    here = Path.cwd()
    return path.relative_to(here) if path.is_relative_to(here) else path


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


def tell_what_would_be_done(plan: "Plan", run_folder: Path) -> int:
    """Print what a run would make; writes nothing and starts nothing."""
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    from alsweep.sweep.missing import loops_done, to_do
    from alsweep.sweep.run_folder import check_same_sweep

    run_folder = run_folder.absolute()
    check_same_sweep(run_folder, plan)
    counted = to_do(run_folder, plan)
    table = Table(*map(escape, plan.sweep.grid), "seed", "loops done")
    # An id is there to be copied: it is folded where the terminal is narrow, and never cut.
    table.add_column("trajectory", overflow="fold")
    for planned in plan.trajectories:
        done = loops_done(run_folder, planned)
        cell = [
            escape(planned.label if key == "strategy" else str(value))
            for key, value in planned.cell.items()
        ]
        seed = str(planned.config.seed)
        table.add_row(*cell, seed, f"{done}/{planned.config.query.loops}", planned.id)
    console = Console()
    # A file or another program takes lines of any length.
    whole = Console(width=_WIDE) if not console.is_terminal else console
    whole.print(table)
    console.print(
        f"{plan.sweep.name} on {plan.dataset_name} in {shown(run_folder)}: "
        f"{len(plan.trajectories)} trajectories, {counted.finished} done, "
        f"{counted.unfinished} to do with {counted.loops} loops\n"
        f"{counted.starts} shared starts; {counted.trainings} trainings "
        f"({counted.unshared_trainings} without sharing)\n"
        f"dry run: nothing was written",
        soft_wrap=True,
        highlight=False,
        markup=False,
    )
    return 0
