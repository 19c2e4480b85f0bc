"""RUN/sweep.yaml: the sweep with every default written out, loadable like any search space."""

import io
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

from alsweep import __version__
from alsweep.config.expansion import Cell, SettingConfig
from alsweep.config.provenance import Implied, Provenance, RecordedSetting
from alsweep.config.sweep import SweepConfig
from alsweep.config.trajectory import TrajectoryConfig
from alsweep.files import canonical_json
from alsweep.layout import PLUGINS
from alsweep.query.plugin_files import stored_name
from alsweep.sweep.plan import Plan
from alsweep.sweep.study_name import study_name

_LEAVES = ("strategy", "starting_budget.strategy")
"""Mappings with keys of the user's choosing; they are written flat and as a whole."""

_LEARNER = "training.learner"
_NONE = object()

Made = tuple[Cell, TrajectoryConfig]
"""A trajectory and the point of the space that it stands for."""


def resolved_sweep(plan: Plan) -> SweepConfig:
    """The sweep with defaults written out: it means the same trajectories as the plan.

    A key of base is written where all trajectories whose cells do not set it agree on it.
    """
    sweep, spelled = plan.sweep, Spelled(plan)
    base = shared_values(made(plan)) | _leaves_below_the_grid(sweep)
    return sweep.model_copy(
        update={
            "dataset": _shared_dataset(plan),
            "base": _nested(base),
            "settings": _settings(plan, spelled),
            "grid": {
                key: tuple(spelled(f"grid.{key}", value) for value in values)
                for key, values in sweep.grid.items()
            },
            "points": sweep.points
            and tuple(
                spelled.all(f"points.{index}", point) for index, point in enumerate(sweep.points)
            ),
            "report": sweep.report.on(plan.names) if plan.own else sweep.report,
            "plugins": tuple(Path(PLUGINS) / stored_name(file) for file in sweep.plugins),
            "provenance": _provenance(plan, spelled),
        }
    )


def to_yaml(sweep: SweepConfig) -> str:
    """The text of a search space; what it leaves out at the top level is left out."""
    yaml = YAML(typ="safe", pure=True)
    yaml.default_flow_style = None  # lists of plain values on one line, mappings in blocks
    yaml.representer.sort_base_mapping_type_on_output = False
    yaml.width = 100
    stream = io.StringIO()
    yaml.dump({key: value for key, value in sweep.plain().items() if value is not None}, stream)
    return stream.getvalue()


def made(plan: Plan) -> list[Made]:
    """The trajectories of the search space itself, and those that a search may suggest."""
    return [(one.cell, one.config) for one in plan.meant if one.cell is not None]


def _provenance(plan: Plan, spelled: "Spelled") -> Provenance:
    sweep, known = plan.sweep, plan.sweep.provenance
    draws = sweep.sample.draws(() if known is None else known.draws) if sweep.sample else ()
    prints = dict.fromkeys(one.dataset_fingerprint for one in plan.meant)
    return Provenance(
        version=__version__,
        dataset_fingerprint=next(iter(prints)) if len(prints) == 1 else None,
        trajectories=tuple(one.id for one in plan.own),
        implied=_implied(plan, spelled),
        settings=tuple(_recorded(plan, one.name) for one in sweep.settings or ()),
        draws=tuple(spelled.all("sample.over", one) for one in draws),
        study=study_name(plan),
    )


def _recorded(plan: Plan, setting: str) -> RecordedSetting:
    mine = [one for one in plan.meant if one.setting == setting]
    return RecordedSetting(
        name=setting,
        dataset_fingerprint=mine[0].dataset_fingerprint,
        trajectories=tuple(one.id for one in plan.own if one.setting == setting),
    )


def _shared_dataset(plan: Plan) -> Path | None:
    """Where the dataset lies of all settings that name none of their own."""
    lies = (one.config.dataset for one in plan.meant if one.cell and one.cell.dataset is None)
    return next(lies, None)


def _settings(plan: Plan, spelled: "Spelled") -> tuple[SettingConfig, ...] | None:
    if plan.sweep.settings is None:
        return None
    lies = {one.setting: one.config.dataset for one in plan.meant}
    return tuple(
        one.model_copy(
            update={
                "dataset": one.dataset and lies[one.name],
                "values": spelled.all(f"settings.{one.name}", one.values),
            }
        )
        for one in plan.sweep.settings
    )


def shared_values(ours: Sequence[Made]) -> dict[str, Any]:
    """Dotted key to the value on which all trajectories agree, but those whose cells set it."""
    every = {key for cell, _ in ours for key in cell.values}
    flats = [(own_values(config, cell.values, every), cell.values) for cell, config in ours]
    first: dict[str, Any] = {}
    for flat, _ in flats:
        first = flat | first
    return {
        key: value
        for key, value in first.items()
        if all(flat[key] == value if key in flat else is_set(key, keys) for flat, keys in flats)
    }


def _implied(plan: Plan, spelled: "Spelled") -> tuple[Implied, ...]:
    """What points of the space mean beyond their keys, where that is not the same for all."""
    found: dict[str, Implied] = {}
    ours = made(plan)
    shared, every = shared_values(ours), {key for cell, _ in ours for key in cell.values}
    owned: set[str] = set()
    for cell, config in ours:
        full, own = spelled.full(cell), own_values(config, cell.values, every)
        values = {key: value for key, value in own.items() if key not in shared}
        values |= _left_open(config, full.values)
        where = full.where
        point = canonical_json(where)
        if not cell.searched:
            owned.add(point)
        elif point in found and point not in owned:
            # What a search may suggest shares a point: what differs there follows from that.
            known = found[point].base
            values = {k: v for k, v in known.items() if values.get(k, _NONE) == v}
            found[point] = Implied(where=where, base=values)
        if values:
            found.setdefault(point, Implied(where=where, base=values))
    return tuple(found.values())


def _left_open(config: TrajectoryConfig, cell: Mapping[str, Any]) -> dict[str, Any]:
    """What mappings of a cell do not say, since it follows from another axis too."""
    maps = {key: v for key, v in cell.items() if isinstance(v, dict) and key not in _LEAVES}
    others = [key for key in cell if key not in maps]
    said = {leaf for key, value in maps.items() for leaf, _ in leaves(value, f"{key}.")}
    return {
        leaf: value
        for leaf, value in leaves(config.plain())
        if any(leaf.startswith(f"{key}.") for key in maps)
        and not (value is None or leaf in said or is_set(leaf, others))
    }


def own_values(
    config: TrajectoryConfig, cell: Collection[str], every: Collection[str]
) -> dict[str, Any]:
    """Dotted key to value of a trajectory, less what its cell and the top level set.

    Args:
        config: Of the trajectory.
        cell: Keys that its cell sets.
        every: Keys that any cell sets.
    """
    plain = config.plain()
    learner = plain["training"]["learner"]
    if isinstance(learner, str) and any(key.startswith(f"{_LEARNER}.") for key in every):
        # Without options it is written as its name alone, but here options are set below it.
        plain["training"]["learner"] = {"name": learner}
    return {
        key: value
        for key, value in leaves(plain)
        if not is_set(key, cell) and key.split(".")[0] not in ("dataset", "seed")
    }


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


def is_set(key: str, keys: Collection[str]) -> bool:
    """Whether keys set this one, one above it, or (in a flat strategy) one inside it."""
    return any(key == k or key.startswith(f"{k}.") or k.startswith(f"{key}.") for k in keys)


def _nested(flat: Mapping[str, Any]) -> dict[str, Any]:
    nested: dict[str, Any] = {}
    for key, value in flat.items():
        *parents, last = key.split(".")
        target = nested
        for parent in parents:
            target = target.setdefault(parent, {})
        target[last] = value
    return nested


class Spelled:
    """What each written value means in full, wherever in the search space it stands."""

    def __init__(self, plan: Plan) -> None:
        meant: dict[tuple[str, str], tuple[Any, list[Any]]] = {}
        for cell, config in made(plan):
            plain = config.plain()
            for key, raw in cell.values.items():
                _, found = meant.setdefault((cell.places[key], repr(raw)), (raw, []))
                found.append(_value_at(plain, key.split("."), raw))
        self._full = {place: _common(raw, found) for place, (raw, found) in meant.items()}

    def __call__(self, place: str, raw: Any) -> Any:
        """One value."""
        return self._full[place, repr(raw)]

    def all(self, home: str, values: Mapping[str, Any]) -> dict[str, Any]:
        """All values of a partial config."""
        return {key: self(f"{home}.{key}", raw) for key, raw in values.items()}

    def full(self, cell: Cell) -> Cell:
        """A cell with all that its values mean."""
        values = {key: self(cell.places[key], raw) for key, raw in cell.values.items()}
        return replace(cell, values=values)


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
