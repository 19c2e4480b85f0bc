"""``alsweep fulldata``: what the same recipe reaches on the fully annotated pool."""

import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from collections.abc import Mapping

    from alsweep.sweep.fulldata import Reference
    from alsweep.sweep.plan import Plan
    from alsweep.sweep.work import Work


def fulldata(
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
    """Train the recipes of a search space on the fully annotated pool, where that is missing.

    There is one reference for each distinct training, evaluation and seed. They go into
    RUN/fulldata; the report draws them as a horizontal line and takes them for c of FG-Eff.

    Example: alsweep fulldata search_spaces/hippocampus-low.yaml --out runs/hippocampus-low
    """
    from alsweep.cli.dry_run import check_place_and_device
    from alsweep.cli.run import plan_of, recorded_run
    from alsweep.config.load import load_sweep
    from alsweep.sweep import work

    sweep = load_sweep(space, set_ or [], plugin or [])
    folder = (out or Path("runs") / sweep.name).absolute()
    plan = plan_of(sweep, space, recorded_run(sweep, space, folder, set_ or []))
    if dry_run:
        check_place_and_device(folder, sweep.resources, private=address is None)
        return _tell_what_would_be_done(plan, folder, private=address is None)
    again = shlex.join(["alsweep", "fulldata", str(space), "--out", str(out or folder)])
    return _make(plan, folder, work.Training(folder, sweep.resources), address, again)


def _make(plan: "Plan", run: Path, work: "Work", address: str | None, again: str) -> int:
    """Make what is missing and tell what there is; returns the exit code."""
    from alsweep.cli.failures import tell_failures
    from alsweep.cli.run import INTERRUPTED, prepare_environment
    from alsweep.disk import full_disk_told

    prepare_environment(plan.sweep.resources, private=address is None)
    from alsweep.sweep.fulldata import references
    from alsweep.sweep.run_folder import SPACE, check_same_sweep, driver_lock, write_space
    from alsweep.sweep.stops import stops_raise

    check_same_sweep(run, plan)
    with full_disk_told(run), driver_lock(run), stops_raise():
        check_same_sweep(run, plan)
        # A run that was begun keeps its own search space: it may hold more than this one asks for.
        if not (run / SPACE).exists():
            write_space(run, plan)
        try:
            failed = _make_missing(plan, run, work, address)
            wanted = references(plan)
            _tell_results(run, wanted)
            _refresh_report(run)
        except KeyboardInterrupt:
            typer.echo(
                f"interrupted; trained members are saved. Go on with: {again}, "
                "and the same --set if there was any",
                err=True,
            )
            return INTERRUPTED
    mend = "run the same command again"
    return tell_failures(failed, len(wanted), "full-data references", mend)


def _make_missing(
    plan: "Plan", run: Path, work: "Work", address: str | None
) -> "Mapping[str, str]":
    from rich.console import Console

    from alsweep.sweep.fulldata import make_references, missing_references
    from alsweep.sweep.reference_display import ReferenceDisplay

    missing = missing_references(run, plan)
    if not missing:
        return {}
    resources = plan.sweep.resources
    with ReferenceDisplay(run, missing, Console(stderr=True)) as display:
        return make_references(missing, run, work, resources, display.ended, address)


def _tell_results(run: Path, wanted: "list[Reference]") -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    from alsweep.results.fulldata import read_reference
    from alsweep.sweep.monitor import dice_text

    shown = Table("full data", "Dice", r"train \[s]", "trajectories")
    for reference in wanted:
        record = read_reference(run, reference.key)
        if record is not None:
            seconds = f"{record.train_seconds:.1f}"
            dice = dice_text(record.mean_dice)
            shown.add_row(Text(reference.name), dice, seconds, str(reference.sharers))
    Console().print(shown)


def _refresh_report(run: Path) -> None:
    """Write the report anew where there is one, so that it shows the references."""
    from alsweep.cli import run as run_command

    if (run / "report" / "index.html").exists():
        typer.echo(f"report: {run_command.shown(run_command.write_report(run))}")


def _tell_what_would_be_done(plan: "Plan", run: Path, *, private: bool) -> int:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    from alsweep.cli.dry_run import foretell
    from alsweep.results.fulldata import read_reference
    from alsweep.sweep.fulldata import references
    from alsweep.sweep.run_folder import check_same_sweep

    check_same_sweep(run, plan)
    wanted = references(plan)
    busy = any(read_reference(run, reference.key) is None for reference in wanted)
    foretell(run, plan.sweep, private=private, busy=busy)
    table = Table("full data", "trajectories", "members", "done")
    done = 0
    for reference in wanted:
        made = read_reference(run, reference.key) is not None
        done += made
        members = str(reference.example.config.training.members)
        sharers = str(reference.sharers)
        table.add_row(Text(reference.name), sharers, members, "yes" if made else "no")
    Console().print(table)
    typer.echo(
        f"full-data references: {done} of {len(wanted)} done, {len(wanted) - done} to do\n"
        "dry run: nothing was written"
    )
    return 0
