"""A sweep under way: what to make, where, with what, and who hears of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from alsweep.config.sweep import ResourcesConfig
from alsweep.layout import trajectory_folder
from alsweep.results.failure import write_failure
from alsweep.results.loops import LoopRecord
from alsweep.results.records import read_records
from alsweep.storage.mirror import mirror_at
from alsweep.sweep.caps import Meter, count_loop, replaced_records
from alsweep.sweep.events import Events, Nobody
from alsweep.sweep.missing import unfinished
from alsweep.sweep.monitor import Monitor
from alsweep.sweep.order import Order, in_order
from alsweep.sweep.tries import Setback, Tries
from alsweep.sweep.work import Work
from alsweep.tracking.base import Tracked, Tracker

if TYPE_CHECKING:
    from alsweep.sweep.plan import Plan, Planned


@dataclass(frozen=True)
class Outcome:
    """How a sweep ended.

    Attributes:
        done: Finished trajectories.
        failed: Id to error of those that cannot go on.
        stopped: The cap at which it ended, as ``caps.hours``; None where all was made.
        left: Trajectories that the cap left over.
        configurations: Those that it left to a search.
    """

    done: int
    failed: Mapping[str, str]
    stopped: str | None = None
    left: int = 0
    configurations: int = 0


@dataclass(frozen=True)
class Job:
    """A sweep under way.

    Attributes:
        plan: What to make.
        run: The run folder, absolute; the caller holds its lock.
        work: Makes trajectories.
        monitor: Hears what happens.
        tracker: Mirrors the records.
        order: In which trajectories begin.
        errors: Why trajectories failed, by id; on a full disk nothing else knows.
        meter: Adds up what caps bound.
        events: Is told what somebody may want to know at once.
        tries: Remembers what went wrong.
    """

    plan: Plan
    run: Path
    work: Work
    monitor: Monitor
    tracker: Tracker
    order: Order = Order.seeds
    errors: dict[str, str] = field(default_factory=dict)
    meter: Meter = field(default_factory=Meter)
    events: Events = field(default_factory=Nobody)
    tries: Tries = field(default_factory=Tries)

    @property
    def resources(self) -> ResourcesConfig:
        """What one worker gets."""
        return self.plan.sweep.resources

    def unfinished(self) -> list[Planned]:
        """Trajectories that lack a loop and are not stopped, in the order in which they begin."""
        return in_order(unfinished(self.run, self.plan), self.plan.sweep, self.order)

    def folder(self, planned: Planned) -> Path:
        """Where a trajectory lies."""
        return trajectory_folder(self.run, planned.id)

    def mirror(self, planned: Planned, records: Sequence[LoopRecord]) -> None:
        """Bring the tracker up to the trajectory's records: all of them, from loop 0."""
        if records:
            sweep, dataset = self.plan.sweep.name, planned.dataset_fingerprint
            shown = Tracked(planned.id, planned.config, sweep, dataset, planned.setting)
            self.tracker.update(shown, records)

    def count(self, planned: Planned, records: Sequence[LoopRecord]) -> None:
        """Add up what loops took: each is to come here once."""
        for record in records:
            count_loop(self.meter, self.run, record, self.resources, planned.start)

    def count_replaced(self) -> None:
        """Add up what trajectories took that the plan has no more; what was used stays used."""
        for record in replaced_records(self.run, self.meter.caps, set(self.plan.ids)):
            count_loop(self.meter, self.run, record, self.resources)

    def capped(self) -> bool:
        """Whether a cap is reached, so that nothing new may begin."""
        if self.meter.reached() is not None:
            return True
        for near in self.meter.newly_near():
            self.events.tell("cap_near", f"{near} are used", cap=near.split(":")[0])
        return False

    def again(self, planned: Planned, setback: Setback) -> bool:
        """Write down what went wrong with a trajectory; where it would come again, it fails.

        Returns:
            Whether it is tried again.
        """
        told = self.tries.again(self.run, planned.id, setback, self.resources.retries)
        if told is None:
            self.fail(planned, setback.told)
        else:
            self.monitor.setback(planned, told)
        return told is not None

    def fail(self, planned: Planned, error: str) -> None:
        """Write down that a trajectory cannot go on."""
        folder = self.folder(planned)
        write_failure(folder, error, len(read_records(folder)))
        self.failed(planned, error)

    def failed(self, planned: Planned, error: str) -> None:
        """Heed that a trajectory cannot go on, as its worker has written down if it could."""
        if mirror_at(self.run) is not None:
            # The worker's folder is another one, also on this node.
            folder = self.folder(planned)
            write_failure(folder, error, len(read_records(folder)))
        self.errors[planned.id] = error
        self.monitor.failed(planned, error)
        self.events.tell(
            "trajectory_failed", f"{planned.id}: {error}", trajectory=planned.id, error=error
        )
