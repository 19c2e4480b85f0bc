"""``alsweep queries``: pictures of the patches that a trajectory queried."""

from pathlib import Path
from typing import Annotated

import typer


def queries(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="Run folder.")],
    trajectory: Annotated[str, typer.Option(help="Trajectory id, or the beginning of one.")],
    loop: Annotated[int, typer.Option(help="0 is the starting budget.", min=0)],
    out: Annotated[
        Path | None,
        typer.Option(
            help="Folder to write; one in RUN/report/queries if left out.", show_default=False
        ),
    ] = None,
) -> None:
    """Draw the patches annotated just before a training, one picture each and an overview.

    Example: alsweep queries runs/hippocampus-low --trajectory predictive_entropy --loop 1
    """
    from alsweep.report.queries import draw_queries

    for path in draw_queries(run, trajectory, loop, out):
        typer.echo(str(path))
