"""The learners by name; looking a name up imports none of them."""

from difflib import get_close_matches
from importlib.metadata import EntryPoint, entry_points
from importlib.util import find_spec
from typing import TYPE_CHECKING

from alsweep.errors import ConfigError

if TYPE_CHECKING:
    from alsweep.model.learner import Learner

GROUP = "alsweep.learners"

_OWN = (
    EntryPoint("monai", "alsweep.model.monai_learner:MonaiLearner", GROUP),
    EntryPoint("nnunetv2", "alsweep.model.nnunet:NnunetLearner", GROUP),
)
_EXTRAS = {"nnunetv2": "nnunet"}
"""Learners whose package comes with an extra of ours."""


def check_learner(name: str) -> None:
    """See to it that a learner of that name can be made.

    Raises:
        ConfigError: There is none, or its package is not installed; names the mend.
    """
    _point(name)
    if name in _EXTRAS and find_spec(name) is None:
        mend = f"pip install 'alsweep[{_EXTRAS[name]}]'"
        raise ConfigError(f"base.training.learner: {name} is not installed; {mend}")


def make_learner(name: str) -> "Learner":
    """The learner of that name, ours or another package's.

    Raises:
        ConfigError: There is none, or its package is not installed.
    """
    check_learner(name)
    learner: Learner = _point(name).load()()
    return learner


def _point(name: str) -> EntryPoint:
    points = {point.name: point for point in (*entry_points(group=GROUP), *_OWN)}
    if name in points:
        return points[name]
    near = get_close_matches(name, points, n=1)
    mend = f"did you mean '{near[0]}'?" if near else f"known: {', '.join(sorted(points))}"
    raise ConfigError(f"base.training.learner: unknown learner '{name}'; {mend}")
