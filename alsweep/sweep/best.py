"""RUN/search/best.yaml: the best configuration as a search space, for other seeds or data."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from alsweep.config.assigning import assign_all
from alsweep.config.expansion import STRATEGY_KEYS
from alsweep.files import remove, write_bytes
from alsweep.layout import best_path
from alsweep.sweep.space_file import is_set, leaves, resolved_sweep, to_yaml

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from alsweep.config.expansion import SettingConfig
    from alsweep.config.search import SearchConfig
    from alsweep.config.sweep import SweepConfig
    from alsweep.config.trajectory import TrajectoryConfig
    from alsweep.results.searched import Rerun, Searched, Tried
    from alsweep.sweep.blocks import Blocks

_LONGEST = 64 - len("-best")


def write_best(blocks: Blocks, found: Searched) -> None:
    """Write the best configuration, unless it stands there already; none leaves no file.

    Args:
        blocks: Of the search.
        found: What it has found; nothing may keep the constraints.
    """
    run, plan = blocks.job.run, blocks.job.plan
    path, best = best_path(run), found.best()
    if best is None:
        remove(path)
        return
    values = {**best.configuration, **_high(blocks.search, found, best)}
    configs = [one.config for one in blocks.planned(values, plan.sweep.seeds[:1])]
    sweep = resolved_sweep(plan)
    # Those of the run, from wherever the file is copied to, as its dataset is.
    plugins = tuple((run / file).absolute() for file in sweep.plugins)
    sweep = sweep.model_copy(update={"plugins": plugins})
    text = (_head(sweep, found, best) + to_yaml(_alone(sweep, values, configs))).encode()
    if not path.exists() or path.read_bytes() != text:
        write_bytes(path, text)


def _high(search: SearchConfig, found: Searched, best: Tried) -> Mapping[str, float]:
    """The rung of the value that it was chosen for, over the low one."""
    return search.low if found.chosen_for(best) is best else search.high


def _head(sweep: SweepConfig, found: Searched, best: Tried) -> str:
    """Comments on what it was told with, and how far that is to be trusted."""
    chosen, rung = found.chosen_for(best), ""
    if chosen is not best and sweep.search is not None:
        rung = f" at {_rung(sweep.search.high)}"
    head = (
        f"# Trial {best.number} of the search {sweep.name}: {_told(found, chosen)}{rung}.\n"
        "# It was chosen for that value, which is therefore too good"
    )
    again = found.confirmation(best.number)
    if again is None:
        head += ": try it on other seeds.\n"
    else:
        first = (found.at_high() or found.front())[0].number
        beside = f" (trial {first} was the best of the search)" if first != best.number else ""
        head += (
            f".\n# On fresh seeds, {', '.join(map(str, again.seeds))}: {_told(found, again)}.\n"
            f"# The best there of {len(found.finalists())} that were run on them{beside}.\n"
        )
    if chosen is not best and sweep.search is not None:
        low = _rung(sweep.search.low)
        head += f"# At {low} it gave {_told(found, best)}, which is not to be compared.\n"
    return head


def _rung(values: Mapping[str, float]) -> str:
    return ", ".join(f"{key}={value:g}" for key, value in values.items())


def _told(found: Searched, one: Tried | Rerun) -> str:
    told = ", ".join(
        f"{name} {value:.6g}" + ("" if math.isnan(error) else f" (standard error {error:.2g})")
        for name, value, error in zip(found.objectives, one.values, one.errors, strict=True)
    )
    seeds = one.n_seeds
    return f"{told} over {seeds} seed{'' if seeds == 1 else 's'}"


def _alone(
    sweep: SweepConfig, values: Mapping[str, Any], configs: Sequence[TrajectoryConfig]
) -> SweepConfig:
    """The sweep of one configuration, which means the same whatever defaults are then.

    Args:
        sweep: Resolved.
        values: Of the configuration.
        configs: What it is in each setting.
    """
    every = [_written_out(config) for config in configs]
    shared = {k: v for k, v in every[0].items() if all(k in one and one[k] == v for one in every)}
    base = sweep.base_with(values)
    assign_all(base, shared)
    return sweep.model_copy(
        update={
            "name": f"{sweep.name[:_LONGEST]}-best",
            "base": base,
            "settings": sweep.settings
            and tuple(
                _with_rest(setting, {k: v for k, v in own.items() if k not in shared})
                for setting, own in zip(sweep.settings, every, strict=True)
            ),
            "grid": {},
            "points": None,
            "sample": None,
            "search": None,
            "provenance": None,
            # Those of the grid beside the search, which this sweep has not.
            "report": sweep.report.model_copy(update={"controls": None}),
        }
    )


def _written_out(config: TrajectoryConfig) -> dict[str, Any]:
    """Dotted key to value, but for strategies, which stand where they were written."""
    every = {key: value for key, value in leaves(config.plain()) if key not in STRATEGY_KEYS}
    return {key: value for key, value in every.items() if key not in ("dataset", "seed")}


def _with_rest(setting: SettingConfig, values: Mapping[str, Any]) -> SettingConfig:
    """A setting with what follows from its keys: a preset does not reach below what base says."""
    rest = {key: value for key, value in values.items() if not is_set(key, setting.values)}
    return setting.model_copy(update={"values": {**setting.values, **rest}})
