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
    from alsweep.storage.rooms import refuse_remote, to_read
    from alsweep.sweep.debug_dump import write_debug_dump

    refuse_remote(out, "--out")
    with to_read(run) as folder:
        names = write_debug_dump(folder, out, os.environ)
    typer.echo(f"{out}: {len(names)} texts; look through it before you send it")
