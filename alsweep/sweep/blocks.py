"""Blocks of trajectories: a configuration on all seeds in every setting, and what it gave."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from alsweep.results.begun import read_begun
from alsweep.results.decisions import Decision, append_decisions
from alsweep.results.failure import forget_failure
from alsweep.results.fulldata import mean_full_dice, read_references
from alsweep.results.objectives import measure, of_seeds
from alsweep.results.records import read_part, read_records
from alsweep.results.table import frame
from alsweep.sweep.missing import loops_done
from alsweep.sweep.parting import part, stop
from alsweep.sweep.plan import Planned, opened, plan_one, refuse_shared_labels
from alsweep.sweep.search_space import cells
from alsweep.sweep.taking_over import take_over, to_take_over

if TYPE_CHECKING:
    from alsweep.config.search import SearchConfig
    from alsweep.data.case import Dataset
    from alsweep.results.begun import Begun
    from alsweep.results.objectives import Measured
    from alsweep.results.records import RunFolder
    from alsweep.sweep.job import Job

BY = "search"
"""Who decides."""


@dataclass
class Blocks:
    """Makes trajectories of configurations, and reads what they gave.

    Attributes:
        job: With all that was added so far.
        search: What is searched.
        datasets: By setting.
        begun: What sweep.yaml says.
    """

    job: Job
    search: SearchConfig
    datasets: Mapping[str, Dataset]
    begun: Begun

    @classmethod
    def of(cls, job: Job) -> Blocks:
        """Those of a job with a search."""
        search = job.plan.sweep.search
        assert search is not None
        datasets = {dataset.fingerprint: dataset for dataset in opened(job.plan)}
        places = {one.setting or "": datasets[one.dataset_fingerprint] for one in job.plan.examples}
        return cls(job, search, places, read_begun(job.run))

    def planned(self, values: Mapping[str, Any], seeds: Sequence[int]) -> tuple[Planned, ...]:
        """The trajectories of a configuration: settings, and seeds innermost.

        Raises:
            ConfigError: It cannot work.
        """
        known = {one.id: one for one in self.job.plan.trajectories}
        sweep = self.job.plan.sweep.model_copy(update={"seeds": tuple(seeds)})
        made = [
            plan_one(config, cell, self.datasets[cell.setting or ""])
            for cell in cells(sweep, values)
            for config in sweep.of_cell(cell)
        ]
        found = tuple(known.get(one.id, _added(one)) for one in made)
        refuse_shared_labels([*known.values(), *found])
        return found

    def add(self, planned: Sequence[Planned], why: str) -> None:
        """Make trajectories belong to the run, which is durable then."""
        known = set(self.job.plan.ids)
        more = [one for one in planned if one.id not in known]
        append_decisions(
            self.job.run,
            [
                Decision(
                    action="added" if one in more else "suggested",
                    trajectory=one.id,
                    by=BY,
                    why=why,
                    config=one.config,
                    setting=one.setting,
                )
                for one in planned
            ],
        )
        if more:
            self.job = replace(self.job, plan=self.job.plan.holding(more))
            self._begin(more)

    def _begin(self, more: Sequence[Planned]) -> None:
        """Heed what the folder has of them, from another search or with another number of loops."""
        take_over(self.job.run, to_take_over(self.job.run, part(self.job, more).plan))
        for planned in more:
            forget_failure(self.job.folder(planned))
            records = read_records(self.job.folder(planned))
            self.job.mirror(planned, records)
            self.job.count(planned, records)
        self.job.monitor.added(more)

    def is_done(self, planned: Planned) -> bool:
        """Whether a trajectory has all its loops."""
        return loops_done(self.job.run, planned) == planned.config.query.loops

    def is_going_on(self, planned: Planned) -> bool:
        """Whether a trajectory lacks loops; what has failed in this call would fail again."""
        return planned.id not in self.job.errors and not self.is_done(planned)

    def stop(self, planned: Sequence[Planned], why: str) -> None:
        """Let what the search has added do no further loops; what a grid asks for is left alone."""
        own = [(one, why, None) for one in planned if one.cell is None]
        self.job = stop(self.job, own, by=BY)

    def let_go_on(self, planned: Sequence[Planned]) -> None:
        """Overrule that trajectories were stopped, where they were."""
        again = [one for one in planned if one.id in self.job.plan.stopped]
        again = [one for one in again if self.is_going_on(one)]
        if not again:
            return
        why = "suggested once more, and not worse than the best now"
        decisions = [
            Decision(action="overruled", trajectory=one.id, by=BY, why=why) for one in again
        ]
        append_decisions(self.job.run, decisions)
        stopped = self.job.plan.stopped - {one.id for one in again}
        self.job = replace(self.job, plan=replace(self.job.plan, stopped=stopped))

    def of_seeds(self, ids: Sequence[str]) -> dict[int, float]:
        """Seed to the first objective, of finished trajectories of one configuration."""
        rows = frame(read_part(self.job.run, self.begun, ids))
        return of_seeds(rows, next(iter(self.search.objectives)), self.job.resources.gpus)

    def measured(self, ids: Sequence[str]) -> tuple[list[Measured], dict[str, float]]:
        """What a finished block gave: its objectives, and what it took of what is constrained."""
        alone = read_part(self.job.run, self.begun, ids)
        rows, gpus = frame(alone), self.job.resources.gpus
        full_dice = _full_dice(alone) if "fg_eff" in self.search.objectives else {}
        found = [measure(rows, name, gpus, full_dice) for name in self.search.objectives]
        spent = {name: measure(rows, name, gpus).total for name in self.search.constraints}
        return found, {str(name): total for name, total in spent.items()}


def is_defined(found: Sequence[Measured]) -> bool:
    """Whether all objectives of a block have a value."""
    return not any(math.isnan(one.value) for one in found)


def _full_dice(run: RunFolder) -> dict[str, float]:
    found = read_references([run])
    return {setting: mean_full_dice(records) for setting, records in found.items()}


def _added(planned: Planned) -> Planned:
    """A suggestion as part of the run: no search space has it."""
    return replace(planned, cell=None, added_to=planned.setting)
