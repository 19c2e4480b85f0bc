"""RUN/sweep.yaml: the sweep with every default written out, loadable like any search space."""

import io
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

from alsweep import __version__
from alsweep.config.sweep import Provenance, SweepConfig
from alsweep.query.plugin_files import stored_name
from alsweep.sweep.plan import Plan
from alsweep.sweep.run_folder import PLUGINS

_LEAVES = ("strategy", "starting_budget.strategy")
"""Mappings with keys of the user's choosing; they are written flat and as a whole."""


def resolved_sweep(plan: Plan) -> SweepConfig:
    """The sweep with defaults written out: it means the same trajectories as the plan.

    A key of base is written where all trajectories agree on it and the grid does not set it.
    """
    sweep = plan.sweep
    provenance = Provenance(
        version=__version__, dataset_fingerprint=plan.dataset_fingerprint, trajectories=plan.ids
    )
    return sweep.model_copy(
        update={
            "dataset": plan.trajectories[0].config.dataset,
            "base": _nested(_shared_values(plan) | _leaves_below_the_grid(sweep)),
            "grid": {key: _grid_values(plan, key) for key in sweep.grid},
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
    flat = [dict(_leaves(one.config.plain())) for one in plan.trajectories]
    return {
        key: value
        for key, value in flat[0].items()
        if all(key in other and other[key] == value for other in flat)
        and not _set_by_grid(key, plan.sweep.grid)
        and key.split(".")[0] not in ("dataset", "seed")
    }


def _leaves_below_the_grid(sweep: SweepConfig) -> dict[str, Any]:
    """Flat strategies of which the grid sets a part: their base stays as the user wrote it."""
    written = dict(_leaves(sweep.base))
    inside = [leaf for leaf in _LEAVES if any(g.startswith(f"{leaf}.") for g in sweep.grid)]
    return {leaf: written[leaf] for leaf in inside if leaf in written}


def _leaves(values: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for name, value in values.items():
        key = prefix + name
        if isinstance(value, dict) and key not in _LEAVES:
            yield from _leaves(value, f"{key}.")
        else:
            yield key, value


def _set_by_grid(key: str, grid: Mapping[str, Any]) -> bool:
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


def _grid_values(plan: Plan, key: str) -> Sequence[Any]:
    """A grid axis as written; strategies with their parameters and labels written out."""
    written: Sequence[Any] = plan.sweep.grid[key]
    if key not in _LEAVES:
        return written
    resolved = {
        repr(one.cell[key]): dict(_leaves(one.config.plain()))[key] for one in plan.trajectories
    }
    return tuple(resolved[repr(value)] for value in written)
