"""Labels of strategies where runs meet: one for each strategy, and no two strategies share one."""

import json
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

from alsweep.config.base import fingerprint
from alsweep.config.strategy import StrategySpec
from alsweep.config.trajectory import TrajectoryConfig
from alsweep.files import canonical_json
from alsweep.results.records import RunFolder


class StrategyKey(NamedTuple):
    """What makes a strategy the one that it is, whatever its label.

    Attributes:
        name: Without parameters.
        params: Canonical JSON.
        plugins: Canonical JSON of the hashes of the files that it is from; empty where there are
            none.
    """

    name: str
    params: str
    plugins: str = ""

    @classmethod
    def of(cls, spec: StrategySpec) -> "StrategyKey":
        """The key of a resolved strategy."""
        plugins = canonical_json(list(spec.plugins)) if spec.plugins else ""
        return cls(spec.name, canonical_json(spec.parameters), plugins)


class Use(NamedTuple):
    """A label that stands for a strategy somewhere."""

    strategy: StrategyKey
    label: str
    where: str


@dataclass(frozen=True)
class Labels:
    """Labels that fit.

    Attributes:
        of: Strategy to its label; no two are equal.
        warnings: What is not as the runs have it, a line each.
    """

    of: Mapping[StrategyKey, str]
    warnings: tuple[str, ...]


def fit_labels(uses: Iterable[Use]) -> Labels:
    """Make labels fit: a strategy keeps the first of its own, and a shared one is lengthened.

    A label that stands for several strategies gets the parameters in which they differ appended for
    each of them, as ``label[beta=5]``; their names too where these differ, and a part of a hash
    where nothing else does. What fits already stays as it is.

    Args:
        uses: In the order in which the runs were named, and of their sweeps.
    """
    places: dict[StrategyKey, dict[str, str]] = defaultdict(dict)
    for use in uses:
        places[use.strategy].setdefault(use.label, use.where)
    first = {strategy: next(iter(labels)) for strategy, labels in places.items()}
    fitted = _unshared(first)
    renamed = [
        _renamed(strategy, labels, fitted[strategy])
        for strategy, labels in places.items()
        if len(labels) > 1
    ]
    split = [_split(label, group, fitted, places) for label, group in _sharing(first).items()]
    return Labels(fitted, (*renamed, *split))


def fitted_runs(runs: Sequence[RunFolder]) -> tuple[tuple[RunFolder, ...], tuple[str, ...]]:
    """Runs whose configs have labels that fit, and the warnings on what was changed.

    One run is as it is: in a sweep labels are unique.
    """
    if len(runs) < 2:
        return tuple(runs), ()
    fitted = fit_labels(
        Use(StrategyKey.of(trajectory.config.strategy), trajectory.config.strategy.shown, run_name)
        for run_name, run in ((str(run.path), run) for run in runs)
        for trajectory in run.trajectories
        if trajectory.config is not None
    )
    return tuple(_relabelled(run, fitted.of) for run in runs), fitted.warnings


def new_labels(run: RunFolder, fitted: RunFolder) -> dict[str, str]:
    """What the labels of a run became when they were made to fit; only what has begun has one."""
    pairs = zip(run.trajectories, fitted.trajectories, strict=True)
    return {
        before.config.strategy.shown: after.config.strategy.shown
        for before, after in pairs
        if before.config is not None and after.config is not None
    }


def _relabelled(run: RunFolder, labels: Mapping[StrategyKey, str]) -> RunFolder:
    trajectories = tuple(
        t if t.config is None else replace(t, config=_with_label(t.config, labels))
        for t in run.trajectories
    )
    return replace(run, trajectories=trajectories)


def _with_label(config: TrajectoryConfig, labels: Mapping[StrategyKey, str]) -> TrajectoryConfig:
    label = labels[StrategyKey.of(config.strategy)]
    return config.model_copy(
        update={"strategy": config.strategy.model_copy(update={"label": label})}
    )


def _sharing(labels: Mapping[StrategyKey, str]) -> dict[str, list[StrategyKey]]:
    """Labels of several strategies."""
    bearers: dict[str, list[StrategyKey]] = defaultdict(list)
    for strategy, label in labels.items():
        bearers[label].append(strategy)
    return {label: group for label, group in bearers.items() if len(group) > 1}


def _unshared(first: Mapping[StrategyKey, str]) -> dict[StrategyKey, str]:
    labels, again = dict(first), False
    while shared := _sharing(labels):
        for label, group in shared.items():
            # Lengthened, a label may be that which somebody gave to another strategy, who keeps it.
            made = [one for one in group if labels[one] != first[one]] if again else group
            texts = [_digest(one) for one in made] if again else _differences(group)
            for one, text in zip(made, texts, strict=True):
                labels[one] = f"{label}[{text}]" if text else label
        again = True
    return labels


def _differences(group: Sequence[StrategyKey]) -> list[str]:
    """What tells each strategy of a group from the others, in as few words as do."""
    values = [dict(_flat(json.loads(one.params))) for one in group]
    keys = sorted({key for value in values for key in value})
    differing = [key for key in keys if len({repr(value.get(key)) for value in values}) > 1]
    told = [[f"{k}={_short(value[k])}" for k in differing if k in value] for value in values]
    if len({one.name for one in group}) > 1:
        told = [[one.name, *parts] for one, parts in zip(group, told, strict=True)]
    texts = [",".join(parts) for parts in told]
    if len(set(texts)) == len(texts):
        return texts
    return [",".join([*parts, _digest(one)]) for one, parts in zip(group, told, strict=True)]


def _flat(value: Mapping[str, Any], prefix: str = "") -> Iterable[tuple[str, Any]]:
    for key, inner in value.items():
        if isinstance(inner, dict):
            yield from _flat(inner, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", inner


def _short(value: Any) -> str:
    """A parameter as labels spell it."""
    whole = isinstance(value, float) and value.is_integer()
    return str(int(value)) if whole else str(value)


def _digest(strategy: StrategyKey) -> str:
    return fingerprint(list(strategy))[:8]


def _renamed(strategy: StrategyKey, labels: Mapping[str, str], shown: str) -> str:
    names = " and ".join(f"'{label}' ({where})" for label, where in labels.items())
    return f"warning: {names} are one strategy, {strategy.name}; it is called '{shown}'"


def _split(
    label: str,
    group: Sequence[StrategyKey],
    fitted: Mapping[StrategyKey, str],
    places: Mapping[StrategyKey, Mapping[str, str]],
) -> str:
    names = ", ".join(f"'{fitted[one]}' ({next(iter(places[one].values()))})" for one in group)
    return f"warning: the label '{label}' stands for {len(group)} strategies, now called {names}"
