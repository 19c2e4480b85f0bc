"""The table with which a run ends: who got how far, by setting, of which seeds."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from alsweep.results import aubc

if TYPE_CHECKING:
    import pandas as pd

_KEYS = ["setting", "strategy", "seed"]

_MOST_ROWS = 40
"""What a terminal is to show; the report has all."""

_MOST_SEEDS = 8


def print_results(table: "pd.DataFrame") -> None:
    """Print final Dice and AUBC of finished trajectories, means over seeds.

    Nothing is averaged over settings or datasets. Where strategies of a setting have not the same
    seeds, these are named, with a remark.

    Args:
        table: The tidy table of one run.
    """
    done = table[table["status"] == "done"]
    if done.empty:
        return
    # Names, not hashes, are for people; no two settings share one.
    found = _curves(done)
    several = found["setting"].nunique() > 1
    unlike = _seeds_differ(found)
    shown = Table(*(["setting"] if several else []), "strategy", "final Dice", "AUBC", "seeds")
    groups = found.groupby(["setting_name", "strategy"], sort=False)
    for number, ((setting, strategy), rows) in enumerate(groups):
        if number < _MOST_ROWS:
            head = [str(setting), str(strategy)] if several else [str(strategy)]
            shown.add_row(*map(escape, head), *_cells(rows, unlike))
    console = Console()
    console.print(shown)
    for remark in _remarks(len(groups) - _MOST_ROWS, unlike):
        console.print(remark, highlight=False)


def _curves(done: "pd.DataFrame") -> "pd.DataFrame":
    """A row for each trajectory, in the order of the table: its last loop, and its AUBC if any."""
    last = done.sort_values("loop", kind="stable").drop_duplicates(_KEYS, keep="last")
    last = last.sort_index(kind="stable")
    return last.merge(aubc(done), on=_KEYS, how="left")


def _seeds_differ(found: "pd.DataFrame") -> bool:
    """Whether strategies of a setting have not the same seeds."""
    each: dict[str, set[tuple[int, ...]]] = {}
    for (setting, _), rows in found.groupby(["setting", "strategy"]):
        each.setdefault(str(setting), set()).add(tuple(sorted(rows["seed"])))
    return any(len(seeds) > 1 for seeds in each.values())


def _cells(rows: "pd.DataFrame", unlike: bool) -> Iterator[str]:
    for column in ("mean_dice", "aubc"):
        mean = rows[column].mean()
        yield "-" if mean != mean else f"{mean:.3f}"
    seeds = sorted(rows["seed"])
    named = unlike and len(seeds) <= _MOST_SEEDS
    yield f"{len(seeds)} ({', '.join(map(str, seeds))})" if named else str(len(seeds))


def _remarks(more: int, unlike: bool) -> Iterator[str]:
    if more > 0:
        yield f"and {more} more rows, which the report has"
    if unlike:
        yield (
            "strategies have not the same seeds: these means are over each one's own, and not to "
            "be compared; the report compares over common seeds"
        )
