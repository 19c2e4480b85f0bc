"""How full-data references in the making look in a terminal, and in a log."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.table import Table
from rich.text import Text

from alsweep.layout import starts_folder
from alsweep.results.fulldata import read_reference
from alsweep.sweep.display import can_redraw, phase_cells
from alsweep.sweep.heartbeat import read_sign_of_life
from alsweep.sweep.monitor import Pace, dice_text, left_in_words

if TYPE_CHECKING:
    from alsweep.sweep.fulldata import Reference

_PER_SECOND = 4


class ReferenceDisplay:
    """A line for each reference that ends, above a table of those under way on a terminal.

    Args:
        run: The run folder.
        missing: What is made.
        console: Where to; stderr, since stdout is for results.
    """

    def __init__(self, run: Path, missing: Sequence[Reference], console: Console) -> None:
        self._run = run
        self._missing = {reference.key: reference for reference in missing}
        self._total = len(missing)
        self._console = console
        self._pace = Pace(len(missing))
        self._live: Live | None = None
        if can_redraw(console):
            self._live = Live(
                console=console, refresh_per_second=_PER_SECOND, get_renderable=self._render
            )

    def __enter__(self) -> ReferenceDisplay:
        self._pace.start()
        if self._live is not None:
            self._live.__enter__()
        return self

    def __exit__(self, *_: object) -> None:
        if self._live is not None:
            self._live.__exit__(None, None, None)

    def ended(self, reference: Reference, error: str | None) -> None:
        """Say what came of a reference."""
        self._missing.pop(reference.key)
        self._pace.finished_loop()
        if error is not None:
            self._say(f"failed: full data, {reference.name}: {error}")
            return
        record = read_reference(self._run, reference.key)
        dice = None if record is None else record.mean_dice
        self._say(
            f"[{self._total - len(self._missing)}/{self._total}] full data, {reference.name}: "
            f"Dice {dice_text(dice)}, {left_in_words(self._pace.seconds_left)}"
        )

    def _say(self, text: str) -> None:
        self._console.print(text, markup=False, highlight=False, soft_wrap=True)

    def _render(self) -> RenderableType:
        table = Table("full data", "now", "", box=None, pad_edge=False)
        for reference in list(self._missing.values()):
            beat = read_sign_of_life(starts_folder(self._run) / reference.key)
            if beat is not None:
                table.add_row(Text(reference.name), *phase_cells(beat))
        done = self._total - len(self._missing)
        left = left_in_words(self._pace.seconds_left)
        return Group(table, Text(f"{done}/{self._total} references done, {left}", style="bold"))
