"""``alsweep phantom``: a synthetic Dataset for people without data."""

from pathlib import Path
from typing import Annotated

import typer

from alsweep.cli.progress import CaseProgress


def phantom(
    out: Annotated[Path, typer.Option(help="The Dataset folder to make.")],
    cases: Annotated[int, typer.Option(help="Number of cases; a quarter validates.")] = 16,
    shape: Annotated[
        tuple[int, int, int], typer.Option(metavar="Z Y X", help="Voxels of every case.")
    ] = (48, 48, 48),
    seed: Annotated[int, typer.Option(min=0, help="Another seed gives other cases.")] = 0,
    classes: Annotated[
        int, typer.Option(help="Organ, lesions, then further organs; no background counted.")
    ] = 2,
    free_air: Annotated[
        bool,
        typer.Option(
            "--free-air", help="Label the air round the body as background, at no cost to a budget."
        ),
    ] = False,
    noise: Annotated[
        float, typer.Option(min=0, help="Standard deviation; a lesion is 1 brighter than air.")
    ] = 0.12,
    lesion_share: Annotated[
        float,
        typer.Option(min=0.001, max=0.05, help="Of a case's voxels, of all its lesions together."),
    ] = 0.007,
    name: Annotated[
        str, typer.Option(help="What tables and figures call it; changes no result.")
    ] = "phantom",
    margin: Annotated[
        int, typer.Option(min=0, help="Voxels of further air on each side, part of --shape.")
    ] = 0,
) -> None:
    """Make a synthetic Dataset: an organ (3 % of the voxels) and small lesions in a body.

    Example: alsweep phantom --out data/phantom --cases 16 --shape 48 48 48
    """
    from alsweep.cli.ingest import free_line
    from alsweep.data.phantom import write_phantom
    from alsweep.data.remote import to_make
    from alsweep.storage.place import spelled

    with CaseProgress("phantom") as progress, to_make(out) as made:
        dataset = write_phantom(
            made.folder,
            cases=cases,
            shape=shape,
            seed=seed,
            classes=classes,
            free_air=free_air,
            noise=noise,
            lesion_share=lesion_share,
            margin=margin,
            name=name,
            on_case=lambda done: progress.show("drawing", done, cases),
        )
        dataset = made.placed(dataset)
    typer.echo(free_line(dataset), nl=False)
    typer.echo(
        f"{spelled(out)}: {len(dataset.pool)} pool and {len(dataset.validation)} validation cases "
        f"of {'x'.join(map(str, shape))} voxels, fingerprint {dataset.fingerprint[:12]}"
    )
