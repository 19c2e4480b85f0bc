"""``alsweep debug-dump``: one archive for a bug report."""

import os
from pathlib import Path
from typing import Annotated

import typer


def debug_dump(
    run: Annotated[Path, typer.Argument(help="Run folder.")],
    out: Annotated[
        Path,
        typer.Option("--out", metavar="FILE", help="Archive to write, .tar.gz; not there yet."),
    ],
) -> None:
    """Write an archive for a bug report: versions, settings, logs, last records.

    No images, labels or networks; what looks like a key, token or password is removed. Names of
    cases and folders stay: look through it before you send it.

    Example: alsweep debug-dump runs/demo --out demo-debug.tar.gz
    """
    from alsweep.sweep.debug_dump import write_debug_dump

    names = write_debug_dump(run, out, os.environ)
    typer.echo(f"{out}: {len(names)} texts; look through it before you send it")
