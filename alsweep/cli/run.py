"""``alsweep run``: make what is missing of a search space."""

import shlex
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from alsweep.cli.options import Address, DryRun, Overrides, Plugins, RunPlace, Space
from alsweep.layout import report_folder, report_page, space_path
from alsweep.storage.place import absolute
from alsweep.storage.rooms import to_read, to_work_in
from alsweep.sweep.environment import cluster_address
from alsweep.sweep.order import ORDER_HELP, Order
from alsweep.sweep.retry import RETRY_HELP, Retry

if TYPE_CHECKING:
    from alsweep.config.sweep import SweepConfig
    from alsweep.sweep.job import Outcome
    from alsweep.sweep.monitor import Monitor
    from alsweep.sweep.plan import Plan

INTERRUPTED = 130


def run(
    space: Space,
    out: RunPlace = None,
    set_: Overrides = None,
    plugin: Plugins = None,
    dry_run: DryRun = False,
    plan_only: Annotated[
        bool,
        typer.Option("--plan-only", help="Begin the run folder for 'alsweep worker', and no more."),
    ] = False,
    as_json: Annotated[
        bool, typer.Option("--json", help="Dry run: one JSON object, for machines.")
    ] = False,
    verbose: Annotated[
        bool, typer.Option("--verbose", help="Dry run: a row for each of many trajectories, too.")
    ] = False,
    calibrate: Annotated[
        bool, typer.Option("--calibrate", help="Dry run: time real steps here, a minute at most.")
    ] = False,
    price: Annotated[
        float | None,
        typer.Option(min=0, help="Dry run: of a GPU's hour; without GPUs, of a worker's."),
    ] = None,
    address: Address = None,
    order: Annotated[Order, typer.Option(help=ORDER_HELP)] = Order.seeds,
    retry: Annotated[Retry, typer.Option(help=RETRY_HELP)] = Retry.failed,
    mix_numerics: Annotated[
        bool,
        typer.Option(
            "--mix-numerics", help="Go on with loops of an alsweep whose numbers are others."
        ),
    ] = False,
) -> int:
    """Make what is missing of a sweep: run it, continue it, extend it.

    Example: alsweep run search_spaces/hippocampus-low.yaml --set base.training.epochs=2
    """
    from alsweep.cli.dry_run import Asked
    from alsweep.cli.dry_run import dry_run as foretell_run
    from alsweep.sweep.planning import plan_read

    asked = Asked(as_json, verbose, calibrate, price, cluster_address(address), mix_numerics)
    if not dry_run:
        asked.refuse_without_dry_run()
    sweep, place = read_space(space, out, set_ or [], plugin or [])
    if dry_run:
        with to_read(place) as folder:
            return foretell_run(sweep, space, folder, set_ or [], asked)
    with to_work_in(place) as folder:
        private = cluster_address(address) is None
        plan = plan_read(sweep, space, folder, set_ or [], tell, private=private)
        if plan_only:
            return _plan_only(plan, folder, mix_numerics=mix_numerics, retry=retry)
        return make(plan, folder, address, order, mix_numerics=mix_numerics, retry=retry)


def _plan_only(plan: "Plan", folder: Path, *, mix_numerics: bool, retry: Retry) -> int:
    from alsweep.storage.rooms import shown
    from alsweep.sweep.running import write_plan

    left = write_plan(plan, folder, Terminal(), mix_numerics=mix_numerics, retry=retry)
    tell(f"{left} trajectories to do, on as many machines as you like:")
    typer.echo(f"alsweep worker {shlex.quote(str(shown(folder)))}")
    return 0


def read_space(
    space: Path, out: Path | None, overrides: list[str], plugins: list[Path]
) -> "tuple[SweepConfig, Path]":
    """The sweep that a command names, and the place of its run, absolute."""
    from alsweep.config.load import load_sweep

    sweep = load_sweep(space, overrides, plugins)
    return sweep, absolute(out or Path("runs") / sweep.name)


def tell(text: str) -> None:
    """Say a line on stderr."""
    typer.echo(text, err=True)


class Terminal:
    """The audience of a sweep on the command line."""

    def tell(self, text: str) -> None:
        """Say a line on stderr."""
        tell(text)

    def watch(self, run: Path, plan: "Plan") -> "AbstractContextManager[Monitor]":
        """A live table, or a line for each loop."""
        from rich.console import Console

        from alsweep.sweep.display import make_display
        from alsweep.sweep.missing import loops_done

        loops = {planned.id: loops_done(run, planned) for planned in plan.trajectories}
        return make_display(run, plan, loops, Console(stderr=True))


def make(
    plan: "Plan",
    run_folder: Path,
    address: str | None = None,
    order: Order = Order.seeds,
    *,
    mix_numerics: bool = False,
    retry: Retry = Retry.failed,
) -> int:
    """Make what is missing of a plan by training, then results and report.

    Returns:
        The exit code.
    """
    from alsweep.sweep import run_sweep

    run_folder = run_folder.absolute()
    try:
        with _told_how_to_go_on(run_folder):
            outcome = run_sweep(
                plan,
                run_folder,
                address=address,
                order=order,
                audience=Terminal(),
                mix_numerics=mix_numerics,
                retry=retry,
            )
    except KeyboardInterrupt:
        if not space_path(run_folder).exists():
            raise
        tell(f"interrupted; {_go_on(run_folder)}")
        return INTERRUPTED
    _tell_results(run_folder)
    code = _exit_code(outcome) if outcome.done + len(outcome.failed) else 0
    if outcome.stopped is not None:
        _tell_stop(run_folder, outcome)
    return code


def _tell_stop(run_folder: Path, outcome: "Outcome") -> None:
    """How to go on, and as the last line of all where it stopped."""
    from alsweep.storage.rooms import shown

    name = shlex.quote(str(shown(run_folder)))
    space = shlex.quote(str(shown(space_path(run_folder))))
    cap, untold = outcome.stopped, outcome.configurations
    again = f"alsweep resume {name}, or with another cap: " if cap == "caps.hours" else ""
    tell(
        f"what was finished is saved. Go on with: {again}"
        f"alsweep run {space} --out {name} --set {cap}=..."
    )
    searched = f" and {untold} configurations of the search" if untold else ""
    tell(f"stopped at {cap}: {outcome.left} trajectories{searched} left")


def _go_on(run_folder: Path) -> str:
    from alsweep.storage.rooms import shown

    mend = f"alsweep resume {shlex.quote(str(shown(run_folder)))}"
    return f"what was finished is saved. Go on with: {mend}"


@contextmanager
def _told_how_to_go_on(run_folder: Path) -> Iterator[None]:
    """Add to a full disk how the run is taken up again, once it has begun."""
    from alsweep.errors import DiskFullError

    try:
        yield
    except DiskFullError as error:
        if not space_path(run_folder).exists():
            raise
        raise DiskFullError(f"{error}; {_go_on(run_folder)}") from error


def _exit_code(outcome: "Outcome") -> int:
    from alsweep.cli.failures import tell_failures

    total = len(outcome.failed) + outcome.done
    return tell_failures(outcome.failed, total, "trajectories", "resume the run")


def _tell_results(run_folder: Path) -> None:
    """A short table and where the report is."""
    from alsweep.cli.results_table import print_results
    from alsweep.results import load_results

    print_results(load_results(run_folder))
    tell_report(run_folder)


def tell_report(run_folder: Path) -> None:
    """Say where the report of a run is."""
    from alsweep.storage.rooms import shown

    typer.echo(f"report: {shown(report_page(report_folder(run_folder)))}")
