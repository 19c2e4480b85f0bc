"""``alsweep report``: tables, plots and the page."""

import time
from collections.abc import Callable, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from alsweep.report.explore import Chosen
    from alsweep.report.queries import Query
    from alsweep.report.views import Predict
    from alsweep.results.records import RunFolder


_EVERY = 60


def report(
    runs: Annotated[
        list[Path] | None, typer.Argument(metavar="RUN...", help="Run folders.", show_default=False)
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(help="Folder to write; RUN/report if left out.", show_default=False),
    ] = None,
    published: Annotated[
        Path | None,
        typer.Option(
            metavar="TABLE", help="Other people's results, of import-results.", show_default=False
        ),
    ] = None,
    from_wandb: Annotated[
        str | None,
        typer.Option(
            metavar="ENTITY/PROJECT",
            help="All trajectories of a W&B project, in place of run folders or beside them.",
            show_default=False,
        ),
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

    Example: alsweep report --from-wandb lab/alsweep --out reports/lab
    """
    from contextlib import ExitStack

    from alsweep.report import write_report
    from alsweep.storage.place import absolute
    from alsweep.storage.rooms import known_as, send, to_read
    from alsweep.sweep.run_folder import refuse_unwritable

    if not runs and from_wandb is None:
        raise typer.BadParameter("name at least one run folder", param_hint="'RUN...'")
    if every is not None and not watch:
        raise typer.BadParameter("says how often --watch looks; add --watch", param_hint="--every")
    with ExitStack() as held:
        folders = _folders([held.enter_context(to_read(run)) for run in runs or []])
        if out is not None or (len(folders) == 1 and folders[0].is_dir()):
            refuse_unwritable(absolute(out or folders[0]))
        there = Path(held.enter_context(TemporaryDirectory()))
        others = _at_wandb(from_wandb, out, there)
        chosen = _chosen(explore or [])

        def write(refresh: int | None) -> None:
            page = write_report(
                [*folders, *others],
                out,
                published,
                refresh=refresh,
                chosen=chosen,
                # While somebody waits for the next loop, drawing all would take too long.
                pictures=refresh is None,
            )
            if folders:
                send(folders[0], page.parent)
            typer.echo(f"report: {known_as(page)}")

        if watch:
            _watch(folders, every or _EVERY, write)
        else:
            write(None)


def _at_wandb(path: str | None, out: Path | None, folder: Path) -> "list[RunFolder]":
    if path is None:
        return []
    if out is None:
        raise typer.BadParameter("needs a folder to write; add --out", param_hint="'--from-wandb'")
    from alsweep.sweep.from_wandb import runs_at_wandb

    return runs_at_wandb(path, folder)


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


def _watch(runs: Sequence[Path], every: int, write: "Callable[[int | None], None]") -> None:
    """Write the report whenever loops have ended; the last one is of all that there is."""
    from alsweep.storage.rooms import refresh
    from alsweep.sweep.run_folder import active_driver

    seen: object = None
    while True:
        # Asked before reading, so that what comes in between is looked at once more.
        working = any(active_driver(run) is not None for run in runs)
        for run in runs:
            refresh(run)
        now = [_state(run) for run in runs]
        if now != seen or not working:
            write(every if working else None)
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
