"""``alsweep export``: one loop of a trajectory for other programs."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer


class ExportTarget(StrEnum):
    """What can be written."""

    nnunet = "nnunet"
    nnactive = "nnactive"


def export(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="Run folder.")],
    trajectory: Annotated[str, typer.Option(help="Trajectory id, or the beginning of one.")],
    loop: Annotated[int, typer.Option(help="0 is the starting budget.", min=0)],
    to: Annotated[
        ExportTarget, typer.Option(help="An nnU-Net raw dataset, or nnActive's loop files.")
    ],
    out: Annotated[Path, typer.Option(help="Folder to write; must not exist.")],
) -> None:
    """Write the labels that a training had, as nnU-Net's or nnActive's files.

    nnunet: images and labels on the resampled grid, 'ignore' where nothing is annotated, the
    validation cases with all labels, and splits_final.json. nnactive: loop_000.json up to the loop.

    Example: alsweep export runs/hippocampus-low --trajectory predictive_entropy --loop 2
    --to nnunet --out Dataset104_HippocampusLoop2
    """
    from alsweep.report.queries import find_trajectory
    from alsweep.results.records import read_run
    from alsweep.trajectory.export import export_loop

    found = find_trajectory(read_run(run).trajectories, trajectory)
    for path in export_loop(found.folder, loop, to.value, out):
        typer.echo(str(path))
