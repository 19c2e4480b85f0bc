"""How a sweep looks in a terminal: a live table, or one line a loop where there is no terminal."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.markup import escape
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from alsweep.layout import starts_folder, trajectory_folder
from alsweep.results.loops import LoopRecord
from alsweep.sweep.heartbeat import SignOfLife, read_sign_of_life
from alsweep.sweep.missing import loops_done
from alsweep.sweep.monitor import Pace, Start, dice_text, in_words, left_in_words

if TYPE_CHECKING:
    from alsweep.sweep.plan import Plan, Planned

_MOST_ROWS = 20
_PER_SECOND = 4
_BAR_WIDTH = 18


@dataclass
class SweepState:
    """The state that both displays show; its totals are kept, since a sweep may be long.

    Attributes:
        run: The run folder.
        plan: What is being made.
        pace: How fast.
        loops: Finished loops per trajectory id.
    """

    run: Path
    plan: Plan
    pace: Pace
    loops: dict[str, int]
    dice: dict[str, float | None] = field(default_factory=dict)
    running: dict[str, Planned] = field(default_factory=dict)
    starts: dict[str, Start] = field(default_factory=dict)
    failures: int = 0
    stopped: int = 0
    loops_done: int = field(init=False)
    all_loops: int = field(init=False)
    done: int = field(init=False)

    def __post_init__(self) -> None:
        self.loops_done, self.all_loops = sum(self.loops.values()), self.plan.loops
        self.done = sum(self._is_done(planned) for planned in self.plan.trajectories)

    def _is_done(self, planned: Planned) -> bool:
        return self.loops[planned.id] == planned.config.query.loops

    def add(self, more: Sequence[Planned]) -> None:
        """Count trajectories that were added, with what there is of them already."""
        loops = {planned.id: loops_done(self.run, planned) for planned in more}
        done, asked = sum(loops.values()), sum(one.config.query.loops for one in more)
        self.plan, self.loops = self.plan.holding(more), self.loops | loops
        self.loops_done, self.all_loops = self.loops_done + done, self.all_loops + asked
        self.done += sum(map(self._is_done, more))
        self.pace.more(asked - done)

    def finished_loop(self, planned: Planned, record: LoopRecord) -> None:
        """Count a loop."""
        was_done = self._is_done(planned)
        self.loops_done += record.loop + 1 - self.loops[planned.id]
        self.loops[planned.id] = record.loop + 1
        self.dice[planned.id] = record.mean_dice
        self.done += self._is_done(planned) - was_done
        self.pace.finished_loop()

    @property
    def summary(self) -> str:
        """Totals in one line."""
        total = len(self.plan.trajectories)
        failed = f", {self.failures} failed" if self.failures else ""
        stopped = f", {self.stopped} stopped" if self.stopped else ""
        return (
            f"{self.done}/{total} trajectories done{failed}{stopped}, "
            f"{self.loops_done}/{self.all_loops} loops, "
            f"{in_words(self.pace.elapsed)} elapsed, {left_in_words(self.pace.seconds_left)}"
        )


class StateMonitor:
    """Keeps a state up to date; the displays add how it is shown."""

    def __init__(self, state: SweepState) -> None:
        self.state = state

    def preparing(self, starts: Sequence[Start]) -> None:
        """See :class:`~alsweep.sweep.monitor.Monitor`."""
        self.state.starts = {start.key: start for start in starts}

    def prepared(self, start: Start) -> None:
        """See :class:`~alsweep.sweep.monitor.Monitor`."""
        self.state.starts.pop(start.key)

    def began(self, planned: Planned) -> None:
        """See :class:`~alsweep.sweep.monitor.Monitor`."""
        self.state.pace.start()
        self.state.running[planned.id] = planned

    def setback(self, planned: Planned, told: str) -> None:
        """See :class:`~alsweep.sweep.monitor.Monitor`."""
        self.state.running.pop(planned.id, None)

    def loop(self, planned: Planned, record: LoopRecord) -> None:
        """See :class:`~alsweep.sweep.monitor.Monitor`."""
        self.state.finished_loop(planned, record)

    def failed(self, planned: Planned, error: str) -> None:
        """See :class:`~alsweep.sweep.monitor.Monitor`."""
        self.state.running.pop(planned.id, None)
        self.state.failures += 1
        self.state.pace.drop(planned.config.query.loops - self.state.loops[planned.id])

    def stopped(self, planned: Planned, why: str) -> None:
        """See :class:`~alsweep.sweep.monitor.Monitor`."""
        self.state.running.pop(planned.id, None)
        self.state.stopped += 1
        self.state.pace.drop(planned.config.query.loops - self.state.loops[planned.id])

    def ended(self, planned: Planned) -> None:
        """See :class:`~alsweep.sweep.monitor.Monitor`."""
        self.state.running.pop(planned.id, None)

    def added(self, more: Sequence[Planned]) -> None:
        """See :class:`~alsweep.sweep.monitor.Monitor`."""
        self.state.add(more)


class LineDisplay(StateMonitor):
    """One plain line for each event that matters, for logs and pipes."""

    def __init__(self, state: SweepState, console: Console) -> None:
        super().__init__(state)
        self._console = console
        self._failed_starts: set[str] = set()

    def __enter__(self) -> LineDisplay:
        return self

    def __exit__(self, *_: object) -> None: ...

    def _say(self, text: str) -> None:
        self._console.print(text, markup=False, highlight=False, soft_wrap=True)

    def preparing(self, starts: Sequence[Start]) -> None:
        """Say how many starts come first."""
        super().preparing(starts)
        if starts:
            sharers = sum(start.sharers for start in starts)
            noun = "start" if len(starts) == 1 else "starts"
            whose = "trajectory" if sharers == 1 else "trajectories"
            self._say(f"preparing {len(starts)} shared {noun} (loop 0) for {sharers} {whose}")

    def prepared(self, start: Start) -> None:
        """Say that a start is ready, unless it has failed: that has been said."""
        super().prepared(start)
        if start.key not in self._failed_starts:
            one = start.example
            whose = "" if one.setting is None else f" in setting '{one.setting}'"
            self._say(
                f"the start of seed {one.config.seed}{whose} is ready, shared by {start.sharers}"
            )

    def setback(self, planned: Planned, told: str) -> None:
        """Say what went wrong."""
        super().setback(planned, told)
        self._say(f"warning: {planned.id}: {told}")

    def loop(self, planned: Planned, record: LoopRecord) -> None:
        """Say what the loop gave."""
        super().loop(planned, record)
        state = self.state
        self._say(
            f"[{state.loops_done}/{state.all_loops}] {planned.shown} "
            f"seed {planned.config.seed} loop {record.loop + 1}/{planned.config.query.loops}: "
            f"Dice {dice_text(record.mean_dice)}, "
            f"{left_in_words(state.pace.seconds_left)}"
        )

    def failed(self, planned: Planned, error: str) -> None:
        """Say why a trajectory failed."""
        super().failed(planned, error)
        self._failed_starts.add(planned.start)
        self._say(f"failed: {planned.id}: {error}")

    def stopped(self, planned: Planned, why: str) -> None:
        """Say why a trajectory does no further loops."""
        super().stopped(planned, why)
        self._say(f"stopped: {planned.shown} seed {planned.config.seed}: {why}")


class LiveDisplay(StateMonitor):
    """A table of what runs, drawn anew from the state and the workers' signs of life."""

    def __init__(self, state: SweepState, console: Console) -> None:
        super().__init__(state)
        self._console = console
        self._live = Live(
            console=console, refresh_per_second=_PER_SECOND, get_renderable=self._render
        )

    def __enter__(self) -> LiveDisplay:
        self._live.__enter__()
        return self

    def __exit__(self, *_: object) -> None:
        self._live.__exit__(None, None, None)

    def setback(self, planned: Planned, told: str) -> None:
        """Say above the table what went wrong."""
        super().setback(planned, told)
        self._console.print(f"warning: {planned.id}: {told}", markup=False)

    def failed(self, planned: Planned, error: str) -> None:
        """Say above the table why a trajectory failed."""
        super().failed(planned, error)
        self._console.print(Text(f"failed: {planned.id}: {error}", style="red"))

    def stopped(self, planned: Planned, why: str) -> None:
        """Say above the table why a trajectory does no further loops."""
        super().stopped(planned, why)
        told = f"stopped: {planned.shown} seed {planned.config.seed}: {why}"
        self._console.print(told, markup=False)

    def _render(self) -> RenderableType:
        state = self.state
        table = Table("strategy", "seed", "loop", "now", "", "last Dice", box=None, pad_edge=False)
        for start in list(state.starts.values())[:_MOST_ROWS]:
            beat = read_sign_of_life(starts_folder(state.run) / start.key)
            seed = str(start.example.config.seed)
            table.add_row(f"start for {start.sharers}", seed, "1", *phase_cells(beat), "")
        running = list(state.running.values())
        for planned in running[:_MOST_ROWS]:
            table.add_row(*self._row(planned))
        if len(running) > _MOST_ROWS:
            table.add_row(f"and {len(running) - _MOST_ROWS} more")
        return Group(table, Text(state.summary, style="bold"))

    def _row(self, planned: Planned) -> tuple[RenderableType, ...]:
        state = self.state
        done, loops = state.loops[planned.id], planned.config.query.loops
        beat = read_sign_of_life(trajectory_folder(state.run, planned.id))
        # A sign of life from before the last finished loop says nothing of the loop at hand.
        fresh = beat if beat is not None and beat.loop >= done else None
        return (
            escape(planned.shown),
            str(planned.config.seed),
            f"{min(done + 1, loops)}/{loops}",
            *phase_cells(fresh),
            dice_text(state.dice.get(planned.id)),
        )


def phase_cells(beat: SignOfLife | None) -> tuple[RenderableType, RenderableType]:
    """What a worker does and how far it is, for two columns of a table."""
    if beat is None:
        return "begins", ""
    return beat.phase, ProgressBar(total=beat.total, completed=beat.done, width=_BAR_WIDTH)


def make_display(
    run: Path, plan: Plan, loops: dict[str, int], console: Console
) -> LineDisplay | LiveDisplay:
    """A live table on a terminal, plain lines elsewhere.

    Args:
        run: The run folder.
        plan: What is being made.
        loops: Finished loops per trajectory id.
        console: Where to; stderr, since stdout is for results.
    """
    state = SweepState(run, plan, Pace(plan.loops - sum(loops.values())), dict(loops))
    return LiveDisplay(state, console) if can_redraw(console) else LineDisplay(state, console)


def can_redraw(console: Console) -> bool:
    """Whether a table can be drawn over the last one; rich draws none at all on ``TERM=dumb``."""
    return console.is_terminal and not console.is_dumb_terminal
