"""A search under way: suggested configurations become trajectories, and their means are told.

The run folder is the truth: which trajectories there are is in decisions.jsonl, and what they gave
in their records. The study is the searcher's memory of it.
"""

from __future__ import annotations

import logging
import math
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING

from optuna.trial import TrialState

from alsweep.config.search import SearchConfig
from alsweep.errors import ConfigError
from alsweep.files import canonical_json
from alsweep.results.begun import read_begun
from alsweep.results.decisions import Decision, append_decisions
from alsweep.results.failure import forget_failure
from alsweep.results.fulldata import mean_full_dice, read_references
from alsweep.results.objectives import measure
from alsweep.results.records import read_part, read_records
from alsweep.results.studies import open_storage, read_trials
from alsweep.results.table import frame
from alsweep.sweep.best import write_best
from alsweep.sweep.missing import loops_done
from alsweep.sweep.plan import Planned, opened, plan_one, refuse_shared_labels
from alsweep.sweep.schedules import make, part
from alsweep.sweep.search_space import cells
from alsweep.sweep.study import Searcher, Suggestion, refuse_foreign_studies
from alsweep.sweep.study_name import study_name
from alsweep.sweep.taking_over import take_over, to_take_over
from alsweep.sweep.turns import workers_at_once

if TYPE_CHECKING:
    from alsweep.data.case import Dataset
    from alsweep.results.begun import Begun
    from alsweep.results.records import RunFolder
    from alsweep.sweep.job import Job

Make = Callable[["Job"], None]
"""Makes what is missing of a job, starts first."""

logger = logging.getLogger(__name__)

_MOST_FAILURES, _MOST_REPEATS = 5, 25
"""Of configurations without a value in a row: different ones, then it is not these that are at
fault; and with the same ones again, which the searcher does not learn from."""


@dataclass(frozen=True)
class Block:
    """A configuration with the trajectories that it is run as: all seeds in every setting."""

    suggestion: Suggestion
    planned: tuple[Planned, ...]

    @property
    def ids(self) -> tuple[str, ...]:
        """Of the trajectories."""
        return tuple(one.id for one in self.planned)


def left(job: Job) -> int:
    """How many configurations are still to be told: those under way, or as many as are lacking.

    Raises:
        ConfigError: The storage cannot be read.
    """
    search, name = job.plan.sweep.search, study_name(job.plan)
    assert search is not None
    assert name is not None
    states = Counter(one.state for one in read_trials(job.run, search.storage, name))
    lacking = search.configurations - states[TrialState.COMPLETE]
    return max(lacking, states[TrialState.RUNNING], 0)


def run_search(job: Job) -> Job:
    """Make what there is already of a sweep, and then what its search suggests.

    Returns:
        The job with what was added.

    Raises:
        ConfigError: The storage cannot be used, or is not this run's.
    """
    prepared: set[str] = set()
    make_some = partial(make, prepared=prepared)
    make_some(job)
    return searched(job, make_some, workers_at_once(job.resources)) if left(job) else job


def searched(job: Job, make: Make, at_once: int) -> Job:
    """Go on with the search of a sweep until all its configurations are told, or a cap is reached.

    Args:
        job: The sweep, with what was added to it before.
        make: Makes trajectories.
        at_once: Trajectories that there are workers for.

    Returns:
        The job with what was added.

    Raises:
        ConfigError: The storage cannot be used, or is not this run's.
        KeyboardInterrupt: Ctrl-C or SIGTERM; the next call goes on under the same numbers.
    """
    under_way = _Search.of(job)
    of_each = len(job.plan.sweep.seeds) * max(1, len(job.plan.sweep.settings or ()))
    failures: list[str] = []
    under_way.ask_anew()
    while not job.capped() and _may_fail_on(failures):
        suggestions = under_way.searcher.batch(max(1, at_once // of_each))
        if not suggestions:
            break
        # Where a cap is reached, the rest of them is not told, and goes on under its numbers.
        for one, succeeded in zip(suggestions, under_way.run(suggestions, make), strict=False):
            failures = [] if succeeded else [*failures, canonical_json(one.values)]
        under_way.write_best()
    if not _may_fail_on(failures):
        logger.warning(
            "warning: the search ends with %d of %d configurations, since the last %d gave no "
            "value; mend the cause and resume the run",
            under_way.searcher.told,
            under_way.search.configurations,
            len(failures),
        )
    return under_way.job


def _may_fail_on(failures: Sequence[str]) -> bool:
    return len(set(failures)) < _MOST_FAILURES and len(failures) < _MOST_REPEATS


@dataclass
class _Search:
    """Takes suggestions to their values.

    Attributes:
        job: With all that was added so far.
        search: What is searched.
        searcher: Its memory.
        datasets: By setting.
        begun: What sweep.yaml says.
    """

    job: Job
    search: SearchConfig
    searcher: Searcher
    datasets: Mapping[str, Dataset]
    begun: Begun
    _written: int | None = None

    @classmethod
    def of(cls, job: Job) -> _Search:
        search, name = job.plan.sweep.search, study_name(job.plan)
        assert search is not None
        assert name is not None
        storage = open_storage(job.run, search.storage)
        refuse_foreign_studies(storage, name, job.plan.ids)
        datasets = {dataset.fingerprint: dataset for dataset in opened(job.plan)}
        places = {one.setting or "": datasets[one.dataset_fingerprint] for one in job.plan.examples}
        searcher = Searcher(storage, name, search)
        return cls(job, search, searcher, places, read_begun(job.run))

    def ask_anew(self) -> None:
        """Ask again for configurations that failed, and of which nothing is missing any more."""
        done = {one.id for one in self.job.plan.trajectories if self._done(one)}
        self.searcher.ask_anew(done)

    def write_best(self) -> None:
        """Write down the best configuration, where it is another than before."""
        best = self.searcher.best()
        if best is None or best.number != self._written:
            write_best(self.job.run, self.job.plan, best)
            self._written = None if best is None else best.number

    def run(self, suggestions: list[Suggestion], make: Make) -> list[bool]:
        """Run configurations and tell what they gave, in their order, until a cap is reached.

        Returns:
            Whether they gave a value, of those that were told.
        """
        blocks = [self._decided(suggestion) for suggestion in suggestions]
        batch = {one.id: one for block in blocks if block for one in block.planned}
        if todo := [one for one in batch.values() if self._is_going_on(one)]:
            make(part(self.job, todo))
        told: list[bool] = []
        for block in blocks:
            if self._is_cut_off(block):
                break
            told.append(block is not None and self._tell(block))
        return told

    def _is_cut_off(self, block: Block | None) -> bool:
        """Whether a cap keeps a configuration from its value, which a resume will find."""
        going_on = block is not None and any(map(self._is_going_on, block.planned))
        return going_on and self.job.capped()

    def _is_going_on(self, planned: Planned) -> bool:
        """Whether a trajectory lacks loops; what has failed in this call would fail again."""
        return planned.id not in self.job.errors and not self._done(planned)

    def _decided(self, suggestion: Suggestion) -> Block | None:
        """The block of a configuration, which is durable now; None where it cannot work."""
        try:
            planned = self._planned(suggestion)
        except ConfigError as error:
            self._fail(suggestion.number, str(error))
            return None
        if suggestion.trajectories is None:
            self._add(suggestion, planned)
            self.searcher.decided(
                suggestion, [one.id for one in planned], self.job.plan.sweep.seeds
            )
        return Block(suggestion, planned)

    def _planned(self, suggestion: Suggestion) -> tuple[Planned, ...]:
        known = {one.id: one for one in self.job.plan.trajectories}
        if suggestion.trajectories is not None and set(suggestion.trajectories) <= known.keys():
            return tuple(known[id_] for id_ in suggestion.trajectories)
        sweep = self.job.plan.sweep
        made = [
            plan_one(config, cell, self.datasets[cell.setting or ""])
            for cell in cells(sweep, suggestion.values)
            for config in sweep.of_cell(cell)
        ]
        found = tuple(known.get(one.id, replace(one, cell=None)) for one in made)
        refuse_shared_labels([*known.values(), *found])
        return found

    def _add(self, suggestion: Suggestion, planned: tuple[Planned, ...]) -> None:
        known = set(self.job.plan.ids)
        more = [one for one in planned if one.id not in known]
        append_decisions(
            self.job.run,
            [
                Decision(
                    action="added" if one in more else "suggested",
                    trajectory=one.id,
                    by="search",
                    why=f"trial {suggestion.number}",
                    config=one.config,
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

    def _done(self, planned: Planned) -> bool:
        return loops_done(self.job.run, planned) == planned.config.query.loops

    def _tell(self, block: Block) -> bool:
        number = block.suggestion.number
        lacking = [one.id for one in block.planned if not self._done(one)]
        if lacking:
            why = self.job.errors.get(lacking[0], "it was not finished")
            self._fail(number, f"{lacking[0]}: {why}", lacking=True)
            return False
        alone = read_part(self.job.run, self.begun, block.ids)
        rows, gpus = frame(alone), self.job.resources.gpus
        full_dice = _full_dice(alone) if "fg_eff" in self.search.objectives else {}
        found = [measure(rows, name, gpus, full_dice) for name in self.search.objectives]
        if any(math.isnan(one.value) for one in found):
            self._fail(number, "an objective is not defined: Dice is not, at some loop")
            return False
        spent = {name: measure(rows, name, gpus).total for name in self.search.constraints}
        self.searcher.tell(number, found, spent)
        logger.info(
            "search: trial %d, %d of %d told: %s: %s",
            number,
            self.searcher.told,
            self.search.configurations,
            block.planned[0].label,
            ", ".join(
                f"{name} {one.value:.4g}"
                for name, one in zip(self.search.objectives, found, strict=True)
            ),
        )
        return True

    def _fail(self, number: int, why: str, *, lacking: bool = False) -> None:
        logger.warning("warning: trial %d of the search gave no value: %s", number, why)
        self.searcher.failed(number, why, lacking=lacking)


def _full_dice(run: RunFolder) -> dict[str, float]:
    found = read_references([run])
    return {setting: mean_full_dice(records) for setting, records in found.items()}
