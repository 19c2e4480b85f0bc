"""``alsweep status``: how far a run is."""

import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    from alsweep.sweep.status import RunStatus, TrajectoryStatus

_SECONDS_BETWEEN = 2.0
_LINES_BELOW = 8
"""Of a terminal that a live table leaves free: title, heading, totals and the prompt."""
_ANY_WIDTH = 100_000
"""Columns of a terminal in which every table has room."""


def status(
    run: Annotated[Path, typer.Argument(help="Run folder.")],
    as_json: Annotated[bool, typer.Option("--json", help="For machines: one JSON object.")] = False,
    watch: Annotated[
        bool, typer.Option("--watch", help="Show it anew until the run ends, or Ctrl-C.")
    ] = False,
    html: Annotated[
        Path | None,
        typer.Option("--html", metavar="FILE", help="Write a page, with --watch again and again."),
    ] = None,
) -> None:
    """Show what is done, running, failed, stopped and waiting, and how long the rest takes.

    Example: alsweep status runs/hippocampus-low --watch --html status.html
    """
    import json

    from alsweep.storage.rooms import to_read
    from alsweep.sweep.status import read_status

    if watch and as_json:
        raise typer.BadParameter("says one state; leave --watch out", param_hint="--json")
    if html is not None:
        from alsweep.report.status_page import refuse_foreign_page

        refuse_foreign_page(html)
    with to_read(run) as folder:
        if watch:
            _watch(folder, html)
            return
        found = read_status(folder)
        _write_page(html, found)
        if as_json:
            typer.echo(json.dumps(found.plain(), indent=1))
            return
        _print_table(found)


def _write_page(html: Path | None, found: "RunStatus") -> None:
    if html is None:
        return
    from alsweep.report.status_page import write_status_page

    write_status_page(html, found.plain(), _left(found))


def _watch(run: Path, html: Path | None) -> None:
    """Show a run until nobody works in it any more."""
    from rich.console import Console
    from rich.live import Live

    from alsweep.sweep.display import can_redraw

    console = Console()
    try:
        if not can_redraw(console):
            _tell_changes(run, html, console)
            return
        with Live(console=console, auto_refresh=False) as live:
            for found in _states(run, html):
                live.update(_live_table(found, console.height - _LINES_BELOW), refresh=True)
    except KeyboardInterrupt:
        return  # which is how one ends it
    _tell_end(found)


def _states(run: Path, html: Path | None) -> "Iterable[RunStatus]":
    import time

    from alsweep.storage.rooms import refresh
    from alsweep.sweep.status import read_status

    while True:
        began = time.monotonic()
        found = read_status(run)
        _write_page(html, found)
        yield found
        if found.driver is None:
            return
        # A run of thousands takes a moment to read, and is not to be read all the time.
        time.sleep(max(_SECONDS_BETWEEN, 5 * (time.monotonic() - began)))
        refresh(run)


def _tell_changes(run: Path, html: Path | None, console: "Console") -> None:
    """A line whenever something is different, for logs and pipes."""
    before = None
    for found in _states(run, html):
        loops = sum(one.loops_done for one in found.trajectories)
        now = (found.counts, loops, found.starts, found.search)
        if now != before:
            console.print(f"{loops} loops; {_summary(found)}", highlight=False, soft_wrap=True)
        before = now
    _tell_end(found)


def _live_table(found: "RunStatus", most: int) -> "Table":
    """Whoever runs comes first, since a terminal has not room for all."""
    order = ("running", "failed", "waiting", "truncated", "done")
    ordered = sorted(found.trajectories, key=lambda one: order.index(one.state))
    shown = ordered[: max(1, most)]
    table = _table(found, shown)
    more = len(ordered) - len(shown)
    table.caption = f"{f'and {more} more; ' if more else ''}{_summary(found)}"
    return table


def _table(found: "RunStatus", shown: "Iterable[TrajectoryStatus]") -> "Table":
    """A row for each, of which cells that are too wide are folded."""
    table = _headings(found)
    for row in _rows(found, shown):
        table.add_row(*row)
    return table


def _joined_table(found: "RunStatus") -> "Table":
    """The same of all as one row of many lines, which is drawn in a third of the time."""
    from rich.text import Text

    table = _headings(found)
    columns = zip(*_rows(found, found.trajectories), strict=True)
    table.add_row(*(Text("\n").join(column) for column in columns))
    return table


def _headings(found: "RunStatus") -> "Table":
    from rich.markup import escape
    from rich.table import Table

    names = ["setting"] * _several_settings(found) + ["strategy", "seed", "state", "loops", "now"]
    return Table(*names, "last Dice", "work left", title=escape(found.name))


def _several_settings(found: "RunStatus") -> bool:
    return len({one.setting_name for one in found.trajectories}) > 1


def _rows(found: "RunStatus", shown: "Iterable[TrajectoryStatus]") -> "Iterator[tuple[Text, ...]]":
    from rich.text import Text

    from alsweep.sweep.monitor import dice_text, in_words

    several = _several_settings(found)
    for one in shown:
        cells = (
            *([one.setting_name] * several),
            one.strategy,
            str(one.seed),
            one.state,
            f"{one.loops_done}/{one.loops}",
            _now(one),
            dice_text(one.mean_dice),
            "" if one.seconds_left is None else in_words(one.seconds_left),
        )
        # A label may be any text, and what is joined has a line for each trajectory.
        yield tuple(Text(cell.replace("\n", " ")) for cell in cells)


def _summary(found: "RunStatus") -> str:
    counts = ", ".join(
        f"{count} {state}" for state, count in found.counts.items() if count or state != "truncated"
    )
    searched = "" if found.search is None else f"{found.search}; "
    return f"{counts}; {searched}{_left(found)}"


def _left(found: "RunStatus") -> str:
    from alsweep.sweep.monitor import left_in_words

    return left_in_words(found.seconds_left)


def _print_table(found: "RunStatus") -> None:
    from rich.console import Console

    console = Console()
    table = _joined_table(found)
    wanted = console.measure(table, options=console.options.update(width=_ANY_WIDTH)).maximum
    # Where cells are folded, the lines of a column are no longer beside those of the others.
    fits = wanted <= console.width
    console.print(table if fits else _table(found, found.trajectories))
    console.print(_summary(found), highlight=False, soft_wrap=True)
    _tell_end(found)


def _tell_end(found: "RunStatus") -> None:
    """What a table has no room for, and who has to do what."""
    if found.starts:
        noun = "start" if found.starts == 1 else "starts"
        typer.echo(f"{found.starts} shared {noun} (loop 0) being prepared; trajectories wait")
    for one in found.trajectories:
        if one.error is not None:
            typer.echo(f"failed: {one.id}: {' '.join(one.error.split())}")
    if found.lost or found.errors:
        typer.echo(f"mishaps: {_mishaps(found)}")
    if found.decisions:
        last = found.decisions[-1]
        said = f"{last['action']} {last['trajectory']}, by {last['by']}: {last['why']}"
        typer.echo(f"decisions: {len(found.decisions)}; the last: {said}")
    for cap in found.caps:
        typer.echo(f"caps.{cap.name}: {cap.used:.3g} of {cap.bound:g}")
    if found.driver is not None:
        typer.echo(f"at work: {found.driver}")
    elif not (found.over and found.counts["failed"] == 0):
        typer.echo(f"nobody is at work; go on with: {_mend(found)}")


def _mishaps(found: "RunStatus") -> str:
    from alsweep.results.mishaps import Counts

    told = f"{Counts(found.lost, found.errors)}; what is lost is tried again"
    most = max(found.trajectories, key=lambda one: one.lost + one.errors)
    if not most.lost + most.errors:
        return told
    return f"{told}; most often {most.id}: {Counts(most.lost, most.errors)}"


def _mend(found: "RunStatus") -> str:
    from alsweep.layout import space_path
    from alsweep.storage.place import spelled

    run = shlex.quote(found.run)
    if found.capped is None:
        return f"alsweep {'suggest' if _asks_people(found) else 'resume'} {run}"
    space = shlex.quote(spelled(space_path(Path(found.run))))
    return f"alsweep run {space} --out {run} --set {found.capped}=..."


def _now(one: "TrajectoryStatus") -> str:
    return "" if one.phase is None else f"{one.phase} {one.phase_done}/{one.phase_total}"


def _asks_people(found: "RunStatus") -> bool:
    """Whether nobody but people can say how it goes on."""
    from alsweep.layout import config_path, trajectory_folder
    from alsweep.results.records import read_config

    run = Path(found.run)
    folders = (trajectory_folder(run, one.id) for one in found.trajectories)
    begun = (folder for folder in folders if config_path(folder).exists())
    first = next(begun, None)
    return first is not None and read_config(first).annotator.kind == "human"
