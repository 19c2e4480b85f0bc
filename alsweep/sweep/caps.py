"""Caps: what a sweep has used of what it may use, and whether that is all."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import chain
from typing import TYPE_CHECKING

from alsweep.config.caps import CapsConfig
from alsweep.files import read_json
from alsweep.layout import meta_path, models_folder, trajectories_folder
from alsweep.results.records import read_records
from alsweep.storage.mirror import bring

if TYPE_CHECKING:
    from pathlib import Path

    from alsweep.config.sweep import ResourcesConfig, SweepConfig
    from alsweep.results.loops import LoopRecord

NEAR = 0.9
"""Share of a cap from which it counts as near."""

_HOUR, _GIB = 3600.0, 1 << 30
_LEAST_BETWEEN, _LEAST_SHARE = 10.0, 50.0
"""Seconds between two looks at a folder's size, at least, and in lengths of such a look."""


def nothing() -> float:
    """Of a folder whose size does not matter."""
    return 0.0


@dataclass
class Meter:
    """Adds up what a sweep uses. Once a cap is reached it stays so.

    Attributes:
        caps: The bounds.
        devices: What a worker counts as, in GPUs.
        price: Of an hour of a GPU.
        gib: Measures what the run folder takes up, now or not long ago.
        clock: Seconds; tests bring their own.
    """

    caps: CapsConfig = field(default_factory=CapsConfig)
    devices: float = 1.0
    price: float = 0.0
    gib: Callable[[], float] = nothing
    clock: Callable[[], float] = time.monotonic
    _seconds: float = field(default=0.0, init=False)
    _starts: set[str] = field(default_factory=set, init=False)
    _told: set[str] = field(default_factory=set, init=False)
    _reached: str | None = field(default=None, init=False)

    def __post_init__(self) -> None:
        self._began = self.clock()

    def worked(self, seconds: float) -> None:
        """A worker was occupied for so long."""
        self._seconds += seconds

    def first_time(self, start: str) -> bool:
        """Whether a shared start is not counted yet; from now on it is."""
        first = start not in self._starts
        self._starts.add(start)
        return first

    def used(self) -> dict[str, float]:
        """What is used of each cap that there is, by name."""
        gpu_hours = self._seconds * self.devices / _HOUR
        measures: dict[str, Callable[[], float]] = {
            "gpu_hours": lambda: gpu_hours,
            "hours": lambda: (self.clock() - self._began) / _HOUR,
            "disk_gib": self.gib,
            "money": lambda: gpu_hours * self.price,
        }
        return {name: measures[name]() for name in self.caps.bounds}

    def reached(self) -> str | None:
        """The cap at which the sweep ends, as ``caps.hours``; None while it may go on."""
        if self._reached is None and (bounds := self.caps.bounds):
            used = self.used()
            over = (f"caps.{name}" for name, bound in bounds.items() if used[name] >= bound)
            self._reached = next(over, None)
        return self._reached

    def newly_near(self) -> list[str]:
        """Caps that have come near since they were asked for last, each with how much is used."""
        used, bounds = self.used(), self.caps.bounds
        near = [n for n, bound in bounds.items() if used[n] >= NEAR * bound and n not in self._told]
        self._told.update(near)
        return [f"caps.{name}: {used[name]:.3g} of {bounds[name]:g}" for name in near]


def meter_of(sweep: SweepConfig, run: Path) -> Meter:
    """The meter of a sweep; nothing is counted yet."""
    resources = sweep.resources
    price = resources.price_per_gpu_hour or 0.0
    return Meter(sweep.caps, resources.gpus or 1.0, price, SeldomMeasured(run).gib)


def metered(sweep: SweepConfig, run: Path, found: Mapping[str, Iterable[LoopRecord]]) -> Meter:
    """The meter of a sweep with what its run has used; ``hours`` only the driver knows.

    Args:
        sweep: Has the caps.
        run: The run folder; it need not be there.
        found: The records in it of every trajectory of the plan, by id.
    """
    meter = meter_of(sweep, run)
    planned = chain.from_iterable(found.values())
    for record in chain(planned, replaced_records(run, sweep.caps, found.keys())):
        count_loop(meter, run, record, sweep.resources)
    return meter


def count_loop(
    meter: Meter, run: Path, record: LoopRecord, resources: ResourcesConfig, start: str = ""
) -> None:
    """Add up what a loop took: each is to come here once.

    Args:
        meter: Adds up.
        run: The run folder.
        record: Of the loop.
        resources: Of the sweep.
        start: Key of the shared start, where it is known; it may be counted already.
    """
    meter.worked(loop_seconds(record, resources))
    if record.loop or not (record.cached_members or record.pretraining):
        return
    # Settings that differ in their number of loops share a start by its members alone.
    again = not meter.first_time(" ".join(record.members))
    counted = bool(start) and not meter.first_time(start)
    if record.cached_members and not (again or counted):
        meter.worked(stored_start_seconds(run, record, resources))
    # A start that was trained in this call is counted with what went before it.
    if record.pretraining and not counted and meter.first_time(record.pretraining):
        meter.worked(record.pretrain_seconds or 0.0)


def replaced_records(run: Path, caps: CapsConfig, ids: Collection[str]) -> Iterator[LoopRecord]:
    """Loops of trajectories in a run folder that its plan has no more: their time is used too.

    Args:
        run: The run folder.
        caps: Nothing is read where none of them counts work.
        ids: Of the plan.
    """
    if not caps.bounds.keys() & {"gpu_hours", "money"}:
        return
    for path in sorted(trajectories_folder(run).glob("*/config.json")):
        if path.parent.name not in ids:
            yield from read_records(path.parent)


def loop_seconds(record: LoopRecord, resources: ResourcesConfig) -> float:
    """How long a worker was occupied with a loop: members trained side by side count as one."""
    trained = len(record.members) - record.cached_members
    at_once = max(1, min(resources.members_at_once, trained))
    return record.train_seconds / at_once + record.evaluate_seconds + record.query_seconds


def stored_start_seconds(run: Path, record: LoopRecord, resources: ResourcesConfig) -> float:
    """What a shared start took, as the store still knows: no record has it among its own times."""
    seconds = 0.0
    for key in record.members:
        with suppress(OSError, ValueError, KeyError, TypeError):
            path = meta_path(models_folder(run) / key)
            bring(run, path)
            meta = read_json(path)
            seconds += meta["seconds"] if str(meta["owner"]).startswith("start-") else 0.0
    return seconds / max(1, min(resources.members_at_once, len(record.members)))


@dataclass
class SeldomMeasured:
    """The size of a folder, measured anew only so often that this costs next to nothing."""

    folder: Path
    clock: Callable[[], float] = time.monotonic
    _gib: float = field(default=0.0, init=False)
    _next: float = field(default=float("-inf"), init=False)

    def gib(self) -> float:
        """What the folder takes up on its disk."""
        began = self.clock()
        if began >= self._next:
            self._gib = sum(_bytes_in(self.folder)) / _GIB
            ended = self.clock()
            self._next = ended + max(_LEAST_BETWEEN, _LEAST_SHARE * (ended - began))
        return self._gib


def _bytes_in(folder: Path) -> Iterator[int]:
    for place, _, names in os.walk(folder):
        for name in names:
            # Workers write and remove meanwhile.
            with suppress(OSError):
                yield 512 * os.lstat(os.path.join(place, name)).st_blocks  # noqa: PTH118
