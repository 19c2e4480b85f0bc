"""The noise floor of a sweep: loop 0 of each setting and seed, trained several times."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from alsweep.layout import noise_path
from alsweep.sweep.beside import beside_trajectories, make_beside
from alsweep.sweep.environment import cluster_address

if TYPE_CHECKING:
    from alsweep.sweep.plan import Plan, Planned
    from alsweep.sweep.work import Work
    from alsweep.trajectory.progress import OnProgress

OnEnd = Callable[["Repeat", str | None], None]
"""Hears of each training that ends, and of why it failed."""


@dataclass(frozen=True)
class Repeat:
    """One training of a start.

    Attributes:
        start: Hash of what its repeats share, as records have it.
        number: 0 is the training that the trajectories themselves have.
        example: One of the trajectories that begin so.
    """

    start: str
    number: int
    example: Planned

    @property
    def key(self) -> str:
        """Of its task."""
        return f"{self.start}-{self.number:02d}"

    @property
    def name(self) -> str:
        """For people."""
        cell, config = self.example.cell, self.example.config
        values = {} if cell is None else cell.values
        parts = [f"{key}={value}" for key, value in values.items() if key != "strategy"]
        return ", ".join([*parts, f"seed {config.seed}", f"repeat {self.number}"])

    def record(self, run: Path) -> Path:
        """Where a run folder has it."""
        return noise_path(run, self.start, self.number)

    def task(self, work: Work) -> Callable[[OnProgress], None]:
        """What makes it."""
        return partial(work.repeat_start, self.example.config, self.number)


def repeats(plan: Plan, count: int) -> list[Repeat]:
    """The trainings of all starts of a plan, in its order: first each once, then each again."""
    starts: dict[str, Planned] = {}
    for planned in plan.trajectories:
        starts.setdefault(planned.start[:16], planned)
    return [Repeat(start, r, one) for r in range(count) for start, one in starts.items()]


def missing_repeats(run: Path, plan: Plan, count: int) -> list[Repeat]:
    """Those without a record."""
    every = repeats(plan, count)
    return [one for one in every if not one.record(run).exists()]


def run_repeats(
    plan: Plan,
    run: Path,
    count: int,
    on_end: OnEnd,
    *,
    address: str | None = None,
    work: Work | None = None,
) -> Mapping[str, str]:
    """Train what is missing; a report that is there shows it then.

    Args:
        plan: A run that was begun keeps its own.
        run: The run folder, absolute.
        count: Trainings of each start.
        on_end: Hears of each.
        address: See :func:`~alsweep.sweep.run_sweep`.
        work: Makes them; by training, if left out.

    Returns:
        Name to error of those that failed.

    Raises:
        KeyboardInterrupt: As in :func:`~alsweep.sweep.run_sweep`; trained members are safe.
    """
    address = cluster_address(address)
    with beside_trajectories(run, plan, address, work) as (plan, work):
        missing = missing_repeats(run, plan, count)
        return make_beside(missing, run, work, plan, on_end, address)
