"""``alsweep queries``: pictures of the patches that a trajectory queried."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from alsweep.report.queries import Query
    from alsweep.report.views import Seen


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
    """Draw the patches annotated just before a training, with what its networks said there.

    One picture a patch, an overview, and the classes in this query and those before. Where the
    networks are not stored any more, prediction and scores are left out.

    Example: alsweep queries runs/hippocampus-low --trajectory predictive_entropy --loop 1
    """
    from alsweep.report.queries import draw_queries, open_query
    from alsweep.storage.place import absolute
    from alsweep.storage.rooms import known_as, send, to_read
    from alsweep.sweep.run_folder import refuse_unwritable

    with to_read(run) as folder:
        query = open_query(folder, trajectory, loop)
        refuse_unwritable(absolute(out or folder))
        for path in draw_queries(query, out, _seen):
            send(folder, path)
            typer.echo(known_as(path))


def _seen(query: "Query") -> "Seen":
    from alsweep.cli.networks import open_networks, seen_by
    from alsweep.cli.progress import CaseProgress

    assert query.trajectory.config is not None
    with CaseProgress("queries") as progress:
        networks = open_networks(query, progress)
        patches = [one.patch for one in query.queried]
        return seen_by(networks, query.trajectory.config.strategy, patches)
