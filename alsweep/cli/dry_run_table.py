"""The table of a dry run: a row for each trajectory, or counts by setting and strategy."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.table import Table

    from alsweep.sweep.outlook import Line, Outlook, Setting

MOST_ROWS = 48
"""Of a table that has one for each trajectory, unless it is asked for."""

_WIDE = 1000


def print_table(outlook: "Outlook", *, each: bool) -> None:
    """Print the trajectories.

    Args:
        outlook: Has them.
        each: Whether each has a row, however many there are.
    """
    from rich.console import Console

    console = Console()
    # A file or another program takes lines of any length.
    whole = Console(width=_WIDE) if not console.is_terminal else console
    if each or len(outlook.lines) <= MOST_ROWS:
        whole.print(_one_each(outlook.lines))
        return
    crossed = _crossed(outlook.settings)
    fits = crossed.__rich_measure__(whole, whole.options).minimum <= whole.width
    whole.print(crossed if fits else _listed(outlook.settings))


def _one_each(lines: "Sequence[Line]") -> "Table":
    from rich.markup import escape
    from rich.table import Table

    keys = dict.fromkeys(key for line in lines for key in line.values)
    heads = ["setting"] if any(line.setting is not None for line in lines) else []
    table = Table(*heads, *map(escape, keys), "strategy", "seed", "loops done")
    # An id is there to be copied: it is folded where the terminal is narrow, and never cut.
    table.add_column("trajectory", overflow="fold")
    for line in lines:
        cell = [escape(line.setting or "")] if heads else []
        cell += [escape(str(line.values.get(key, ""))) for key in keys]
        done = f"{line.loops_done}/{line.loops}"
        table.add_row(*cell, escape(line.strategy), str(line.seed), done, line.id)
    return table


def _crossed(settings: "Sequence[Setting]") -> "Table":
    """Settings by strategies; what is told is trajectories, done and all."""
    from rich.markup import escape
    from rich.table import Table

    labels = dict.fromkeys(label for setting in settings for label in setting.strategies)
    table = Table("setting", title="trajectories, done/all", title_justify="left")
    for label in labels:
        table.add_column(escape(label), justify="right", no_wrap=True)
    for name, setting in zip(_names(settings), settings, strict=True):
        table.add_row(escape(name), *(_done(setting.strategies.get(label, ())) for label in labels))
    return table


def _listed(settings: "Sequence[Setting]") -> "Table":
    """The same for a narrow terminal: a row for each setting and strategy."""
    from rich.markup import escape
    from rich.table import Table

    table = Table("setting", "strategy", title="trajectories, done/all", title_justify="left")
    table.add_column("trajectories", justify="right")
    for name, setting in zip(_names(settings), settings, strict=True):
        for label, lines in setting.strategies.items():
            table.add_row(escape(name), escape(label), _done(lines))
    return table


def _done(lines: "Sequence[Line]") -> str:
    return f"{sum(line.done for line in lines)}/{len(lines)}" if lines else ""


def _names(settings: "Sequence[Setting]") -> list[str]:
    """Name and what varies beside it: all that a setting's name stands for is left out."""
    by_name: dict[str | None, list[Mapping[str, Any]]] = {}
    for setting in settings:
        by_name.setdefault(setting.name, []).append(setting.values)
    return [_name(setting, by_name[setting.name]) for setting in settings]


def _name(setting: "Setting", alike: Sequence[Mapping[str, Any]]) -> str:
    varying = (k for k in setting.values if len({str(other.get(k)) for other in alike}) > 1)
    parts = [f"{key}={setting.values[key]}" for key in varying]
    named = [] if setting.name is None else [setting.name]
    return ", ".join([*named, *parts]) or "base"
