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
    from contextlib import ExitStack

    from alsweep.report import write_report
    from alsweep.storage.place import absolute
    from alsweep.storage.rooms import known_as, send, to_read
    from alsweep.sweep.run_folder import refuse_unwritable

    with ExitStack() as held:
        folders = _folders([held.enter_context(to_read(run)) for run in runs])
        if out is not None or (len(folders) == 1 and folders[0].is_dir()):
            refuse_unwritable(absolute(out or folders[0]))
        page = write_report(folders, out)
        send(folders[0], page.parent)
        typer.echo(f"report: {known_as(page)}")


def _folders(paths: list[Path]) -> list[Path]:
    """What of ``RUNS/*`` can be a run: a stray file beside the runs is none."""
    folders = [path for path in paths if not path.is_file()]
    if not folders:
        return paths
    for path in paths:
        if path not in folders:
            typer.echo(f"skipped: {path} is a file, not a run folder", err=True)
    return folders
