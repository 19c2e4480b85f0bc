"""``alsweep wandb-workspace``: a saved view of a run at W&B."""

from pathlib import Path
from typing import Annotated

import typer

from alsweep.cli.options import Entity, Project


def wandb_workspace(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="Run folder.")],
    out: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", help="Only write the view as JSON; no network.", show_default=False
        ),
    ] = None,
    project: Project = None,
    entity: Entity = None,
) -> None:
    """Save a view at W&B: curves against annotated patches, win matrix, queries, cost.

    Runs are grouped by setting and strategy. Called again it replaces the view that it has saved.
    Run 'alsweep sync RUN' first: the win matrix is in the analysis that it sends.

    Example: alsweep wandb-workspace runs/hippocampus-low
    """
    from alsweep.errors import RunFolderError
    from alsweep.files import write_bytes
    from alsweep.results.records import read_run
    from alsweep.storage.rooms import COPY_HERE, refuse_remote
    from alsweep.sweep.syncing import online, wandb_of
    from alsweep.tracking.wandb import require_login
    from alsweep.tracking.workspace import make_workspace, save_workspace, spec

    refuse_remote(run, "RUN", COPY_HERE)
    known, written = read_run(run), wandb_of(run)
    settings = written.model_copy(
        update={"project": project or written.project, "entity": entity or written.entity}
    )
    classes = list(dict.fromkeys(n for t in known.trajectories for r in t.records for n in r.dice))
    if out is None:
        with online(settings, lambda text: typer.echo(text, err=True)):
            require_login("wandb-workspace", "add --out FILE to write the view alone")
            typer.echo(save_workspace(run, settings, known.name, classes))
        return
    if out.exists():
        raise RunFolderError(f"{out}: is there already; choose another --out")
    view = make_workspace(known.name, settings.entity or "ENTITY", settings.project, classes)
    write_bytes(out, (spec(view) + "\n").encode())
    typer.echo(str(out))
