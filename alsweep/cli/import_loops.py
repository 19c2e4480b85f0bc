"""``alsweep import``: queries that nnActive made, to be replayed."""

import re
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from alsweep.config.sweep import SweepConfig
    from alsweep.config.trajectory import TrajectoryConfig


def import_loops(
    loops: Annotated[
        Path, typer.Argument(metavar="LOOPS", help="Folder with nnActive's loop_000.json, ...")
    ],
    dataset: Annotated[Path, typer.Option(help="The Dataset that the patches lie in.")],
    out: Annotated[Path, typer.Option(help="Folder to write; must not exist.")],
) -> None:
    """Write the patches that nnActive queried as a query log, and print a search space for them.

    The search space trains on the patches of each loop, the starting budget included. OUT can be
    the source of 'replay' in other search spaces, too, as strategy or as starting budget.

    Example: alsweep import nnActive_results/loops --dataset data/kits --out imported > replay.yaml
    """
    from alsweep.data.case import Dataset
    from alsweep.storage.place import absolute
    from alsweep.storage.rooms import refuse_remote
    from alsweep.sweep.space_file import to_yaml
    from alsweep.trajectory import imported

    refuse_remote(out, "--out")
    config = imported.import_loops(loops, Dataset.open(absolute(dataset)), out)
    typer.echo(to_yaml(_space(config, out)), nl=False)


def _space(config: "TrajectoryConfig", out: Path) -> "SweepConfig":
    """A search space with the one trajectory that replays ``out``."""
    from alsweep.config.sweep import SweepConfig

    name = re.sub(r"[^A-Za-z0-9._-]", "_", f"replay-{out.absolute().name}")[:64]
    base = config.model_dump(mode="json", exclude={"dataset", "seed"}, exclude_unset=True)
    return SweepConfig(name=name, dataset=config.dataset, base=base)
