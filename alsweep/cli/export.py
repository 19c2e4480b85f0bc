"""``alsweep export``: one loop of a trajectory for other programs."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer


class ExportTarget(StrEnum):
    """What can be written."""

    nnunet = "nnunet"
    nnactive = "nnactive"
    bundle = "bundle"


def export(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="Run folder.")],
    trajectory: Annotated[str, typer.Option(help="Trajectory id, or the beginning of one.")],
    to: Annotated[
        ExportTarget,
        typer.Option(help="An nnU-Net raw dataset, nnActive's loop files, or a MONAI bundle."),
    ],
    out: Annotated[Path, typer.Option(help="Folder to write; must not exist.")],
    loop: Annotated[
        int | None, typer.Option(help="Training, from 0; default: the last.", min=0)
    ] = None,
) -> None:
    """Write the labels that a training had, as nnU-Net's or nnActive's files, or its networks.

    nnunet: images and labels on the resampled grid, 'ignore' where nothing is annotated, the
    validation cases with all labels, and splits_final.json. nnactive: loop_000.json up to the loop.
    bundle: the ensemble of that training with all it needs for NIfTI images, for monai.bundle run;
    needs no alsweep.

    Example: alsweep export runs/hippocampus-low --trajectory predictive_entropy --loop 2
    --to nnunet --out Dataset104_HippocampusLoop2
    """
    from alsweep.report.queries import find_trajectory
    from alsweep.report.volumes import open_dataset
    from alsweep.results.records import read_run
    from alsweep.storage.rooms import refuse_remote, to_read
    from alsweep.trajectory.export import Target, export_loop

    refuse_remote(out, "--out")
    with to_read(run) as folder:
        known = read_run(folder)
        found = find_trajectory(known.trajectories, trajectory)
        dataset = open_dataset(known, found)
        if to is ExportTarget.bundle:
            from alsweep.trajectory.bundle import export_bundle

            typer.echo(str(export_bundle(folder, found, loop, out, dataset)))
            return
        target: Target = "nnunet" if to is ExportTarget.nnunet else "nnactive"
        for path in export_loop(found.folder, loop, target, out, dataset):
            typer.echo(str(path))
