"""``alsweep predict``: what a run's networks say of images."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from alsweep.results.records import RunFolder, TrajectoryFolder


def predict(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="Run folder.")],
    images: Annotated[
        list[Path],
        typer.Argument(
            metavar="IMAGES...", help="Image files or folders; CASE_0000, _0001... by channel."
        ),
    ],
    out: Annotated[Path, typer.Option(help="Folder to write; must not exist.")],
    trajectory: Annotated[
        str | None, typer.Option(help="Id, or its beginning; where the run has several.")
    ] = None,
    probabilities: Annotated[
        bool, typer.Option("--probabilities", help="Write CASE_probabilities.nii.gz, too.")
    ] = False,
) -> None:
    """Segment images with the latest networks of a run, each on its own grid.

    Example: alsweep predict runs/liver scans/*.nii.gz --out segmented
    """
    from alsweep.cli.progress import CaseProgress
    from alsweep.data.exchange.images import images_in
    from alsweep.layout import models_folder
    from alsweep.report.volumes import open_dataset
    from alsweep.results.records import read_run
    from alsweep.storage.rooms import refuse_remote, to_read
    from alsweep.sweep.run_folder import load_plugins
    from alsweep.trajectory.predicting import Predictor
    from alsweep.trajectory.stored_networks import StoredNetworks

    refuse_remote(out, "--out")
    with to_read(run) as folder:
        found = read_run(folder)
        one = _chosen(found, trajectory)
        assert one.config is not None
        load_plugins(folder, one.config)
        dataset = open_dataset(found, one)
        files = images_in(images, len(dataset.channels))
        models = models_folder(folder)
        networks = StoredNetworks(one, len(one.records), dataset=dataset, models=models)
        with CaseProgress("predict") as progress:
            for path in Predictor(networks, dataset, probabilities).write(
                files, out, lambda done: progress.show("predicting", done, len(files))
            ):
                typer.echo(str(path))


def _chosen(run: "RunFolder", wanted: str | None) -> "TrajectoryFolder":
    from alsweep.errors import RunFolderError
    from alsweep.report.queries import find_trajectory

    trained = [one for one in run.trajectories if one.records]
    if not trained:
        raise RunFolderError(f"{run.path}: has no trained network yet; go on with it first")
    if wanted is not None:
        return find_trajectory(trained, wanted)
    if len(trained) > 1:
        ids = ", ".join(one.id for one in trained[:5]) + (", ..." if trained[5:] else "")
        raise RunFolderError(f"{run.path}: has several trajectories; name one: --trajectory {ids}")
    return trained[0]
