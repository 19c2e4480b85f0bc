"""``alsweep ingest-labels``: what people painted comes back into a run."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from alsweep.people.intake import Refused, Taken


def ingest_labels(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="Run folder.")],
    files: Annotated[
        list[Path],
        typer.Argument(
            metavar="FILES...", help="Label files, folders of them, or what the page packed."
        ),
    ],
    annotator: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="Who painted, where no .json beside a file says it."),
    ] = None,
) -> int:
    """Hand in labels: any of them, in any order, from as many people as like.

    Each file is checked, and stored before it is acknowledged. A wrong one changes nothing. Where
    several people label a patch, networks learn what most of them say.

    Example: alsweep ingest-labels runs/liver ~/Downloads/*_label.nii.gz --annotator Ines
    """
    from alsweep.errors import IngestError
    from alsweep.people.intake import Refused, take_in
    from alsweep.people.labelling import open_labellings
    from alsweep.people.tasks import write_table
    from alsweep.storage.rooms import refuse_remote

    refuse_remote(run, "RUN")
    labellings = open_labellings(run.absolute())
    found = take_in(labellings, files, annotator, _tell)
    wrong = [one for one in found if isinstance(one, Refused)]
    for labelling in labellings:
        if labelling.open_tasks():
            write_table(labelling)
    left = sum(len(one.waiting()) for one in labellings)
    typer.echo(
        f"{len(found) - len(wrong)} of {len(found)} files taken; {left} patches wait for labels"
    )
    if not found:
        raise IngestError(f"{files[0]}: no label file; name PATCH_label.nii.gz, or its folder")
    if wrong:
        more = f" ({len(wrong) - 1} more were not taken)" if wrong[1:] else ""
        raise IngestError(f"{wrong[0].why}{more}")
    return 0


def _tell(one: "Taken | Refused") -> None:
    from alsweep.people.intake import Refused

    if isinstance(one, Refused):
        typer.echo(f"warning: skipped {one.why}", err=True)
        return
    said = f"{one.task.id} by {one.annotation.annotator}"
    if not one.new:
        said += ", as before"
    elif one.late:
        said += ", a second opinion: networks have learned the patch already"
    typer.echo(said)
