"""``alsweep run``: make what is missing of a search space."""

import os
import secrets
import shlex
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from alsweep.cli.paths import expanded

if TYPE_CHECKING:
    from alsweep.config.sweep import ResourcesConfig, SweepConfig, WandbConfig
    from alsweep.data.case import Dataset
    from alsweep.sweep.driver import Outcome
    from alsweep.sweep.plan import Plan
    from alsweep.sweep.work import Work
    from alsweep.tracking.base import BackgroundTracker

INTERRUPTED = 130
_SECONDS_TO_CLOSE = 10.0

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
    from alsweep.cli.dry_run import check_place_and_device, check_wandb, tell_what_would_be_done
    from alsweep.config.load import load_sweep

    sweep = load_sweep(space, set_ or [], plugin or [])
    folder = out or Path("runs") / sweep.name
    plan = plan_of(sweep, space, recorded_run(sweep, space, folder, set_ or []))
    if dry_run:
        check_place_and_device(folder.absolute(), sweep.resources, private=address is None)
        check_wandb(sweep)
        tell_forecast(folder.absolute(), plan, private=address is None)
        return tell_what_would_be_done(plan, folder, private=address is None)
    return make(plan, folder, address)


def recorded_run(
    sweep: "SweepConfig", space: Path, out: Path, overrides: Sequence[str]
) -> Path | None:
    """The run folder whose own dataset a search space asks for; None where it names any other.

    A RUN/sweep.yaml with another ``--out`` may be run on whatever lies at its dataset's place.
    """
    if sweep.provenance is None or any(o.startswith("dataset=") for o in overrides):
        return None
    run = space.absolute().parent
    return run if out.absolute() == run or not sweep.dataset.exists() else None


def plan_of(sweep: "SweepConfig", space: Path, run: Path | None = None) -> "Plan":
    """Resolve a sweep against its dataset; errors name the search space.

    Args:
        sweep: What to plan.
        space: Where it was read.
        run: Run folder that the sweep is a record of, whose dataset may have been moved with it.
    """
    from alsweep.data.case import Dataset
    from alsweep.data.recorded import open_recorded
    from alsweep.errors import ConfigError
    from alsweep.sweep.plan import make_plan

    place = expanded(sweep.dataset, f"{space}: dataset").absolute()
    if run is None or sweep.provenance is None:
        dataset = Dataset.open(place)
    else:
        dataset = open_recorded(place, sweep.provenance.dataset_fingerprint, run)
    try:
        plan = make_plan(sweep, dataset)
    except ConfigError as error:
        raise ConfigError(f"{space}: {error}") from error
    _warn_of_small_cases(plan, dataset)
    return plan


def _warn_of_small_cases(plan: "Plan", dataset: "Dataset") -> None:
    from alsweep.data.ingest.sizes import dwarfed, dwarfed_text, training_patch

    asked = {planned.config.training.patch_size for planned in plan.trajectories}
    for patch in sorted({training_patch(size, dataset) for size in asked}):
        cases = dwarfed((dataset.cases[case] for case in dataset.pool), patch)
        if cases:
            typer.echo(
                f"warning: {dwarfed_text(cases, patch)}; a smaller training.patch_size trains "
                "more on what they hold",
                err=True,
            )


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
    unset_which_run(wandb)
    prepare_environment(plan.sweep.resources, private=address is None)
    from alsweep.disk import full_disk_told
    from alsweep.results.records import write_results
    from alsweep.sweep.run_folder import check_same_sweep, driver_lock, refresh_configs, write_space
    from alsweep.sweep.stops import stops_raise

    check_same_sweep(run_folder, plan)
    with (
        _told_how_to_go_on(run_folder),
        full_disk_told(run_folder),
        driver_lock(run_folder),
        stops_raise(),
    ):
        # Again, now that nobody else can be at work in it.
        check_same_sweep(run_folder, plan)
        warn_of_left_out(run_folder, plan)
        warn_of_other_defaults(run_folder, plan)
        tell_forecast(run_folder, plan, private=address is None)
        try:
            write_space(run_folder, plan)
            refresh_configs(run_folder, plan)
            outcome = _make_missing(plan, run_folder, work, _tracker(wandb, run_folder), address)
            write_results(run_folder)
            page = report(run_folder)
        except KeyboardInterrupt:
            typer.echo(f"interrupted; {_go_on(run_folder)}", err=True)
            return INTERRUPTED
    _tell_results(run_folder, page)
    return _exit_code(outcome)


def _go_on(run_folder: Path) -> str:
    mend = f"alsweep resume {shlex.quote(str(shown(run_folder)))}"
    return f"what was finished is saved. Go on with: {mend}"


@contextmanager
def _told_how_to_go_on(run_folder: Path) -> Iterator[None]:
    """Add to a full disk how the run is taken up again, once it has begun."""
    from alsweep.errors import DiskFullError
    from alsweep.sweep.run_folder import SPACE

    try:
        yield
    except DiskFullError as error:
        if not (run_folder / SPACE).exists():
            raise
        raise DiskFullError(f"{error}; {_go_on(run_folder)}") from error


def prepare_environment(resources: "ResourcesConfig", *, private: bool) -> None:
    """Ray, Tune and the workers' numerical libraries read these when they are imported."""
    for name, value in _ENVIRONMENT.items():
        os.environ.setdefault(name, value)
    if not private:
        return
    from alsweep.sweep.environment import worker_environment

    if "RAY_TMPDIR" in os.environ:  # which Ray prefers to TMPDIR: all that is temporary goes there
        tempfile.tempdir = os.environ["RAY_TMPDIR"]
    # The number of threads is the search space's, since it can change the last bits of a result.
    os.environ.update(worker_environment(resources))
    # Without a token of its own, a private Ray would write one into the user's home.
    os.environ.setdefault("RAY_AUTH_MODE", "token")
    os.environ.setdefault("RAY_AUTH_TOKEN", secrets.token_hex(16))


def tell_forecast(run_folder: Path, plan: "Plan", *, private: bool) -> None:
    """Say on stderr what is going to be written, before anything is."""
    from alsweep.sweep.forecast import forecast

    expected = forecast(run_folder, plan, private=private)
    if expected is not None:
        typer.echo(expected.told, err=True)


def warn_of_left_out(run_folder: Path, plan: "Plan") -> None:
    """Name what the run folder holds and the plan has no more."""
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


def warn_of_other_defaults(run_folder: Path, plan: "Plan") -> None:
    """Say why a file that nobody changed means other trajectories than it did."""
    from alsweep.sweep.changed_defaults import changed_defaults
    from alsweep.sweep.run_folder import SPACE, provenance_of, stored_sweep

    if plan.sweep.provenance is not None or not (run_folder / SPACE).exists():
        return
    stored = stored_sweep(run_folder)
    changed = changed_defaults(stored, plan)
    if not changed:
        return
    version = provenance_of(run_folder, stored).version
    what = ", ".join(f"{key} {then} -> {now}" for key, (then, now) in changed.items())
    typer.echo(
        f"warning: the search space leaves to defaults what was different when this run began "
        f"(alsweep {version}): {what}; new trajectories are made. To go on with the old ones: "
        f"alsweep resume {shlex.quote(str(shown(run_folder)))}",
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


def wandb_settings(written: "WandbConfig", *, ask: bool = True) -> "WandbConfig":
    """The search space's settings, but WANDB_MODE wins, as W&B's users expect.

    Args:
        written: The search space's.
        ask: Whether to look for the login that ``online`` needs; on a terminal W&B asks for it.

    Raises:
        ConfigError: There is no such mode, or it needs a login that is not there.
    """
    from alsweep.config.sweep import WandbConfig
    from alsweep.config.validation import validated
    from alsweep.tracking.wandb import require_login

    mode = os.environ.get("WANDB_MODE", written.mode)
    settings = validated(WandbConfig, {**written.plain(), "mode": mode}, {"mode": "WANDB_MODE"})
    if settings.mode == "online" and ask:
        require_login()
    return settings


def unset_which_run(settings: "WandbConfig") -> None:
    """Keep W&B's client from what the environment says of a single run, and say so."""
    from alsweep.tracking.wandb import WHICH_RUN

    if settings.mode == "disabled":
        return
    found = [name for name in WHICH_RUN if os.environ.pop(name, None) is not None]
    if found:
        verb = "is" if len(found) == 1 else "are"
        typer.echo(
            f"warning: {', '.join(found)} {verb} not heeded: every trajectory has a W&B run of its "
            "own",
            err=True,
        )


def _tracker(settings: "WandbConfig", run_folder: Path) -> "BackgroundTracker":
    from alsweep.tracking.base import BackgroundTracker, NullTracker
    from alsweep.tracking.wandb import WandbTracker

    if settings.mode == "disabled":
        return BackgroundTracker(NullTracker)
    return BackgroundTracker(lambda: WandbTracker(run_folder, settings))


def _exit_code(outcome: "Outcome") -> int:
    from alsweep.cli.failures import tell_failures

    total = len(outcome.failed) + outcome.done
    return tell_failures(outcome.failed, total, "trajectories", "resume the run")


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
