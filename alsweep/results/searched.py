"""What a search has found, read from its study: trials, how far to trust the best, what matters."""

from __future__ import annotations

import math
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ruamel.yaml import YAML

from alsweep.files import canonical_json
from alsweep.layout import space_path
from alsweep.results.studies import read_trials

if TYPE_CHECKING:
    from optuna.trial import FrozenTrial

ENOUGH = 10
"""Trials told, before importances say more than which of them were drawn."""


@dataclass(frozen=True)
class Tried:
    """A configuration that was told with values.

    Attributes:
        number: Of the trial.
        parameters: By Optuna's names.
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
    def identity(self) -> str:
        """Equal for a configuration and its repeats."""
        return canonical_json(self.configuration)


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
    """

    name: str
    objectives: Mapping[str, str]
    constraints: Mapping[str, float]
    tried: tuple[Tried, ...]
    failed: int
    trials: tuple[FrozenTrial, ...]

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

    def optimism(self) -> float:
        """How far above its true value the best of equals would be, by seed noise alone.

        The expected largest of as many normal errors as there are configurations, by Blom's
        formula; NaN for a single seed.
        """
        from scipy.stats import norm

        ranked = self.ranked()
        errors = [one.errors[0] for one in ranked]
        typical = math.sqrt(sum(e * e for e in errors) / len(errors)) if errors else math.nan
        n = len(ranked)
        return float(norm.ppf((n - 0.375) / (n + 0.25))) * typical if n > 1 else 0.0


def _sign(direction: str) -> int:
    return 1 if direction == "max" else -1


def _beats(one: Tried, other: Tried, signs: Sequence[int]) -> bool:
    gains = [s * (a - b) for s, a, b in zip(signs, one.values, other.values, strict=True)]
    return min(gains) >= 0 and max(gains) > 0


def interval(one: Tried) -> tuple[float, float]:
    """95 % t interval of the first objective; NaN for a single seed."""
    from scipy.stats import t

    if one.seeds < 2:
        return math.nan, math.nan
    half = float(t.ppf(0.975, one.seeds - 1)) * one.errors[0]
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
    from optuna.trial import TrialState

    trials = read_trials(run, search.get("storage"), str(study))
    told = tuple(one for one in trials if one.state == TrialState.COMPLETE)
    failed = sum(one.state == TrialState.FAIL for one in trials)
    objectives, limits = search["objectives"], search.get("constraints") or {}
    tried = tuple(map(_tried, told))
    return Searched(str(raw["name"]), objectives, limits, tried, failed, told)


def _tried(trial: FrozenTrial) -> Tried:
    known = trial.user_attrs
    errors = known["standard_error"]
    each = errors if isinstance(errors, list) else [errors]
    return Tried(
        number=trial.number,
        parameters=trial.params,
        configuration=known["configuration"],
        values=tuple(trial.values or ()),
        errors=tuple(math.nan if error is None else float(error) for error in each),
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
