"""A race of strategies: seed after seed, and after each of them what is decided stops costing.

All settings run a seed side by side; the next seed begins when all have ended. What the rule says
follows from the records alone, so that a resume decides as an unbroken run; what is in the log of
decisions stays, whatever the rule says now.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from alsweep.results.decisions import Decision, read_decided
from alsweep.results.race_replay import areas
from alsweep.results.racing import Look, Race, RaceRule
from alsweep.results.records import read_records
from alsweep.sweep.parting import part, stop
from alsweep.sweep.schedules import make

if TYPE_CHECKING:
    from alsweep.config.schedule import ScheduleConfig
    from alsweep.results.cube import Floats
    from alsweep.sweep.job import Job
    from alsweep.sweep.plan import Planned

BY = "race"


def run_race(job: Job) -> Job:
    """Make the sweep's seeds one after another; between them, stop what is decided.

    Returns:
        The job with all that was stopped.
    """
    schedule = job.plan.sweep.schedule
    earlier = {id_: one for id_, one in read_decided(job.run).stops.items() if one.by == BY}
    members = _by_setting(job.plan.trajectories)
    settings = [Raced(mine, schedule, earlier) for mine in members]
    blocks: dict[int, list[Planned]] = defaultdict(list)
    for planned in job.plan.trajectories:
        blocks[planned.config.seed].append(planned)
    for seed, block in blocks.items():
        for setting in settings:
            job = setting.stop_settled(job, seed)
        for end in _ends(settings, schedule):
            make(part(job, block), until=end)
            if job.capped():
                return job
            for setting in settings:
                job = setting.look(job, seed, end)
    return job


def _by_setting(trajectories: Iterable[Planned]) -> list[list[Planned]]:
    found: dict[str, list[Planned]] = defaultdict(list)
    for planned in trajectories:
        found[planned.config.setting_hash(planned.dataset_fingerprint)].append(planned)
    return list(found.values())


def _ends(settings: Sequence[Raced], schedule: ScheduleConfig) -> Sequence[int]:
    """Loops at whose end is looked, within a seed."""
    last = max(setting.loops for setting in settings) - 1
    return range(min(1, last), last + 1) if schedule.each_loop else [last]


class Raced:
    """One setting's strategies in a race.

    Args:
        members: Its trajectories, seeds in their order.
        schedule: Says the rule.
        earlier: Trajectory to the decision of a race by which it was stopped before.
    """

    def __init__(
        self,
        members: Sequence[Planned],
        schedule: ScheduleConfig,
        earlier: Mapping[str, Decision],
    ) -> None:
        self._earlier = earlier
        self._members = {(one.label, one.config.seed): one for one in members}
        self._seeds = list(dict.fromkeys(one.config.seed for one in members))
        self.loops = max(one.config.query.loops for one in members)
        rule = RaceRule(
            schedule.alpha,
            schedule.control,
            schedule.assurance,
            schedule.prior_df,
            schedule.each_loop,
        )
        names = {label for label, _ in self._members}
        self._race = Race(sorted(names), len(self._seeds), self.loops, rule)
        self._settled: dict[str, tuple[str, str | None]] = {}
        self._known: dict[tuple[str, int], float] = {}

    def stop_settled(self, job: Job, seed: int) -> Job:
        """Stop the trajectories of a seed whose strategies need it no more.

        A strategy is settled, too, if a race has stopped its trajectory of this seed before; not
        where one failed and is not tried again, nor where somebody else stopped it.
        """
        for label in self._race.strategies:
            planned = self._members.get((label, seed))
            if planned is not None and planned.id in self._earlier:
                one = self._earlier[planned.id]
                self._settled.setdefault(label, (one.why, one.against))
        return stop(job, list(self._unneeded([seed])), BY)

    def look(self, job: Job, seed: int, end: int) -> Job:
        """Decide on what is there after a loop of a seed, and stop what is decided."""
        if seed not in self._seeds:
            return job
        upto = self._seeds[: self._seeds.index(seed) + 1]
        values = np.array([[self._area(job, name, s, seed, end) for s in upto] for name in self])
        running = [name for name in self if name not in self._settled]
        look = self._race.look(values, running)
        for name in sorted(look.settled):
            self._settled[name] = _told(name, look, len(upto)), look.dropped.get(name)
        return stop(job, list(self._unneeded(self._seeds)), BY)

    def __iter__(self) -> Iterator[str]:
        return iter(self._race.strategies)

    def _unneeded(self, seeds: Iterable[int]) -> Iterator[tuple[Planned, str, str | None]]:
        """All trajectories of settled strategies; what is done of them stays."""
        for seed in seeds:
            for label, (why, against) in self._settled.items():
                if (label, seed) in self._members:
                    yield self._members[label, seed], why, against

    def _area(self, job: Job, label: str, seed: int, current: int, end: int) -> float:
        """Area under a trajectory's curve; NaN where loops or values are missing."""
        if (label, seed) in self._known:
            return self._known[label, seed]
        last = min(end, self.loops - 1) if seed == current else self.loops - 1
        area = self._read_area(job, label, seed, last)
        if seed != current:
            # An earlier seed has ended: it is read once, however many come after it.
            self._known[label, seed] = area
        return area

    def _read_area(self, job: Job, label: str, seed: int, last: int) -> float:
        planned = self._members.get((label, seed))
        if planned is None:
            return float("nan")
        curve = [record.mean_dice for record in read_records(job.folder(planned))[: last + 1]]
        if len(curve) <= last or None in curve:
            return float("nan")
        found: Floats = areas(np.array([curve], dtype=np.float64), last)
        return float(found[0])


def _told(name: str, look: Look, seeds: int) -> str:
    """Why a strategy is settled, for people."""
    if name in look.dropped:
        return f"worse than {look.dropped[name]} after {seeds} seeds"
    return f"all about it is decided after {seeds} seeds"
