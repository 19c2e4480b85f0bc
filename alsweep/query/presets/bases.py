"""Maps that other rules are built round: what they share is written once."""

from typing import Any

from alsweep.query.base import searchable
from alsweep.query.maps import MAPS, MixedEntropyMap, ScoreMapStage

_OF_ANOTHER_NAME = {"jsd": "mutual_information"}

BASES = (
    "predictive_entropy",
    "expected_entropy",
    "mutual_information",
    "jsd",
    "mixed_entropy",
    "least_confidence",
    "margin",
    "expected_dice",
)
"""Maps that a rule may be built round. The Jensen-Shannon divergence of the members is the mutual
information, under the name that it has in the paper on stochastic batches."""


def base_field(default: str = "predictive_entropy") -> Any:
    """The parameter that names the map a rule is built round."""
    return searchable(default, choices=BASES, help="map that scores patches")


def base_map(base: str, alpha: float) -> ScoreMapStage:
    """The map of that name; ``alpha`` is of mixed_entropy alone."""
    if base == "mixed_entropy":
        return MixedEntropyMap(alpha=alpha)
    return MAPS.get(_OF_ANOTHER_NAME.get(base, base))()
