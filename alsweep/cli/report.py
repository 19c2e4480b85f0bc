"""``alsweep report``: tables, plots and the page."""

import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from alsweep.report.explore import Chosen
    from alsweep.report.queries import Query
    from alsweep.report.views import Predict


_EVERY = 60


def report(
    runs: Annotated[list[Path], typer.Argument(metavar="RUN...", help="Run folders.")],
    out: Annotated[
        Path | None,
        typer.Option(help="Folder to write; RUN/report if left out.", show_default=False),
    ] = None,
    watch: Annotated[
        bool, typer.Option("--watch", help="Write it anew as loops end, until all have.")
    ] = False,
    explore: Annotated[
        list[str] | None,
        typer.Option(
            metavar="ID",
            help="Trajectory to show in space with what its networks said, or the beginning of "
            "an id; may be repeated. Without it a few are shown without predictions.",
            show_default=False,
        ),
    ] = None,
    every: Annotated[
        int | None,
        typer.Option(
            help=f"Seconds between looks, with --watch; {_EVERY} if left out.",
            min=1,
            show_default=False,
        ),
    ] = None,
) -> None:
    """Write tables, plots and a self-contained page on one or several runs.

    Example: alsweep report runs/hippocampus-low
    """
    from alsweep.report import write_report
    from alsweep.sweep.run_folder import refuse_unwritable

    runs = _folders(runs)
    if out is not None or (len(runs) == 1 and runs[0].is_dir()):
        refuse_unwritable((out or runs[0]).absolute())
    if every is not None and not watch:
        raise typer.BadParameter("says how often --watch looks; add --watch", param_hint="--every")
    chosen = _chosen(explore or [])
    if watch:
        _watch(runs, out, every or _EVERY, chosen)
        return
    page = write_report(runs, out, chosen=chosen)
    typer.echo(f"report: {page}")


def _chosen(ids: Sequence[str]) -> "Chosen":
    from alsweep.report.explore import Chosen

    return Chosen(tuple(ids), _ask if ids else None)


def _ask(query: "Query") -> "tuple[Predict, str]":
    """The networks that chose a query, as the report asks them."""
    from functools import partial

    from alsweep.cli.networks import open_networks
    from alsweep.cli.progress import CaseProgress
    from alsweep.trajectory.stored_networks import voxel_map

    assert query.trajectory.config is not None
    score = voxel_map(query.trajectory.config.strategy)
    with CaseProgress("report") as progress:
        networks = open_networks(query, progress)
    return partial(networks.scored, score=score), score.name.replace("_", " ")


def _watch(runs: Sequence[Path], out: Path | None, every: int, chosen: "Chosen") -> None:
    """Write the report whenever loops have ended; the last one is of all that there is."""
    from alsweep.report import write_report
    from alsweep.sweep.run_folder import active_driver

    seen: object = None
    while True:
        # Asked before reading, so that what comes in between is looked at once more.
        working, now = (
            any(active_driver(run) is not None for run in runs),
            [_state(run) for run in runs],
        )
        if now != seen or not working:
            page = write_report(runs, out, refresh=every if working else None, chosen=chosen)
            typer.echo(f"report: {page}")
            seen = now
        if not working:
            return
        time.sleep(every)


def _state(run: Path) -> list[tuple[str, int]]:
    """What changes with each loop that ends."""
    from alsweep.layout import trajectories_folder

    folders = sorted(trajectories_folder(run).glob("*/records"))
    return [(folder.parent.name, folder.stat().st_mtime_ns) for folder in folders]


def _folders(paths: list[Path]) -> list[Path]:
    """What of ``RUNS/*`` can be a run: a stray file beside the runs is none."""
    folders = [path for path in paths if not path.is_file()]
    if not folders:
        return paths
    for path in paths:
        if path not in folders:
            typer.echo(f"skipped: {path} is a file, not a run folder", err=True)
    return folders
