"""``alsweep sync``: bring W&B up to a run."""

from pathlib import Path
from typing import Annotated

import typer

from alsweep.cli.options import Entity, Project


def sync(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="Run folder.")],
    project: Project = None,
    entity: Entity = None,
    queries: Annotated[
        bool, typer.Option(help="Send a table of the queried patches, with pictures.")
    ] = True,
) -> None:
    """Send to W&B what it lacks of a run: loops, tables of queries, and an analysis of all.

    Can be called again at any time, also after it was killed: what is there is not sent twice.
    (wandb sync, by contrast, appends all steps of a run that was sent in part.)

    Example: alsweep sync runs/hippocampus-low
    """
    from alsweep.storage.rooms import COPY_HERE, refuse_remote
    from alsweep.sweep.syncing import sync_run, wandb_of

    refuse_remote(run, "RUN", COPY_HERE)
    written = wandb_of(run)
    changes = {"project": project or written.project, "entity": entity or written.entity}
    settings = written.model_copy(update=changes)
    done = sync_run(run, settings, lambda text: typer.echo(text, err=True), queries=queries)
    told = f"{done.trajectories} trajectories at W&B, {done.sent} of them new or longer"
    typer.echo(told + (f"; analysis: {done.analysis}" if done.analysis else ""))
