"""``alsweep report``: tables, plots and the page."""

from pathlib import Path
from typing import Annotated

import typer


def report(
    runs: Annotated[list[Path], typer.Argument(metavar="RUN...", help="Run folders.")],
    out: Annotated[
        Path | None,
        typer.Option(help="Folder to write; RUN/report if left out.", show_default=False),
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
    page = write_report(runs, out)
    typer.echo(f"report: {page}")


def _folders(paths: list[Path]) -> list[Path]:
    """What of ``RUNS/*`` can be a run: a stray file beside the runs is none."""
    folders = [path for path in paths if not path.is_file()]
    if not folders:
        return paths
    for path in paths:
        if path not in folders:
            typer.echo(f"skipped: {path} is a file, not a run folder", err=True)
    return folders
