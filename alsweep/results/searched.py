"""What a search has found, read from its study: trials, how far to trust the best, what matters."""

from __future__ import annotations

import math
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ruamel.yaml import YAML

from alsweep.config.distributions import Range
from alsweep.files import canonical_json
from alsweep.layout import space_path
from alsweep.results.studies import Memory, read_memory

if TYPE_CHECKING:
    from optuna.trial import FrozenTrial

ENOUGH = 10
"""Trials told, before importances say more than which of them were drawn."""

FINALISTS = 3
"""The best that are confirmed."""

CONFIRMED = "confirmed"
"""User attribute of the study: what was run again on fresh seeds."""

PROMOTED = "promoted"
"""User attribute of the study: what was run again at the high rung."""

STOPPED = "stopped"
"""User attribute of the study: how many were told when it ended before all were."""


@dataclass(frozen=True)
class Tried:
    """A configuration that was told with values.

    Attributes:
        number: Of the trial.
        parameters: By Optuna's names, as they were run.
        configuration: Dotted key to value.
        values: One an objective, means over seeds.
        errors: Their standard errors; NaN for a single seed.
        seeds: How many.
        kept: Whether it keeps the constraints.
    """

    number: int
    parameters: Mapping[str, Any]
    configuration: Mapping[str, Any]
    values: tuple[float, ...]
    errors: tuple[float, ...]
    seeds: int
    kept: bool

    @property
    def n_seeds(self) -> int:
        """How many seeds it was run with."""
        return self.seeds

    @property
    def identity(self) -> str:
        """Equal for a configuration and its repeats."""
        return canonical_json(self.configuration)


@dataclass(frozen=True)
class Rerun:
    """A configuration that was run once more, for a value that it was not chosen for.

    Attributes:
        number: Of the trial that was told with it.
        values: One an objective, means over seeds.
        errors: Their standard errors; NaN for a single seed.
        seeds: With which.
    """

    number: int
    values: tuple[float, ...]
    errors: tuple[float, ...]
    seeds: tuple[int, ...]

    @property
    def n_seeds(self) -> int:
        """How many seeds it was run with."""
        return len(self.seeds)

    @classmethod
    def of(cls, noted: Mapping[str, Any]) -> Rerun:
        """From what is noted in the study."""
        values, seeds = tuple(noted["values"]), tuple(noted["seeds"])
        return cls(int(noted["trial"]), values, _errors(noted), seeds)

    def plain(self, ids: Sequence[str], rung: Mapping[str, float]) -> dict[str, Any]:
        """As it is noted in the study.

        Args:
            ids: Of the trajectories.
            rung: At which it was run; empty where there is one alone.
        """
        errors = [None if math.isnan(e) else e for e in self.errors]
        told = {"trial": self.number, "seeds": list(self.seeds), "trajectories": list(ids)}
        told |= {"rung": dict(rung)}
        return {**told, "values": list(self.values), "standard_error": errors}


@dataclass(frozen=True)
class Searched:
    """The search of a run.

    Attributes:
        name: Of the sweep.
        objectives: Name to ``max`` or ``min``.
        constraints: Name to limit.
        tried: By number.
        failed: How many trials gave no value.
        trials: Those told with a value, as Optuna has them.
        confirm_seeds: With which the best are to be run again.
        confirmed: What was, on these seeds, by number.
        pruned: How many trials were given up before all their seeds were run.
        fidelity: Dotted key to the low value that all were told with, and the high one.
        promoted: What was run again at the high values, by number of the trial.
        stopped: How many were told when the search ended by itself; None where it did not.
        configurations: That are to be told.
        under_way: Trials that were neither told nor failed.
    """

    name: str
    objectives: Mapping[str, str]
    constraints: Mapping[str, float]
    tried: tuple[Tried, ...]
    failed: int
    trials: tuple[FrozenTrial, ...]
    confirm_seeds: tuple[int, ...] = ()
    confirmed: tuple[Rerun, ...] = ()
    pruned: int = 0
    stopped: int | None = None
    fidelity: Mapping[str, Sequence[float]] = field(default_factory=dict)
    promoted: tuple[Rerun, ...] = ()
    configurations: int = 0
    under_way: int = 0

    @property
    def over(self) -> bool:
        """Whether nothing is suggested any more; what is run again may lack."""
        told = self.stopped is not None or len(self.tried) >= self.configurations
        return told and not self.under_way

    def unpromoted(self) -> list[Tried]:
        """The best third at the low rung, as far as it was not run at the high one yet."""
        if not self.fidelity:
            return []
        ranked, known = self.ranked(), {one.number for one in self.promoted}
        third = ranked[: math.ceil(len(ranked) / 3)]
        return [one for one in third if one.number not in known]

    def promotion(self, number: int) -> Rerun | None:
        """What a trial gave at the high rung."""
        return next((one for one in self.promoted if one.number == number), None)

    def at_high(self) -> list[Tried]:
        """Those that were run at the high rung, best there first."""
        sign = -1 if self.lowest else 1
        by_number = {one.number: one for one in self.distinct}
        ranked = sorted(self.promoted, key=lambda one: (-sign * one.values[0], one.number))
        return [by_number[one.number] for one in ranked]

    def chosen_for(self, one: Tried) -> Tried | Rerun:
        """What a configuration is held against others with: its value at the highest rung."""
        return self.promotion(one.number) or one

    def is_settled(self, patience: int) -> bool:
        """Whether the best has risen by no more than the noise of seeds.

        Args:
            patience: Over so many different configurations, the last ones that keep the
                constraints; before them at least :data:`ENOUGH` are told.
        """
        sign = -1 if self.lowest else 1
        kept = [one for one in self.distinct if one.kept]
        if len(kept) < ENOUGH + patience:
            return False
        values = [sign * one.values[0] for one in kept]
        return max(values) - max(values[:-patience]) <= self.noise()

    def noise(self) -> float:
        """Typical standard error of the first objective; NaN for a single seed."""
        squares = [one.errors[0] ** 2 for one in self.ranked()]
        return math.sqrt(sum(squares) / len(squares)) if squares else math.nan

    @property
    def lowest(self) -> bool:
        """Whether the first objective is better when it is lower."""
        return _sign(next(iter(self.objectives.values()))) < 0

    @property
    def distinct(self) -> tuple[Tried, ...]:
        """Without repeats."""
        found: dict[str, Tried] = {}
        for one in self.tried:
            found.setdefault(one.identity, one)
        return tuple(found.values())

    def ranked(self) -> list[Tried]:
        """Those that keep the constraints, best in the first objective first, without repeats."""
        sign = _sign(next(iter(self.objectives.values())))
        kept = [one for one in self.distinct if one.kept]
        return sorted(kept, key=lambda one: (-sign * one.values[0], one.number))

    def front(self) -> list[Tried]:
        """Those that no other beats in one objective without losing in another, best first."""
        signs = [_sign(direction) for direction in self.objectives.values()]
        ranked = self.ranked()
        return [one for one in ranked if not any(_beats(two, one, signs) for two in ranked)]

    def finalists(self) -> list[Tried]:
        """Those that are confirmed: the best, or of several objectives the best of the front."""
        return self._leading()[:FINALISTS] if self.confirm_seeds else []

    def _leading(self) -> list[Tried]:
        """Best first, by values that can be compared: those at the high rung where there is one."""
        if self.fidelity and self.promoted:
            return self.at_high()
        return self.front() if len(self.objectives) > 1 else self.ranked()

    def unconfirmed(self) -> list[Tried]:
        """Finalists that were not run again yet."""
        known = {one.number for one in self.confirmed}
        return [one for one in self.finalists() if one.number not in known]

    def best(self) -> Tried | None:
        """The best by what it was confirmed with, once all finalists are; else by what was told."""
        leading, finalists = self._leading(), self.finalists()
        if not finalists or self.unconfirmed():
            return leading[0] if leading else None
        sign = _sign(next(iter(self.objectives.values())))
        values = {one.number: sign * one.values[0] for one in self.confirmed}
        return max(finalists, key=lambda one: (values[one.number], -one.number))

    def confirmation(self, number: int) -> Rerun | None:
        """What a trial was confirmed with."""
        return next((one for one in self.confirmed if one.number == number), None)

    def optimism(self) -> float:
        """How far above its true value the best of equals would be, by seed noise alone.

        The expected largest of as many normal errors as there are configurations, by Blom's
        formula; NaN for a single seed.
        """
        from scipy.stats import norm

        ranked = self.ranked()
        n = len(ranked)
        return float(norm.ppf((n - 0.375) / (n + 0.25))) * self.noise() if n > 1 else 0.0


def _sign(direction: str) -> int:
    return 1 if direction == "max" else -1


def _beats(one: Tried, other: Tried, signs: Sequence[int]) -> bool:
    gains = [s * (a - b) for s, a, b in zip(signs, one.values, other.values, strict=True)]
    return min(gains) >= 0 and max(gains) > 0


def interval(one: Tried | Rerun) -> tuple[float, float]:
    """95 % t interval of the first objective; NaN for a single seed."""
    from scipy.stats import t

    if one.n_seeds < 2:
        return math.nan, math.nan
    half = float(t.ppf(0.975, one.n_seeds - 1)) * one.errors[0]
    return one.values[0] - half, one.values[0] + half


def read_search(run: Path) -> Searched | None:
    """Return the search of a run folder that has been read before; None where it has none.

    Raises:
        ConfigError: Its storage cannot be read.
    """
    text = space_path(run).read_text(encoding="utf-8")
    if "\nsearch:" not in text:  # the file of a large sweep takes long to parse
        return None
    raw = YAML(typ="safe", pure=True).load(text)
    search, study = raw.get("search"), (raw.get("provenance") or {}).get("study")
    if not search or not study:
        return None
    memory = read_memory(run, search.get("storage"), str(study))
    return searched_in(str(raw["name"]), search, memory)


def searched_in(name: str, search: Mapping[str, Any], memory: Memory) -> Searched:
    """Return what a study says of a search.

    Args:
        name: Of the sweep.
        search: As JSON values.
        memory: Of the study.
    """
    from optuna.trial import TrialState

    told = tuple(one for one in memory.trials if one.state == TrialState.COMPLETE)
    fresh = tuple(search.get("confirm_seeds") or ())
    noted = memory.attributes.get(CONFIRMED, ())
    rungs = search.get("fidelity") or {}
    high = {key: ends[1] for key, ends in rungs.items()}
    promoted = memory.attributes.get(PROMOTED, ())
    return Searched(
        name=name,
        objectives=search["objectives"],
        constraints=search.get("constraints") or {},
        tried=tuple(map(_tried, told)),
        failed=sum(one.state == TrialState.FAIL for one in memory.trials),
        trials=told,
        confirm_seeds=fresh,
        confirmed=tuple(Rerun.of(n) for n in noted if n["seeds"] == [*fresh] and n["rung"] == high),
        pruned=sum(one.state == TrialState.PRUNED for one in memory.trials),
        fidelity=rungs,
        promoted=tuple(Rerun.of(one) for one in promoted if one["rung"] == high),
        stopped=memory.attributes.get(STOPPED) if search.get("stop") else None,
        configurations=int(search.get("configurations", 0)),
        under_way=sum(not one.state.is_finished() for one in memory.trials),
    )


def _errors(noted: Mapping[str, Any]) -> tuple[float, ...]:
    errors = noted["standard_error"]
    each = errors if isinstance(errors, list) else [errors]
    return tuple(math.nan if error is None else float(error) for error in each)


def _as_run(trial: FrozenTrial) -> dict[str, Any]:
    """By Optuna's names, with the numbers that stood for what it had drawn."""
    from optuna.distributions import FloatDistribution

    spaces = trial.distributions
    return {
        name: Range(of.low, of.high).rounded(value)
        if isinstance(value, float) and isinstance(of := spaces[name], FloatDistribution)
        else value
        for name, value in trial.params.items()
    }


def _tried(trial: FrozenTrial) -> Tried:
    known = trial.user_attrs
    return Tried(
        number=trial.number,
        parameters=_as_run(trial),
        configuration=known["configuration"],
        values=tuple(trial.values or ()),
        errors=_errors(known),
        seeds=len(known["seeds"]),
        kept=all(over <= 0 for over in trial.constraints.values()),
    )


def importances(found: Searched) -> dict[str, float]:
    """Share of each parameter in what makes the first objective good; empty with too few trials.

    Source: Watanabe et al. 2023 (PED-ANOVA), arXiv:2304.10255, in its conditional form.
    """
    if len(found.tried) < ENOUGH or len({one.values[0] for one in found.tried}) < 2:
        return {}
    import optuna

    sign = _sign(next(iter(found.objectives.values())))
    # At least five trials count as good, as the authors advise.
    share = max(0.1, min(0.5, 5 / len(found.tried)))
    evaluator = optuna.importance.PedAnovaImportanceEvaluator(target_quantile=share)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        study = optuna.create_study(directions=["minimize"] * len(found.objectives))
        study.add_trials(list(found.trials))
        shares = optuna.importance.get_param_importances(
            study, evaluator=evaluator, target=lambda trial: -sign * float(trial.values[0])
        )
    return {name: float(share) for name, share in shares.items() if math.isfinite(share)}
