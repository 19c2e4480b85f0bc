"""The learners by name; looking a name up imports none of them."""

from difflib import get_close_matches
from functools import cache
from importlib.metadata import EntryPoint, entry_points
from importlib.util import find_spec
from typing import TYPE_CHECKING

from alsweep.config.augmentation import AUGMENTATIONS, AugmentationConfig
from alsweep.config.trajectory import TrainingConfig
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

_FIXED: dict[str, dict[str, object]] = {
    "nnunetv2": {
        "optimizer": "sgd_poly",
        "momentum": 0.99,
        "gradient_clip": 12.0,
        "case_sampling": "uniform",
        "augmentation": AugmentationConfig.model_validate(AUGMENTATIONS["nnunet"]),
        "precision": "auto",
    }
}
"""What a learner decides by itself."""


def check_learner(training: TrainingConfig) -> None:
    """See to it that the learner can be made, and heeds all that it is told.

    Raises:
        ConfigError: There is none of that name, its package is not installed, or it has its own
            way where the config has another; names the mend.
    """
    _point(training.learner)
    _check_installed(training.learner)
    for key, value in _FIXED.get(training.learner, {}).items():
        if getattr(training, key) != value:
            text = "nnunet" if isinstance(value, AugmentationConfig) else value
            raise ConfigError(
                f"base.training.{key}: learner {training.learner} has its own; write {key}: {text}"
            )


def _check_installed(name: str) -> None:
    if name in _EXTRAS and find_spec(name) is None:
        mend = f"pip install 'alsweep[{_EXTRAS[name]}]'"
        raise ConfigError(f"base.training.learner: {name} is not installed; {mend}")


def make_learner(name: str) -> "Learner":
    """The learner of that name, ours or another package's.

    Raises:
        ConfigError: There is none, or its package is not installed.
    """
    _check_installed(name)
    learner: Learner = _point(name).load()()
    return learner


@cache
def _points() -> dict[str, EntryPoint]:
    """All learners. Kept: a sweep asks for each of its trajectories, and finding takes long."""
    return {point.name: point for point in (*entry_points(group=GROUP), *_OWN)}


def _point(name: str) -> EntryPoint:
    points = _points()
    if name in points:
        return points[name]
    near = get_close_matches(name, points, n=1)
    mend = f"did you mean '{near[0]}'?" if near else f"known: {', '.join(sorted(points))}"
    raise ConfigError(f"base.training.learner: unknown learner '{name}'; {mend}")
