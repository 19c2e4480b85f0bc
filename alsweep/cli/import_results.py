"""``alsweep import-results``: other people's results as a table."""

from pathlib import Path
from typing import Annotated

import typer


def import_results(
    folder: Annotated[
        Path,
        typer.Argument(
            metavar="FOLDER", help="Holds analysis/ or nnActive_results/; with --mapping a CSV."
        ),
    ],
    out: Annotated[Path, typer.Option(metavar="FILE", help="Table to write, .parquet.")],
    mapping: Annotated[
        Path | None,
        typer.Option(help="YAML file that says what the columns of a CSV are.", show_default=False),
    ] = None,
) -> None:
    """Write nnActive's results, tables that its authors publish, or a CSV as a tidy table.

    Fractions stay fractions, names stay as they are published. 'alsweep report RUN --published
    FILE' draws it beside a run.

    Example: alsweep import-results downloads/Hippocampus --out hippocampus.parquet
    """
    from alsweep.errors import RecordError
    from alsweep.results.published import import_results as read
    from alsweep.results.published import write_published

    if out.exists():
        raise RecordError(f"{out}: is there already; choose another --out")
    table = read(folder, mapping)
    write_published(table, out)
    metrics = ", ".join(f"{n} {m}" for m, n in table["metric"].value_counts().items())
    typer.echo(f"{out}: {len(table)} values ({metrics})")
