"""The noise floor of a sweep: loop 0 of each setting and seed, trained several times."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from alsweep.layout import (
    log_path,
    noise_path,
    report_folder,
    report_page,
    space_path,
    starts_folder,
)
from alsweep.sweep.environment import cluster_address

if TYPE_CHECKING:
    from alsweep.sweep.plan import Plan, Planned
    from alsweep.sweep.work import Work

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
    def name(self) -> str:
        """For people."""
        cell, config = self.example.cell, self.example.config
        values = {} if cell is None else cell.values
        parts = [f"{key}={value}" for key, value in values.items() if key != "strategy"]
        return ", ".join([*parts, f"seed {config.seed}", f"repeat {self.number}"])


def repeats(plan: Plan, count: int) -> list[Repeat]:
    """The trainings of all starts of a plan, in its order: first each once, then each again."""
    starts: dict[str, Planned] = {}
    for planned in plan.trajectories:
        starts.setdefault(planned.start[:16], planned)
    return [Repeat(start, r, one) for r in range(count) for start, one in starts.items()]


def missing_repeats(run: Path, plan: Plan, count: int) -> list[Repeat]:
    """Those without a record."""
    every = repeats(plan, count)
    return [one for one in every if not noise_path(run, one.start, one.number).exists()]


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
    from alsweep.storage.rooms import refresh
    from alsweep.sweep.remote import elsewhere
    from alsweep.sweep.run_folder import write_space
    from alsweep.sweep.running import at_work, training_in, write_report

    address = cluster_address(address)
    with at_work(run, plan, address) as plan:
        if not space_path(run).exists():
            write_space(run, plan)
        missing, failed = missing_repeats(run, plan, count), {}
        if missing:
            work = elsewhere(work or training_in(run, plan), run, plan)
            failed = _make(missing, run, plan, work, on_end, address)
            refresh(run)
        if report_page(report_folder(run)).exists():
            write_report(run)
    return failed


def _make(
    missing: Sequence[Repeat],
    run: Path,
    plan: Plan,
    work: Work,
    on_end: OnEnd,
    address: str | None,
) -> dict[str, str]:
    from alsweep.sweep.ray_session import ray_session
    from alsweep.sweep.reuse import used_again
    from alsweep.sweep.tasks import Workers, run_tasks

    failed, resources = {}, plan.sweep.resources
    by_key = {f"{one.start}-{one.number:02d}": one for one in missing}
    tasks = {
        key: partial(work.repeat_start, one.example.config, one.number)
        for key, one in by_key.items()
    }
    workers = Workers(resources, used_again(resources, (one.example.config for one in missing)))
    with ray_session(resources, address):
        for ended in run_tasks(tasks, workers, starts_folder(run), log_path(run)):
            one = by_key[ended.name]
            if ended.error is not None:
                failed[one.name] = ended.error
            on_end(one, ended.error)
    return failed
