"""``alsweep resume``: continue a run after a stop or a crash."""

from pathlib import Path
from typing import Annotated

import typer

from alsweep.layout import space_path


def resume(
    run: Annotated[Path, typer.Argument(help="Run folder.")],
    address: Annotated[
        str | None, typer.Option(help="Ray cluster to use; default: a private one here.")
    ] = None,
) -> int:
    """Continue a run after a stop or a crash: make what is missing of it.

    Example: alsweep resume runs/hippocampus-low
    """
    from alsweep.cli.run import make, plan_of
    from alsweep.sweep.run_folder import stored_sweep

    return make(plan_of(stored_sweep(run), space_path(run), run), run, address)
