"""RUN/search/best.yaml: the best configuration as a search space, for other seeds or data."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING

from alsweep.files import remove, write_bytes
from alsweep.layout import best_path
from alsweep.sweep.space_file import resolved_sweep, to_yaml

if TYPE_CHECKING:
    from collections.abc import Mapping

    from alsweep.config.sweep import SweepConfig
    from alsweep.results.searched import Rerun, Searched, Tried
    from alsweep.sweep.plan import Plan

_LONGEST = 64 - len("-best")


def write_best(run: Path, plan: Plan, found: Searched) -> None:
    """Write the best configuration, unless it stands there already; none leaves no file.

    Args:
        run: The run folder.
        plan: Of the search.
        found: What it has found; nothing may keep the constraints.
    """
    path, best = best_path(run), found.best()
    if best is None:
        remove(path)
        return
    text = best_yaml(resolved_sweep(plan), found, best).encode()
    if not path.exists() or path.read_bytes() != text:
        write_bytes(path, text)


def best_yaml(sweep: SweepConfig, found: Searched, best: Tried) -> str:
    """The text of best.yaml.

    Args:
        sweep: Resolved, so that defaults which change later do not change what it means.
        found: By its search.
        best: Of that.
    """
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
    high = {} if chosen is best or sweep.search is None else sweep.search.high
    low_ = {} if sweep.search is None else sweep.search.low
    return head + to_yaml(_alone(sweep, {**low_, **best.configuration, **high}))


def _rung(values: Mapping[str, float]) -> str:
    return ", ".join(f"{key}={value:g}" for key, value in values.items())


def _told(found: Searched, one: Tried | Rerun) -> str:
    told = ", ".join(
        f"{name} {value:.6g}" + ("" if math.isnan(error) else f" (standard error {error:.2g})")
        for name, value, error in zip(found.objectives, one.values, one.errors, strict=True)
    )
    seeds = one.n_seeds
    return f"{told} over {seeds} seed{'' if seeds == 1 else 's'}"


def _alone(sweep: SweepConfig, values: Mapping[str, object]) -> SweepConfig:
    """The sweep of one configuration."""
    return sweep.model_copy(
        update={
            "name": f"{sweep.name[:_LONGEST]}-best",
            "base": sweep.base_with(values),
            "grid": {},
            "points": None,
            "sample": None,
            "search": None,
            "provenance": None,
        }
    )
