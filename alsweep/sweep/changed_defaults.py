"""Which defaults a search space relies on that were others when its run began."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from alsweep.config.strategy import COMPOSED
from alsweep.files import canonical_json
from alsweep.query.base import make_strategy
from alsweep.sweep.space_file import Spelled, is_set, leaves, made, own_values, shared_values

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from alsweep.config.expansion import Cell
    from alsweep.config.strategy import StrategySpec
    from alsweep.config.sweep import SweepConfig
    from alsweep.config.trajectory import TrajectoryConfig
    from alsweep.sweep.plan import Plan, Planned

_START = "starting_budget.strategy"


def changed_defaults(stored: SweepConfig, plan: Plan) -> dict[str, tuple[Any, Any]]:
    """What a search space leaves to defaults that were others when its run began.

    Returns:
        Dotted key to the value then and now.
    """
    return {**_changed_keys(stored, plan), **_changed_parameters(stored, plan)}


def _changed_keys(stored: SweepConfig, plan: Plan) -> dict[str, tuple[Any, Any]]:
    """A default may follow from the space, as all do that a preset sets: point by point then."""
    then, now = _points_then(stored), _points_now(plan)
    shared = [where for where in now if where in then]
    if not shared:
        return _changes(plan, shared_values(stored.expanded()), shared_values(made(plan)))
    changed = {where: _changes(plan, then[where], now[where]) for where in shared}
    first = changed[shared[0]]
    everywhere = {
        key: pair
        for key, pair in first.items()
        if all(other.get(key) == pair for other in changed.values())
    }
    return everywhere | {
        f"{key} (where {_shown(where)})": pair
        for where, own in changed.items()
        for key, pair in own.items()
        if key not in everywhere
    }


def _points_then(stored: SweepConfig) -> dict[str, dict[str, Any]]:
    """The values of each point of the space, less the strategy; of several seeds the first."""
    return _points([(cell.where, cell, config) for cell, config in stored.expanded()])


def _points_now(plan: Plan) -> dict[str, dict[str, Any]]:
    spelled = Spelled(plan)
    return _points([(spelled.full(cell).where, cell, config) for cell, config in made(plan)])


def _points(
    found: Sequence[tuple[Mapping[str, Any], Cell, TrajectoryConfig]],
) -> dict[str, dict[str, Any]]:
    every = {key for _, cell, _ in found for key in cell.values}
    points: dict[str, dict[str, Any]] = {}
    for where, cell, config in found:
        key = canonical_json(where)
        if key not in points:
            points[key] = own_values(config, cell.values, every)
    return points


def _shown(where: str) -> str:
    """A point of the space for people."""
    return ", ".join(f"{key} is {value}" for key, value in json.loads(where).items())


def _changes(
    plan: Plan, then: Mapping[str, Any], now: Mapping[str, Any]
) -> dict[str, tuple[Any, Any]]:
    written = dict(leaves(plan.sweep.base))
    before = {key: _at(then, key, otherwise=now[key]) for key in now}
    return {
        key: (before[key], now[key])
        for key in now
        if before[key] != now[key]
        and not _same_strategy(before[key], now[key])
        and not is_set(key, written)
    }


def _at(values: Mapping[str, Any], key: str, otherwise: object) -> Any:
    """The value at a dotted key, or what stood in place of the section that it is in."""
    while key not in values and "." in key:
        key = key.rpartition(".")[0]
    return values.get(key, otherwise)


def _same_strategy(then: object, now: object) -> bool:
    """Whether two values are one strategy, whose parameters are named by themselves."""
    if not isinstance(then, dict) or not isinstance(now, dict):
        return False
    return "name" in then and then["name"] == now.get("name")


def _changed_parameters(stored: SweepConfig, plan: Plan) -> dict[str, tuple[Any, Any]]:
    """The same for parameters of strategies, of those that have kept name and label."""
    then = {config.strategy.label: config for config in stored.trajectories()}
    changed: dict[str, tuple[Any, Any]] = {}
    for one in plan.own:
        before = then.get(one.label)
        if before is not None:
            strategy, start = one.config.strategy, one.config.starting_budget.strategy
            changed |= _changed(before.strategy, strategy, f"strategy '{one.label}'", one, plan)
            changed |= _changed(before.starting_budget.strategy, start, _START, one, plan)
    return changed


def _changed(
    before: StrategySpec, spec: StrategySpec, shown: str, one: Planned, plan: Plan
) -> dict[str, tuple[Any, Any]]:
    if (before.name, before.plugins) != (spec.name, spec.plugins):
        return {}
    key = _START if shown == _START else "strategy"
    written = {*_written(plan.sweep.base, one.cell.values if one.cell else {}, key)}
    then, now = _parameters(before), _parameters(spec)
    return {
        f"{shown}.{name}": (then[name], now[name])
        for name in now
        if name in then and then[name] != now[name] and f"{key}.{name}" not in written
    }


def _parameters(spec: StrategySpec) -> dict[str, Any]:
    """Dotted name to value of all parameters, those at their neutral value too."""
    made = make_strategy(spec)
    composed = made.composition if spec.name == COMPOSED else None
    return dict(leaves({COMPOSED: asdict(composed)} if composed else asdict(made)))


def _written(base: Mapping[str, Any], cell: Mapping[str, Any], key: str) -> dict[str, Any]:
    """Dotted keys that the user wrote of a strategy, in the grid or in base."""
    value: Any = base
    for part in key.split("."):
        value = value.get(part) if isinstance(value, dict) else None
    value = cell.get(key, value)
    inside = dict(leaves(value, f"{key}.")) if isinstance(value, dict) else {}
    return inside | {k: v for k, v in cell.items() if k.startswith(f"{key}.")}
