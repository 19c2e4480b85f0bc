"""``alsweep fulldata``: what the same recipe reaches on the fully annotated pool."""

import shlex
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from alsweep.cli.options import Address, DryRun, Overrides, Plugins, RunPlace, Space
from alsweep.layout import report_folder, report_page
from alsweep.sweep.environment import cluster_address

if TYPE_CHECKING:
    from alsweep.sweep.fulldata import OnEnd, Reference
    from alsweep.sweep.plan import Plan


def fulldata(
    space: Space,
    out: RunPlace = None,
    set_: Overrides = None,
    plugin: Plugins = None,
    dry_run: DryRun = False,
    address: Address = None,
) -> int:
    """Train the recipes of a search space on the fully annotated pool, where that is missing.

    There is one reference for each distinct training, evaluation and seed. They go into
    RUN/fulldata; the report draws them as a horizontal line and takes them for c of FG-Eff.

    Example: alsweep fulldata search_spaces/hippocampus-low.yaml --out runs/hippocampus-low
    """
    from alsweep.cli.dry_run import check_place_and_device
    from alsweep.cli.run import read_space, tell
    from alsweep.storage.place import spelled
    from alsweep.storage.rooms import to_read, to_work_in
    from alsweep.sweep.planning import plan_read

    sweep, place = read_space(space, out, set_ or [], plugin or [])
    with to_read(place) if dry_run else to_work_in(place) as run:
        plan = plan_read(sweep, space, run, set_ or [], tell)
        if dry_run:
            private = cluster_address(address) is None
            check_place_and_device(run, plan.sweep.resources, private=private)
            return _tell_what_would_be_done(plan, run, private=private)
        again = shlex.join(["alsweep", "fulldata", str(space), "--out", spelled(out or place)])
        return _make(plan, run, address, again)


def _make(plan: "Plan", run: Path, address: str | None, again: str) -> int:
    """Make what is missing and tell what there is; returns the exit code."""
    from alsweep.cli.failures import tell_failures
    from alsweep.cli.run import INTERRUPTED, tell, tell_report
    from alsweep.sweep.deciding import extended
    from alsweep.sweep.fulldata import references, run_references

    try:
        failed = run_references(plan, run, partial(_display, run), address=address)
    except KeyboardInterrupt:
        tell(
            f"interrupted; trained members are saved. Go on with: {again}, and the same --set if "
            "there was any"
        )
        return INTERRUPTED
    wanted = references(extended(plan, run))
    _tell_results(run, wanted)
    if report_page(report_folder(run)).exists():
        tell_report(run)
    return tell_failures(failed, len(wanted), "full-data references", "run the same command again")


@contextmanager
def _display(run: Path, missing: "Sequence[Reference]") -> "Iterator[OnEnd]":
    from rich.console import Console

    from alsweep.sweep.reference_display import ReferenceDisplay

    with ReferenceDisplay(run, missing, Console(stderr=True)) as display:
        yield display.ended


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


def _tell_what_would_be_done(plan: "Plan", run: Path, *, private: bool) -> int:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    from alsweep.cli.dry_run import foretell
    from alsweep.cli.run import tell
    from alsweep.results.fulldata import read_reference
    from alsweep.sweep.deciding import extended
    from alsweep.sweep.fulldata import references
    from alsweep.sweep.run_folder import check_same_sweep

    check_same_sweep(run, plan)
    wanted = references(extended(plan, run))
    busy = any(read_reference(run, reference.key) is None for reference in wanted)
    foretell(run, plan.sweep, private=private, busy=busy, tell=tell)
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
