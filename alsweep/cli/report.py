"""``alsweep report``: tables, plots and the page."""

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from alsweep.results.records import RunFolder


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
    with ExitStack() as held:
        folders = _folders([held.enter_context(to_read(run)) for run in runs or []])
        if out is not None or (len(folders) == 1 and folders[0].is_dir()):
            refuse_unwritable(absolute(out or folders[0]))
        there = Path(held.enter_context(TemporaryDirectory()))
        others = _at_wandb(from_wandb, out, there)
        page = write_report([*folders, *others], out, published)
        if folders:
            send(folders[0], page.parent)
        typer.echo(f"report: {known_as(page)}")


def _at_wandb(path: str | None, out: Path | None, folder: Path) -> "list[RunFolder]":
    if path is None:
        return []
    if out is None:
        raise typer.BadParameter("needs a folder to write; add --out", param_hint="'--from-wandb'")
    from alsweep.sweep.from_wandb import runs_at_wandb

    return runs_at_wandb(path, folder)


def _folders(paths: list[Path]) -> list[Path]:
    """What of ``RUNS/*`` can be a run: a stray file beside the runs is none."""
    folders = [path for path in paths if not path.is_file()]
    if not folders:
        return paths
    for path in paths:
        if path not in folders:
            typer.echo(f"skipped: {path} is a file, not a run folder", err=True)
    return folders
