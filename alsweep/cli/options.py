"""Options that several commands share, each said once."""

from pathlib import Path
from typing import Annotated, TypeAlias

import typer

from alsweep.sweep.environment import ADDRESS_HELP

Space: TypeAlias = Annotated[Path, typer.Argument(help="Search space, a YAML file.")]
RunPlace: TypeAlias = Annotated[
    Path | None, typer.Option("--out", help="Run folder; default: runs/NAME.")
]
Overrides: TypeAlias = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="PATH=VALUE", help="Override a key; may be repeated."),
]
Plugins: TypeAlias = Annotated[
    list[Path] | None,
    typer.Option("--plugin", metavar="FILE", help="File with strategies; may be repeated."),
]
DryRun: TypeAlias = Annotated[
    bool, typer.Option("--dry-run", help="Say what would be done, and write nothing.")
]
Address: TypeAlias = Annotated[str | None, typer.Option(help=ADDRESS_HELP)]
Project: TypeAlias = Annotated[
    str | None, typer.Option(help="W&B project, if not the run's.", show_default=False)
]
Entity: TypeAlias = Annotated[
    str | None, typer.Option(help="W&B user or team, if not the run's.", show_default=False)
]
