"""``alsweep noise``: how much of a difference is training alone."""

import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from alsweep.cli.options import Address, DryRun, Overrides, Plugins, RunPlace, Space
from alsweep.sweep.environment import cluster_address

if TYPE_CHECKING:
    from alsweep.sweep.noise import Repeat
    from alsweep.sweep.plan import Plan


def noise(
    space: Space,
    repeats: Annotated[
        int, typer.Option(help="Trainings of each start, that of the sweep itself included.", min=2)
    ] = 3,
    out: RunPlace = None,
    set_: Overrides = None,
    plugin: Plugins = None,
    dry_run: DryRun = False,
    address: Address = None,
) -> int:
    """Train loop 0 of each setting and seed several times on the same labels.

    How far Dice differs then is the noise floor: no strategy has a hand in it. A grid over
    training.epochs tells it by training length. Records go into RUN/noise; the report shows them.

    Example: alsweep noise search_spaces/hippocampus-low.yaml --repeats 3 --out runs/hippocampus-low
    """
    from alsweep.cli.dry_run import check_place_and_device
    from alsweep.cli.run import read_space, tell
    from alsweep.storage.place import spelled
    from alsweep.storage.rooms import to_read, to_work_in
    from alsweep.sweep.planning import plan_read

    sweep, place = read_space(space, out, set_ or [], plugin or [])
    with to_read(place) if dry_run else to_work_in(place) as run:
        plan = plan_read(sweep, space, run, set_ or [], tell)
        if dry_run:
            private = cluster_address(address) is None
            check_place_and_device(run, plan.sweep.resources, private=private)
            return _tell_what_would_be_done(plan, run, repeats)
        words = ["alsweep", "noise", str(space), f"--repeats={repeats}", "--out", spelled(place)]
        return _make(plan, run, repeats, address, shlex.join(words))


def _tell_what_would_be_done(plan: "Plan", run: Path, repeats: int) -> int:
    from alsweep.sweep.noise import missing_repeats
    from alsweep.sweep.noise import repeats as planned_repeats
    from alsweep.sweep.run_folder import check_same_sweep

    check_same_sweep(run, plan)
    total = len(planned_repeats(plan, repeats))
    left = len(missing_repeats(run, plan, repeats))
    typer.echo(f"trainings of starts: {total - left} of {total} done, {left} to do")
    typer.echo("dry run: nothing was written")
    return 0


def _make(plan: "Plan", run: Path, repeats: int, address: str | None, again: str) -> int:
    """Train what is missing and tell the noise floor; returns the exit code."""
    from alsweep.cli.failures import tell_failures
    from alsweep.cli.run import INTERRUPTED, tell
    from alsweep.sweep.noise import repeats as planned_repeats
    from alsweep.sweep.noise import run_repeats

    def ended(one: "Repeat", error: str | None) -> None:
        tell(f"{one.name}: {error or 'trained'}")

    try:
        failed = run_repeats(plan, run, repeats, ended, address=address)
    except KeyboardInterrupt:
        tell(
            f"interrupted; what was trained is saved. Go on with: {again}, and the same --set if "
            "there was any"
        )
        return INTERRUPTED
    _tell_floor(run)
    total = len(planned_repeats(plan, repeats))
    return tell_failures(failed, total, "trainings of starts", "run the same command again")


def _tell_floor(run: Path) -> None:
    from alsweep.results.noise import noise_floor, noise_trainings

    for _, row in noise_floor(noise_trainings([run])).iterrows():
        typer.echo(
            f"{row['setting']}, {row['iterations']:,} iterations: Dice "
            f"{100 * row['mean_dice']:.2f} %, noise ± {100 * row['deviation']:.2f} points "
            f"({row['trainings']} trainings of {row['starts']} starts)"
        )
