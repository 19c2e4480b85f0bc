"""What the study of a search is called: another name wherever values would not be comparable."""

from __future__ import annotations

from typing import TYPE_CHECKING

from alsweep.config.base import fingerprint

if TYPE_CHECKING:
    from alsweep.sweep.plan import Plan


def study_name(plan: Plan) -> str | None:
    """Name of the sweep, and hash of all that a value of its study means; None without a search."""
    search = plan.sweep.search
    if search is None:
        return None
    told = {
        "over": search.over,
        "objectives": list(search.objectives),
        "constraints": search.constraints,
        "seeds": plan.sweep.seeds,
        "examples": [one.id for one in plan.examples],
    }
    return f"{plan.sweep.name}-{fingerprint(told)[:12]}"
