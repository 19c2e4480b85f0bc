"""``alsweep status``: how far a run is."""

import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from alsweep.sweep.status import RunStatus, TrajectoryStatus


def status(
    run: Annotated[Path, typer.Argument(help="Run folder.")],
    as_json: Annotated[bool, typer.Option("--json", help="For machines: one JSON object.")] = False,
) -> None:
    """Show what is done, running, failed, stopped and waiting, and how long the rest takes.

    Example: alsweep status runs/hippocampus-low
    """
    import json

    from alsweep.sweep.status import read_status

    found = read_status(run)
    if as_json:
        typer.echo(json.dumps(found.plain(), indent=1))
        return
    _print_table(found)


def _print_table(found: "RunStatus") -> None:
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    from alsweep.sweep.monitor import dice_text, left_in_words

    several = len({one.setting_name for one in found.trajectories}) > 1
    headings = ["setting"] * several + ["strategy", "seed", "state", "loops", "now", "last Dice"]
    table = Table(*headings, title=found.name)
    for one in found.trajectories:
        loops = f"{one.loops_done}/{one.loops}"
        table.add_row(
            *([escape(one.setting_name)] * several),
            escape(one.strategy),
            str(one.seed),
            one.state,
            loops,
            _now(one),
            dice_text(one.mean_dice),
        )
    console = Console()
    console.print(table)
    counts = ", ".join(
        f"{count} {state}" for state, count in found.counts.items() if count or state != "truncated"
    )
    console.print(f"{counts}; {left_in_words(found.seconds_left)}", highlight=False)
    if found.starts:
        noun = "start" if found.starts == 1 else "starts"
        typer.echo(f"{found.starts} shared {noun} (loop 0) being prepared; trajectories wait")
    for one in found.trajectories:
        if one.error is not None:
            typer.echo(f"failed: {one.id}: {' '.join(one.error.split())}")
    if found.driver is not None:
        typer.echo(f"at work: {found.driver}")
    elif found.counts["done"] + found.counts["truncated"] < len(found.trajectories):
        typer.echo(f"nobody is at work; go on with: alsweep resume {shlex.quote(found.run)}")


def _now(one: "TrajectoryStatus") -> str:
    return "" if one.phase is None else f"{one.phase} {one.phase_done}/{one.phase_total}"
