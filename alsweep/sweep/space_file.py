"""RUN/sweep.yaml: the sweep with every default written out, loadable like any search space."""

import io
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

from alsweep import __version__
from alsweep.config.sweep import Implied, Provenance, SweepConfig, without_strategy
from alsweep.config.trajectory import TrajectoryConfig
from alsweep.files import canonical_json
from alsweep.layout import PLUGINS
from alsweep.query.plugin_files import stored_name
from alsweep.sweep.plan import Plan

_LEAVES = ("strategy", "starting_budget.strategy")
"""Mappings with keys of the user's choosing; they are written flat and as a whole."""


def resolved_sweep(plan: Plan) -> SweepConfig:
    """The sweep with defaults written out: it means the same trajectories as the plan.

    A key of base is written where all trajectories agree on it and the grid does not set it.
    """
    sweep, spelled = plan.sweep, _spelled(plan)
    provenance = Provenance(
        version=__version__,
        dataset_fingerprint=plan.dataset_fingerprint,
        trajectories=tuple(one.id for one in plan.own),
        implied=_implied(plan),
    )
    return sweep.model_copy(
        update={
            "dataset": plan.trajectories[0].config.dataset,
            "base": _nested(_shared_values(plan) | _leaves_below_the_grid(sweep)),
            "grid": {
                key: tuple(spelled[key][repr(value)] for value in values)
                for key, values in sweep.grid.items()
            },
            "plugins": tuple(Path(PLUGINS) / stored_name(file) for file in sweep.plugins),
            "provenance": provenance,
        }
    )


def to_yaml(sweep: SweepConfig) -> str:
    """The text of a search space."""
    yaml = YAML(typ="safe", pure=True)
    yaml.default_flow_style = None  # lists of plain values on one line, mappings in blocks
    yaml.representer.sort_base_mapping_type_on_output = False
    yaml.width = 100
    stream = io.StringIO()
    yaml.dump(sweep.plain(), stream)
    return stream.getvalue()


def _shared_values(plan: Plan) -> dict[str, Any]:
    """Dotted key to the value on which all trajectories agree, less what the grid sets."""
    return agreed([own_values(one.config, plan.sweep.grid) for one in plan.own])


def _implied(plan: Plan) -> tuple[Implied, ...]:
    """What points of the grid mean beyond their keys, where that is not the same for all."""
    found: dict[str, Implied] = {}
    shared, spelled = _shared_values(plan), _spelled(plan)
    for one in plan.own:
        cell = (one.cell or {}).items()
        where = without_strategy({key: spelled[key][repr(value)] for key, value in cell})
        own = own_values(one.config, plan.sweep.grid)
        values = {key: value for key, value in own.items() if key not in shared}
        values |= _left_open(one.config, where)
        if values:
            found.setdefault(canonical_json(where), Implied(where=where, base=values))
    return tuple(found.values())


def _left_open(config: TrajectoryConfig, where: Mapping[str, Any]) -> dict[str, Any]:
    """Dotted key to value of what the grid sets as a part of a mapping that does not say it.

    A value that follows from another axis too, such as a preset's, is in no mapping of the grid.
    """
    said: dict[str, Any] = {}
    for key, value in where.items():
        said |= dict(leaves(value, f"{key}.")) if isinstance(value, dict) else {key: value}
    return {
        key: value
        for key, value in leaves(config.plain())
        if any(key.startswith(f"{g}.") for g in where) and not set_by_grid(key, said)
    }


def own_values(config: TrajectoryConfig, grid: Mapping[str, Any]) -> dict[str, Any]:
    """Dotted key to value of a trajectory, less what the grid and the top level set."""
    plain = config.plain()
    learner = plain["training"]["learner"]
    if isinstance(learner, str) and any(key.startswith("training.learner.") for key in grid):
        # Without options it is written as its name alone, but here the grid sets options below it.
        plain["training"]["learner"] = {"name": learner}
    return {
        key: value
        for key, value in leaves(plain)
        if not set_by_grid(key, grid) and key.split(".")[0] not in ("dataset", "seed")
    }


def agreed(flats: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """The keys with one value in all of them."""
    first = flats[0].items()
    return {k: v for k, v in first if all(k in other and other[k] == v for other in flats)}


def _leaves_below_the_grid(sweep: SweepConfig) -> dict[str, Any]:
    """Flat strategies of which the grid sets a part: their base stays as the user wrote it."""
    written = dict(leaves(sweep.base))
    inside = [leaf for leaf in _LEAVES if any(g.startswith(f"{leaf}.") for g in sweep.grid)]
    return {leaf: written[leaf] for leaf in inside if leaf in written}


def leaves(values: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Dotted key and value of all that is no mapping; a strategy is a value as a whole."""
    for name, value in values.items():
        key = prefix + name
        if isinstance(value, dict) and key not in _LEAVES:
            yield from leaves(value, f"{key}.")
        else:
            yield key, value


def set_by_grid(key: str, grid: Mapping[str, Any]) -> bool:
    """Whether a grid key sets this key, one above it, or (in a flat strategy) one inside it."""
    return any(key == g or key.startswith(f"{g}.") or g.startswith(f"{key}.") for g in grid)


def _nested(flat: Mapping[str, Any]) -> dict[str, Any]:
    nested: dict[str, Any] = {}
    for key, value in flat.items():
        *parents, last = key.split(".")
        target = nested
        for parent in parents:
            target = target.setdefault(parent, {})
        target[last] = value
    return nested


def _spelled(plan: Plan) -> dict[str, dict[str, Any]]:
    """Grid key to the text of each of its values to all that it means, wherever it stands."""
    spelled: dict[str, dict[str, Any]] = {}
    for key in plan.sweep.grid:
        written: dict[str, Any] = {}
        meant: dict[str, list[Any]] = {}
        for one in plan.own:
            raw = (one.cell or {})[key]
            written[repr(raw)] = raw
            found = _value_at(one.config.plain(), key.split("."), raw)
            meant.setdefault(repr(raw), []).append(found)
        spelled[key] = {text: _common(raw, meant[text]) for text, raw in written.items()}
    return spelled


def _common(raw: Any, meant: Sequence[Any]) -> Any:
    """What all agree on; what follows from another axis too stays as it was written."""
    if all(one == meant[0] for one in meant):
        return meant[0]
    if not all(isinstance(one, dict) for one in meant):
        return raw
    written = raw if isinstance(raw, dict) else {}
    shared = [key for key in meant[0] if all(key in one for one in meant)]
    found = {key: _common(written.get(key), [one[key] for one in meant]) for key in shared}
    return {key: value for key, value in found.items() if value is not None or key in written}


def _value_at(values: Any, keys: Sequence[str], otherwise: Any) -> Any:
    for key in keys:
        if not isinstance(values, dict) or key not in values:
            return otherwise
        values = values[key]
    return values
