"""RUN/search/best.yaml: the best configuration as a search space, for other seeds or data."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from alsweep.files import write_bytes
from alsweep.layout import best_path
from alsweep.sweep.space_file import resolved_sweep, to_yaml
from alsweep.sweep.study import CONFIGURATION, ERROR_OF

if TYPE_CHECKING:
    from optuna.trial import FrozenTrial

    from alsweep.config.sweep import SweepConfig
    from alsweep.sweep.plan import Plan

_LONGEST = 64 - len("-best")


def write_best(run: Path, plan: Plan, best: FrozenTrial | None) -> None:
    """Write the best configuration, unless it stands there already; none leaves no file.

    Args:
        run: The run folder.
        plan: Of the search.
        best: The trial; None where none keeps the constraints.
    """
    path = best_path(run)
    if best is None:
        path.unlink(missing_ok=True)
        return
    text = best_yaml(resolved_sweep(plan), best).encode()
    if not path.exists() or path.read_bytes() != text:
        write_bytes(path, text)


def best_yaml(sweep: SweepConfig, best: FrozenTrial) -> str:
    """The text of best.yaml.

    Args:
        sweep: Resolved, so that defaults which change later do not change what it means.
        best: The trial.
    """
    assert sweep.search is not None
    names, values = sweep.search.objectives, best.values or ()
    errors = best.user_attrs[ERROR_OF]
    each = errors if isinstance(errors, list) else [errors]
    told = ", ".join(
        f"{name} {value:.6g}" + ("" if error is None else f" (standard error {error:.2g})")
        for name, value, error in zip(names, values, each, strict=True)
    )
    seeds = len(sweep.seeds)
    head = (
        f"# Trial {best.number} of the search {sweep.name}: {told} over {seeds} "
        f"seed{'' if seeds == 1 else 's'}.\n"
        "# It was chosen for that value, which is therefore too good: try it on other seeds.\n"
    )
    return head + to_yaml(_alone(sweep, best.user_attrs[CONFIGURATION]))


def _alone(sweep: SweepConfig, values: dict[str, object]) -> SweepConfig:
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
