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
    out: Annotated[Path, typer.Option(help="Folder or archive to write; must not exist.")],
    trajectory: Annotated[
        str | None,
        typer.Option(help="Trajectory id, or the beginning of one.", show_default=False),
    ] = None,
    to: Annotated[
        ExportTarget | None,
        typer.Option(
            help="An nnU-Net raw dataset, nnActive's loop files, or a MONAI bundle.",
            show_default=False,
        ),
    ] = None,
    loop: Annotated[
        int | None, typer.Option(help="Training, from 0; default: the last.", min=0)
    ] = None,
    paper: Annotated[
        bool, typer.Option("--paper", help="The whole run as one archive (.tar.gz) for a paper.")
    ] = False,
) -> None:
    """Write the labels that a training had, as nnU-Net's or nnActive's files, or its networks.

    nnunet: images and labels on the resampled grid, 'ignore' where nothing is annotated, the
    validation cases with all labels, and splits_final.json. nnactive: loop_000.json up to the loop.
    bundle: the ensemble of that training with all it needs for NIfTI images, for monai.bundle run;
    needs no alsweep. --paper: search space, configs, queries, records, versions, checklist and the
    data of all figures, from which 'alsweep run' makes the same table again.

    Example: alsweep export runs/hippocampus-low --trajectory predictive_entropy --loop 2
    --to nnunet --out Dataset104_HippocampusLoop2

    Example: alsweep export runs/hippocampus-low --paper --out hippocampus-low.tar.gz
    """
    if paper:
        _refuse_beside_paper(trajectory, to, loop)
        from alsweep.report.paper import write_paper

        typer.echo(str(write_paper(run, out)))
        return
    if trajectory is None or to is None:
        lacking = "--trajectory" if trajectory is None else "--to"
        raise typer.BadParameter("is needed, unless --paper is given", param_hint=f"'{lacking}'")
    _export_loop(run, trajectory, to, out, loop)


def _refuse_beside_paper(*others: object) -> None:
    if any(one is not None for one in others):
        raise typer.BadParameter(
            "writes the whole run; leave out --trajectory, --to and --loop", param_hint="'--paper'"
        )


def _export_loop(run: Path, trajectory: str, to: ExportTarget, out: Path, loop: int | None) -> None:
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
