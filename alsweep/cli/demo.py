"""``alsweep demo``: a small sweep on a synthetic dataset."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from alsweep.layout import dataset_folder

if TYPE_CHECKING:
    from alsweep.config.sweep import SweepConfig

_SPACE = "demo.yaml"
_SHAPE = (28, 28, 28)
_NOISE, _LESION_SHARE = 0.06, 0.015
"""Small cases with little noise, whose lesions are still more than a few voxels: a network learns
them in seconds, and what it does not find is what it has seen too few labels of."""


def demo(
    out: Annotated[Path, typer.Option("--out", help="Run folder.")] = Path("runs/demo"),
) -> int:
    """Run a small sweep on a synthetic dataset: three strategies, three seeds, four minutes or so.

    A second call continues where the first one stopped. The phantom lies in RUN/dataset.

    Example: alsweep demo --out runs/demo
    """
    from alsweep.cli.run import make, tell
    from alsweep.storage.rooms import refuse_remote
    from alsweep.sweep.planning import plan_of

    refuse_remote(out, "--out")
    dataset = dataset_folder(out)
    _make_phantom(out, dataset)
    plan = plan_of(_demo_space(dataset), _SPACE, tell=tell)
    tell(_what_is_going_on(plan.sweep))
    return make(plan, out)


def _what_is_going_on(sweep: "SweepConfig") -> str:
    """What is done, in a few lines, before Ray takes its half minute to start."""
    configs = sweep.trajectories()
    names = list(dict.fromkeys(config.strategy.shown for config in configs))
    query = configs[0].query
    return (
        f"{len(names)} ways to choose what is labelled next ({', '.join(names)}), each with "
        f"{len(sweep.seeds)} seeds: a small network\nis trained {query.loops} times, each time on "
        f"{query.patches} labelled patches more, and judged on cases that it never saw.\n"
        "About four minutes on two cores; Ray starts first, in half a minute or so"
    )


def _demo_space(dataset: Path) -> "SweepConfig":
    from importlib.resources import as_file, files

    from alsweep.config.load import load_sweep

    with as_file(files("alsweep.cli") / _SPACE) as space:
        return load_sweep(space).model_copy(update={"dataset": dataset})


def _make_phantom(out: Path, dataset: Path) -> None:
    """Write the phantom unless it is there; the lock keeps a second demo from doing the same."""
    from alsweep.data.phantom import write_phantom
    from alsweep.sweep.run_folder import driver_lock

    with driver_lock(out):
        if dataset.exists():
            return
        typer.echo(f"making a phantom in {dataset}, a second or two", err=True)
        write_phantom(dataset, shape=_SHAPE, noise=_NOISE, lesion_share=_LESION_SHARE)
