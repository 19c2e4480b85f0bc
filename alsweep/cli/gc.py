"""``alsweep gc``: remove stored networks that a run does not need any more."""

from pathlib import Path
from typing import Annotated

import typer

from alsweep.sweep.keep import KEEP_HELP, Keep


def gc(
    run: Annotated[Path, typer.Argument(help="Run folder.")],
    keep: Annotated[Keep, typer.Option(help=KEEP_HELP)] = Keep.last,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only say what would go; nothing is removed.")
    ] = False,
) -> None:
    """Remove stored networks that a run does not need any more, never records or queries.

    'alsweep queries' and 'alsweep try' ask stored networks, and cannot of a loop whose are gone.

    Example: alsweep gc runs/hippocampus-low --dry-run
    """
    from alsweep.storage.rooms import to_read, to_work_in
    from alsweep.sweep.retention import collect, garbage

    with to_read(run) if dry_run else to_work_in(run) as folder:
        found = garbage(folder, keep) if dry_run else collect(folder, keep)
    went = "would go" if dry_run else "went"
    typer.echo(
        f"{len(found.weights)} networks and {len(found.remains)} checkpoints of trainings that are "
        f"over {went}: {found.bytes / 2**20:.1f} MiB; {found.kept} networks stay"
    )
