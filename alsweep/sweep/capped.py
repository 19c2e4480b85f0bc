"""Which caps a forecast exceeds, and how far a sweep is going to come until one ends it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from alsweep.sweep.caps import metered

if TYPE_CHECKING:
    from alsweep.config.sweep import SweepConfig
    from alsweep.results.loops import LoopRecord
    from alsweep.sweep.costing import Cost
    from alsweep.sweep.forecast import Forecast
    from alsweep.sweep.missing import Snapshot, ToDo
    from alsweep.sweep.search_outlook import SearchOutlook

_GIB = 1 << 30
_UNITS = {"gpu_hours": " h", "hours": " h", "disk_gib": " GiB", "money": ""}


@dataclass(frozen=True)
class Expected:
    """What the rest of a sweep is expected to take.

    Attributes:
        cost: Hours of what is planned; None where that is done.
        disk: Bytes of it, at most; None likewise.
        counted: What of it lacks.
        at_once: Workers side by side; None where that is not known, as on a cluster.
        search: What is going to be suggested; None where nothing is searched.
    """

    cost: Cost | None
    disk: Forecast | None
    counted: ToDo
    at_once: int | None
    search: SearchOutlook | None = None

    @property
    def suggested(self) -> int:
        """Trajectories that a search adds, as far as their hours are known."""
        if self.search is None or self.search.total is None:
            return 0
        confirming = 0 if self.search.high else self.search.confirmed
        fresh = confirming * self.search.settings * self.search.confirm_seeds
        return self.search.left * self.search.each + fresh

    @property
    def unfinished(self) -> int:
        """Trajectories that lack a loop, planned or not."""
        return self.counted.unfinished + self.suggested

    def more(self, sweep: SweepConfig) -> dict[str, float]:
        """What is still going to be used of each cap, as the sweep counts it."""
        suggested = None if self.search is None else self.search.total
        hours = sum(cost.hours for cost in (self.cost, suggested) if cost is not None)
        worker_hours = hours / (sweep.resources.gpus or sweep.resources.cpus)
        gpu_hours = worker_hours * (sweep.resources.gpus or 1)
        price = sweep.resources.price_per_gpu_hour or 0.0
        found = {"gpu_hours": gpu_hours, "money": gpu_hours * price}
        if self.disk is not None:
            found["disk_gib"] = self.disk.total / _GIB
        if self.at_once is not None:
            found["hours"] = worker_hours / self.at_once
        return found

    def scope(self, cap: str) -> str:
        """What a forecast says of the search, if there is one that goes on."""
        if self.search is None or not self.search.left:
            return ""
        if cap == "disk_gib" or not self.suggested:
            return " without what the search adds"
        return " with what the search adds" + (" at its low rung" if self.search.high else "")


def over_caps(
    sweep: SweepConfig,
    made: Snapshot,
    found: Mapping[str, Iterable[LoopRecord]],
    expected: Expected,
) -> Iterator[str]:
    """Say which caps are going to end a sweep before all of it is made.

    Args:
        sweep: Has the caps.
        made: What was looked up in the run folder.
        found: Finished loops of every trajectory, those that it is going to take over too.
        expected: What is still to come.
    """
    if not (bounds := sweep.caps.bounds):
        return
    # Loops that are going to be taken over are counted where they were made.
    own = {id_: () if id_ in made.sources else loops for id_, loops in found.items()}
    used, more = metered(sweep, made.run, own).used(), expected.more(sweep)
    finished = expected.counted.finished
    for name, bound in bounds.items():
        if name not in more or used[name] + more[name] <= bound:
            continue
        share = max(0.0, bound - used[name]) / (more[name] or 1.0)
        lacking = expected.counted.unfinished if name == "disk_gib" else expected.unfinished
        reached, unit = finished + int(share * lacking), _UNITS[name]
        most = "at most " if name == "disk_gib" else ""
        before = f" after the {used[name]:.3g}{unit} used so far" if used[name] >= 0.001 else ""
        yield (
            f"warning: caps.{name}: the forecast is {most}{more[name]:.3g}{unit}"
            f"{expected.scope(name)}{before}, the cap of {bound:g}{unit} ends it after about "
            f"{reached} of {finished + lacking} trajectories"
        )
