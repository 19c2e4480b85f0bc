"""``alsweep skip``: a patch that cannot be labelled."""

from pathlib import Path
from typing import Annotated

import typer

from alsweep.cli.suggest import Raw, Slicer


def skip(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="Run folder.")],
    patch: Annotated[
        list[str], typer.Argument(metavar="PATCH...", help="As tasks.csv calls them.")
    ],
    reason: Annotated[str, typer.Option(help="Why, in words; the report tells it.")],
    raw: Raw = None,
    seg_nrrd: Slicer = False,
) -> None:
    """Give up on patches that cannot be labelled; the next best take their places.

    They are never asked for again.

    Example: alsweep skip runs/liver case_12-5c1f00aa --reason 'motion artefact'
    """
    from alsweep.cli.run import Terminal
    from alsweep.cli.suggest import people_plan
    from alsweep.errors import ConfigError
    from alsweep.people.tasks import TaskOptions
    from alsweep.storage.rooms import refuse_remote
    from alsweep.sweep import suggesting

    refuse_remote(run, "RUN")
    if not reason.strip():
        raise ConfigError("--reason: is empty; say why the patch cannot be labelled")
    options = TaskOptions(None if raw is None else raw.absolute(), segmentations=seg_nrrd)
    wishes = suggesting.Wishes(tasks=options)
    plan, folder = people_plan(run), run.absolute()
    for labelling in suggesting.skip(plan, folder, patch, reason.strip(), Terminal(), wishes):
        tasks = labelling.open_tasks()
        typer.echo(f"{labelling.tasks_folder(labelling.loop)}: {len(tasks)} patches")
