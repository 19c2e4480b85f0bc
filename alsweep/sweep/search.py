"""A search under way: suggested configurations become trajectories, and their means are told.

The run folder is the truth: which trajectories there are is in decisions.jsonl, and what they gave
in their records. The study is the searcher's memory of it.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import Enum, auto
from functools import partial
from typing import TYPE_CHECKING

from optuna.trial import TrialState

from alsweep.errors import ConfigError
from alsweep.files import canonical_json
from alsweep.results.searched import STOPPED, searched_in
from alsweep.results.studies import answering, open_storage, read_memory, read_trials
from alsweep.sweep.best import write_best
from alsweep.sweep.blocks import Blocks, is_defined
from alsweep.sweep.dashboard import Dashboard
from alsweep.sweep.parting import part
from alsweep.sweep.pruning import Looks, stages
from alsweep.sweep.reruns import run_best_again
from alsweep.sweep.schedules import make
from alsweep.sweep.study import TRAJECTORIES, Searcher, Suggestion, refuse_foreign_studies
from alsweep.sweep.study_name import study_name
from alsweep.sweep.turns import workers_at_once

if TYPE_CHECKING:
    from alsweep.config.search import SearchConfig
    from alsweep.sweep.job import Job
    from alsweep.sweep.plan import Planned

Make = Callable[["Job"], None]
"""Makes what is missing of a job, starts first."""

logger = logging.getLogger(__name__)

_MOST_FAILURES, _MOST_REPEATS = 5, 25
"""Of configurations without a value in a row: different ones, then it is not these that are at
fault; and with the same ones again, which the searcher does not learn from."""

_MOST_PRUNED = 25
"""In a row: they do not count as told, so that a search would go on for ever, and cost."""


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
    """How many configurations are still to be told, or to be confirmed once all are told.

    Raises:
        ConfigError: The storage cannot be read.
    """
    search, name = job.plan.sweep.search, study_name(job.plan)
    assert search is not None
    assert name is not None
    memory = read_memory(job.run, search.storage, name)
    states = Counter(one.state for one in memory.trials)
    found = searched_in(name, search.plain(), memory)
    asked = search.configurations if found.stopped is None else 0
    untold = max(asked - states[TrialState.COMPLETE], states[TrialState.RUNNING])
    return untold if untold > 0 else len(found.unpromoted() or found.unconfirmed())


def run_search(job: Job) -> Job:
    """Make what there is already of a sweep, and then what its search suggests.

    Returns:
        The job with what was added.

    Raises:
        ConfigError: The storage cannot be used, or is not this run's.
    """
    prepared: set[str] = set()
    make_some = partial(make, prepared=prepared)
    under_way = _in_stages(job)
    make_some(part(job, (one for one in job.plan.trajectories if one.id not in under_way)))
    if not left(job):
        return job
    search = job.plan.sweep.search
    with answering(None if search is None else search.storage):
        return searched(job, make_some, workers_at_once(job.resources))


def _in_stages(job: Job) -> set[str]:
    """Trajectories that the search itself goes on with, seed by seed."""
    search, name = job.plan.sweep.search, study_name(job.plan)
    if search is None or name is None or search.pruning is None:
        return set()
    trials = read_trials(job.run, search.storage, name)
    running = [one for one in trials if one.state == TrialState.RUNNING]
    return {id_ for one in running for id_ in one.user_attrs.get(TRAJECTORIES, ())}


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
    # What is run seed by seed has one a setting under way most of the time.
    seeds = len(stages(job.plan.sweep.seeds, under_way.search.pruning)[-1])
    of_each = seeds * max(1, len(job.plan.sweep.settings or ()))
    failures: list[str] = []
    pruned = 0
    under_way.stop_if_settled()
    if not under_way.is_over:
        under_way.ask_anew()
    while (
        not (under_way.is_over or job.capped()) and _may_fail_on(failures) and pruned < _MOST_PRUNED
    ):
        suggestions = under_way.searcher.batch(max(1, at_once // of_each))
        if not suggestions:
            break
        # Where a cap is reached, the rest of them is not told, and goes on under its numbers.
        for one, end in zip(suggestions, under_way.run(suggestions, make), strict=False):
            failures = [*failures, canonical_json(one.values)] if end is End.failed else []
            pruned = pruned + 1 if end is End.pruned else 0
        under_way.write_best()
        under_way.dashboard.update(under_way.job)
        under_way.stop_if_settled()
    if not _may_fail_on(failures):
        logger.warning(
            "warning: the search ends with %d of %d configurations, since the last %d gave no "
            "value; mend the cause and resume the run",
            under_way.searcher.told,
            under_way.search.configurations,
            len(failures),
        )
    if pruned >= _MOST_PRUNED:
        logger.warning(
            "warning: the search ends with %d of %d configurations, since the last %d were given "
            "up: nothing better seems to be left; lower search.configurations, or search.prune: "
            "false, and resume the run for more",
            under_way.searcher.told,
            under_way.search.configurations,
            pruned,
        )
    if under_way.is_over and not job.capped():
        run_best_again(under_way.blocks, under_way.searcher, make)
        under_way.write_best()
    return under_way.job


def _may_fail_on(failures: Sequence[str]) -> bool:
    return len(set(failures)) < _MOST_FAILURES and len(failures) < _MOST_REPEATS


class End(Enum):
    """How a configuration ended."""

    told = auto()
    pruned = auto()
    failed = auto()


@dataclass
class _Search:
    """Takes suggestions to their values.

    Attributes:
        blocks: Makes and reads trajectories.
        searcher: Its memory.
        dashboard: Shows it to people.
    """

    blocks: Blocks
    searcher: Searcher
    dashboard: Dashboard
    _written: object = None

    @classmethod
    def of(cls, job: Job) -> _Search:
        search, name = job.plan.sweep.search, study_name(job.plan)
        assert search is not None
        assert name is not None
        storage = open_storage(job.run, search.storage)
        refuse_foreign_studies(storage, name, job.plan.ids)
        return cls(Blocks.of(job), Searcher(storage, name, search), Dashboard(storage, name))

    @property
    def job(self) -> Job:
        """With all that was added so far."""
        return self.blocks.job

    @property
    def search(self) -> SearchConfig:
        """What is searched."""
        return self.blocks.search

    @property
    def is_over(self) -> bool:
        """Whether nothing is suggested any more."""
        if self.searcher.open:
            return False
        told = self.searcher.told >= self.search.configurations
        return told or self.searcher.searched.stopped is not None

    def stop_if_settled(self) -> None:
        """End the search where a further configuration would gain less than seeds make of it."""
        rule, found = self.search.stopping, self.searcher.searched
        # Within a batch nothing is decided, so that a resume decides the same.
        if rule is None or self.is_over or self.searcher.open:
            return
        if found.is_settled(rule.patience):
            self.searcher.note(STOPPED, self.searcher.told)
            logger.info(
                "search: ends with %d of %d configurations: in the last %d the best has risen by "
                "no more than its standard error, %.3g",
                self.searcher.told,
                self.search.configurations,
                rule.patience,
                found.noise(),
            )

    def ask_anew(self) -> None:
        """Ask again for configurations that failed, and of which nothing is missing any more."""
        done = {one.id for one in self.job.plan.trajectories if self.blocks.is_done(one)}
        self.searcher.ask_anew(done)

    def write_best(self) -> None:
        """Write down the best configuration, where there is something new to say of it."""
        found = self.searcher.searched
        best = found.best()
        said = (best and best.number, found.promoted, found.confirmed)
        if best is None or said != self._written:
            write_best(self.blocks, found)
            self._written = said

    def run(self, suggestions: list[Suggestion], make: Make) -> list[End]:
        """Run configurations and tell what they gave, in their order, until a cap is reached.

        Returns:
            How they ended, of those that have.
        """
        blocks = [self._decided(suggestion) for suggestion in suggestions]
        looks = Looks(self.blocks, self.searcher, self.searcher.batch_of(suggestions[0].number))
        rejected = self._make([block for block in blocks if block is not None], looks, make)
        ends: list[End] = []
        for block in blocks:
            if block is None:
                ends.append(End.failed)
            elif (number := block.suggestion.number) in rejected:
                self._prune(block, looks.best, rejected[number])
                ends.append(End.pruned)
            elif self._is_cut_off(block):
                break
            else:
                ends.append(End.told if self._tell(block) else End.failed)
        return ends

    def _make(self, blocks: Sequence[Block], looks: Looks, make: Make) -> dict[int, int]:
        """Make blocks, stage by stage where some are given up.

        Returns:
            Number of each trial that was, to the number of its seeds until then.
        """
        rejected: dict[int, int] = {}
        seeds: list[int] = []
        for stage in stages(self.job.plan.sweep.seeds, self.search.pruning):
            for block in blocks if seeds else ():
                if block.suggestion.number not in rejected and looks.reject(block.planned, seeds):
                    rejected[block.suggestion.number] = len(seeds)
            seeds += stage
            left = [block for block in blocks if block.suggestion.number not in rejected]
            batch = {p.id: p for block in left for p in block.planned if p.config.seed in stage}
            if todo := [one for one in batch.values() if self.blocks.is_going_on(one)]:
                self.blocks.let_go_on(todo)
                make(part(self.job, todo))
        return rejected

    def _prune(self, block: Block, best: int | None, seeds: int) -> None:
        number = block.suggestion.number
        done = [one.id for one in block.planned if self.blocks.is_done(one)]
        self.searcher.pruned(number, best, seeds, self.blocks.measured(done)[1])
        logger.info(
            "search: trial %d given up after %d seeds, worse than trial %s: %s",
            number,
            seeds,
            best,
            block.planned[0].label,
        )

    def _is_cut_off(self, block: Block) -> bool:
        """Whether a cap keeps a configuration from its value, which a resume will find."""
        return any(map(self.blocks.is_going_on, block.planned)) and self.job.capped()

    def _decided(self, suggestion: Suggestion) -> Block | None:
        """The block of a configuration, which is durable now; None where it cannot work."""
        try:
            planned = self._planned(suggestion)
        except ConfigError as error:
            self._fail(suggestion.number, str(error))
            return None
        if suggestion.trajectories is None:
            self.blocks.add(planned, f"trial {suggestion.number}")
            self.searcher.decided(
                suggestion, [one.id for one in planned], self.job.plan.sweep.seeds
            )
        return Block(suggestion, planned)

    def _planned(self, suggestion: Suggestion) -> tuple[Planned, ...]:
        known = {one.id: one for one in self.job.plan.trajectories}
        if suggestion.trajectories is not None and set(suggestion.trajectories) <= known.keys():
            return tuple(known[id_] for id_ in suggestion.trajectories)
        return self.blocks.planned(suggestion.values, self.job.plan.sweep.seeds)

    def _tell(self, block: Block) -> bool:
        number = block.suggestion.number
        lacking = [one.id for one in block.planned if not self.blocks.is_done(one)]
        if lacking:
            why = self.job.errors.get(lacking[0], "it was not finished")
            self._fail(number, f"{lacking[0]}: {why}", lacking=True)
            return False
        found, spent = self.blocks.measured(block.ids)
        if not is_defined(found):
            self._fail(number, "an objective is not defined: Dice is not, at some loop")
            return False
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
