"""The searcher: asks Optuna's TPE for configurations, and tells it what they gave."""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterator, Mapping, Sequence, Set
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import optuna
from optuna.samplers import TPESampler
from optuna.trial import Trial, TrialState

from alsweep.config.distributions import Choices, Distribution
from alsweep.errors import ConfigError
from alsweep.files import canonical_json
from alsweep.results.searched import searched_in
from alsweep.results.studies import Memory
from alsweep.rng import stream
from alsweep.sweep.search_space import configuration
from alsweep.sweep.stops import held

if TYPE_CHECKING:
    from optuna.storages import BaseStorage
    from optuna.trial import FrozenTrial

    from alsweep.config.search import SearchConfig
    from alsweep.results.objectives import Measured
    from alsweep.results.searched import Searched

BATCH, TRAJECTORIES, SEEDS, ERROR_OF = "batch", "trajectories", "seeds", "standard_error"
"""User attributes of a trial: number of the first of those asked with it; ids; seeds; error."""
PRUNED = "pruned"
"""Of what was given up: the better trial, and how many seeds it was run with."""
CONFIGURATION, WHY, LACKING, ANEW = "configuration", "error", "lacking", "asked_anew"
"""What it is; why it has no value; whether that is for want of loops; of which failed one it is
the same anew."""


@dataclass(frozen=True)
class Suggestion:
    """A trial that is to be run.

    Attributes:
        number: Of the trial.
        values: Dotted key to value.
        trajectories: Ids, where they were decided on before a stop.
    """

    number: int
    values: Mapping[str, Any]
    trajectories: tuple[str, ...] | None = None


class Searcher:
    """The study of a search.

    What it suggests follows from the search, the number of the trial and what was told before:
    each trial has a sampler with a seed of its own.

    Args:
        storage: Of the study.
        name: Of the study.
        search: With ranges.
    """

    def __init__(self, storage: BaseStorage, name: str, search: SearchConfig) -> None:
        self._search, self._name = search, name
        with _writing():
            self._study = optuna.create_study(
                storage=storage,
                study_name=name,
                directions=search.directions,
                load_if_exists=True,
            )
            self._study.set_metric_names(list(search.objectives))

    @property
    def trials(self) -> list[FrozenTrial]:
        """All of them, by number."""
        return self._study.get_trials(deepcopy=False)

    @property
    def told(self) -> int:
        """Trials told with a value."""
        return sum(trial.state == TrialState.COMPLETE for trial in self.trials)

    @property
    def open(self) -> int:
        """Trials that were neither told nor failed."""
        return sum(not trial.state.is_finished() for trial in self.trials)

    def batch(self, at_once: int) -> list[Suggestion]:
        """The configurations to run next: those that a stop left, or new ones.

        Args:
            at_once: How many new ones at most.
        """
        left = [trial.number for trial in self.trials if trial.state == TrialState.RUNNING]
        suggestions = [self._suggestion(number) for number in left]
        missing = min(at_once, self._search.configurations - self.told) - len(left)
        if not left or self._is_being_asked(left[0]):
            first = left[0] if left else self._next
            suggestions = [self._begun(one, first) for one in suggestions]
            for _ in range(missing):
                number = self._new()
                suggestions.append(self._begun(self._suggestion(number), first))
        return suggestions

    def _is_being_asked(self, oldest: int) -> bool:
        """Whether none of the batch was told: then what was to be asked with it may be missing."""
        first = self.trials[oldest].user_attrs.get(BATCH, oldest)
        return all(not trial.state.is_finished() for trial in self.trials[first:])

    @property
    def _next(self) -> int:
        """The number that is asked next: what is asked anew has its own already."""
        states = [trial.state for trial in self.trials]
        return states.index(TrialState.WAITING) if TrialState.WAITING in states else len(states)

    def ask_anew(self, done: Set[str]) -> None:
        """Ask first for what failed before for want of loops that are there now.

        Args:
            done: Ids of the trajectories that have all their loops.
        """
        trials = self.trials
        again = lacking(trials, done)
        for number in again[: max(0, self._search.configurations - self.told - self.open)]:
            with _writing():
                self._study.enqueue_trial(trials[number].params, user_attrs={ANEW: number})

    def _new(self) -> int:
        with _writing():
            self._study.sampler = self._sampler(len(self.trials))
            return self._study.ask().number

    def _begun(self, suggestion: Suggestion, first: int) -> Suggestion:
        self._note(suggestion.number, {BATCH: first})
        return suggestion

    def _suggestion(self, number: int) -> Suggestion:
        with _writing():
            trial = self._trial(number)
            _ = trial.relative_params  # now, whichever parameters a stop has left to be asked for

        def choose(name: str, of: Distribution) -> Any:
            with _writing():
                # What is drawn for one parameter shifts no other, so that half a trial goes on.
                self._study.sampler = self._sampler(number, name)
                return _suggested(trial, name, of)

        values = configuration(self._search.over, choose)
        known = self.trials[number].user_attrs.get(TRAJECTORIES)
        return Suggestion(number, values, None if known is None else tuple(known))

    def _trial(self, number: int) -> Trial:
        with _writing():
            self._study.sampler = self._sampler(number)
            return Trial(self._study, self.trials[number]._trial_id)

    def _sampler(self, number: int, parameter: str = "") -> TPESampler:
        seed = int(stream(self._search.seed, "search", number, parameter).integers(2**31))
        return TPESampler(multivariate=True, group=True, constant_liar=True, seed=seed)

    def _note(self, number: int, attributes: Mapping[str, Any]) -> None:
        trial = self._trial(number)
        known = dict(self.trials[number].user_attrs)
        for key, value in attributes.items():
            if key not in known or known[key] != value:
                with _writing():
                    trial.set_user_attr(key, value)

    def decided(self, suggestion: Suggestion, ids: Sequence[str], seeds: Sequence[int]) -> None:
        """Note of which trajectories a trial is made."""
        plain = {**suggestion.values}
        self._note(
            suggestion.number,
            {SEEDS: list(seeds), CONFIGURATION: plain, TRAJECTORIES: list(ids)},
        )

    def failed(self, number: int, why: str, *, lacking: bool = False) -> None:
        """Tell that a trial has no value.

        Args:
            number: Of the trial.
            why: For people.
            lacking: Whether loops are missing, so that it may have a value once they are made.
        """
        self._note(number, {WHY: why} | ({LACKING: True} if lacking else {}))
        with _writing():
            self._study.tell(number, state=TrialState.FAIL)

    def tell(self, number: int, found: Sequence[Measured], spent: Mapping[str, float]) -> None:
        """Tell what a trial gave.

        Args:
            number: Of the trial.
            found: One an objective, with defined values.
            spent: Constraint to what the configuration took of it.
        """
        errors = [None if math.isnan(e) else e for e in (one.standard_error for one in found)]
        self._note(number, {ERROR_OF: errors[0] if len(errors) == 1 else errors})
        self._constrain(number, spent)
        with _writing():
            self._study.tell(number, [one.value for one in found])

    def pruned(self, number: int, of: int | None, seeds: int, spent: Mapping[str, float]) -> None:
        """Tell that a trial was given up; it has no value, and does not count.

        Args:
            number: Of the trial.
            of: Number of the better one.
            seeds: How many it was run with.
            spent: Constraint to what it took of it until then.
        """
        self._note(number, {PRUNED: {"trial": of, "seeds": seeds}})
        self._constrain(number, spent)
        with _writing():
            self._study.tell(number, state=TrialState.PRUNED)

    def _constrain(self, number: int, spent: Mapping[str, float]) -> None:
        trial = self._trial(number)
        with _writing():
            for name, most in self._search.constraints.items():
                trial.set_constraint(name, spent[name] - most)

    def best_before(self, number: int) -> int | None:
        """Number of the best of the trials that were asked before this one."""
        memory = Memory(tuple(self.trials[:number]))
        front = searched_in(self._name, self._search.plain(), memory).front()
        return front[0].number if front else None

    def trajectories(self, number: int) -> tuple[str, ...]:
        """Ids of those that a trial is made of."""
        return tuple(self.trials[number].user_attrs[TRAJECTORIES])

    def batch_of(self, number: int) -> int:
        """Number of the first trial that was asked with this one."""
        return int(self.trials[number].user_attrs[BATCH])

    @property
    def searched(self) -> Searched:
        """What was found until now."""
        memory = Memory(tuple(self.trials), self._study.user_attrs)
        return searched_in(self._name, self._search.plain(), memory)

    def noted(self, attribute: str) -> Any:
        """What is noted in the study itself; None where nothing is."""
        return self._study.user_attrs.get(attribute)

    def note(self, attribute: str, value: Any) -> None:
        """Note something in the study itself."""
        with _writing():
            self._study.set_user_attr(attribute, value)


def under_way(trials: Sequence[FrozenTrial], ids: Set[str]) -> int:
    """How many trials were neither told nor failed, and are made of trajectories that are there.

    Args:
        trials: Of the study, by number.
        ids: Of the trajectories.
    """
    going = (trial for trial in trials if not trial.state.is_finished())
    # What waits to be asked anew is what failed.
    made_of = (trials[one.user_attrs.get(ANEW, one.number)].user_attrs for one in going)
    return sum(TRAJECTORIES in known and ids >= set(known[TRAJECTORIES]) for known in made_of)


def lacking(trials: Sequence[FrozenTrial], ids: Set[str]) -> list[int]:
    """Numbers of trials that failed for want of loops, and that were not asked anew.

    Args:
        trials: Of the study, by number.
        ids: Trajectories; only trials that are made of these.
    """
    anew = (trial.user_attrs[ANEW] for trial in trials if ANEW in trial.user_attrs)
    known = {tuple(trials[number].user_attrs[TRAJECTORIES]) for number in anew}
    failed = {
        tuple(trial.user_attrs[TRAJECTORIES]): trial
        for trial in reversed(trials)
        if trial.user_attrs.get(LACKING) and ids >= set(trial.user_attrs[TRAJECTORIES])
    }
    return sorted(failed[made_of].number for made_of in failed.keys() - known)


def refuse_foreign_studies(storage: BaseStorage, name: str, ids: Sequence[str]) -> None:
    """Refuse to go on with what another run has told.

    Args:
        storage: Where the study lies.
        name: Of the study.
        ids: Trajectories of the run.

    Raises:
        ConfigError: A trial of the study was run elsewhere.
    """
    if name not in [one.study_name for one in storage.get_all_studies()]:
        return
    study = optuna.load_study(study_name=name, storage=storage)
    for trial in study.get_trials(deepcopy=False):
        if not set(trial.user_attrs.get(TRAJECTORIES, ())) <= set(ids):
            raise ConfigError(
                f"search.storage: its study '{name}' is that of another run; give the sweep "
                "another name, or delete the study there"
            )


def _suggested(trial: Trial, name: str, of: Distribution) -> Any:
    if isinstance(of, Choices):
        texts = {_text(one): one for one in of.choices}
        return texts[trial.suggest_categorical(name, list(texts))]
    if of.whole:
        return trial.suggest_int(name, int(of.low), int(of.high), log=of.log)
    return of.rounded(trial.suggest_float(name, of.low, of.high, log=of.log))


def _text(choice: Any) -> bool | int | float | str | None:
    """A choice as any storage keeps it, and as people read it."""
    plain = choice is None or isinstance(choice, bool | int | float | str)
    return choice if plain else canonical_json(choice)


@contextmanager
def _writing() -> Iterator[None]:
    """Whole, since its journal lets nobody in while a stop has left it locked; and quietly."""
    with held(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield
