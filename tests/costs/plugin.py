"""A cost model of a user's own: minutes, half a one for a slice and ten for a case."""

from alsweep.costs import cost, cost_model
from alsweep.geometry import Patch
from alsweep.types import LabelMap


@cost("minutes", "minutes", per_case=10.0)
def minutes(patch: Patch, labels: LabelMap) -> float:
    """Minutes of a person."""
    return 0.5 * cost_model("slices").of_patch(patch, labels)
