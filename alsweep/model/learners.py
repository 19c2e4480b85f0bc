"""The learners by name, made with their options, and held to what they say of themselves."""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, fields, is_dataclass
from difflib import get_close_matches
from functools import cache
from importlib.metadata import EntryPoint, entry_points
from importlib.util import find_spec
from typing import Any

from alsweep.config.learner import RESERVED, LearnerSpec
from alsweep.config.trajectory import PRESETS, TrainingConfig
from alsweep.errors import ConfigError, StrategyError
from alsweep.model.learner import FRAME, Learner
from alsweep.model.options.base import resolve_options
from alsweep.query.parameters import checked, neutral_values, telling

GROUP = "alsweep.learners"

_OWN = (
    EntryPoint("monai", "alsweep.model.options.learner:OwnLearner", GROUP),
    EntryPoint("nnunetv2", "alsweep.model.nnunet:NnunetLearner", GROUP),
)
_EXTRAS = {"nnunetv2": "nnunet"}
"""Learners whose package comes with an extra of ours."""

_PLACE = "base.training.learner"


def resolve_learner(training: TrainingConfig, needs: Collection[str] = ()) -> TrainingConfig:
    """Write out all options, and see to it that the learner heeds all that it is told.

    Args:
        training: As the user wrote it.
        needs: What the strategy reads of a prediction, and that of the start.

    Raises:
        ConfigError: The learner or an option cannot be made, or the learner has its own way where
            the config has another, or has no embeddings where they are needed; names the mend.
    """
    learner = make_learner(training.learner)
    if not training.learner.stored:
        # What alsweep wrote was held to the presets and defaults of then.
        _check_heeded(learner, training)
    for what, missing in _missing(learner).items():
        if missing & set(needs):
            raise ConfigError(
                f"{_PLACE}: '{training.learner.name}' gives no {what}, which the strategy needs; "
                "choose another of the two"
            )
    options: dict[str, Any] = telling(learner) if is_dataclass(learner) else {}
    spec = LearnerSpec(name=training.learner.name, options=options, stored=True)
    return resolve_options(training.model_copy(update={"learner": spec}))


def _missing(learner: Learner) -> dict[str, set[str]]:
    """Needs of strategies that the learner cannot meet, by their name for people."""
    found: dict[str, set[str]] = {}
    if type(learner).encoder is Learner.encoder:
        found["embeddings"] = {"embedding", "pretrained"}
    if type(learner).head is Learner.head:
        found["gradients"] = {"gradient", "soft_gradient"}
    return found


def _check_heeded(learner: Learner, training: TrainingConfig) -> None:
    name, preset = training.learner.name, learner.own_preset or training.preset
    own = TrainingConfig.model_validate({"preset": preset})
    for key in TrainingConfig.model_fields:
        heeded = key in FRAME or key in learner.heeds
        if not heeded and getattr(training, key) != getattr(own, key):
            value = PRESETS[preset].get(key, own.plain()[key])
            raise ConfigError(
                f"base.training.{key}: learner {name} has its own; write {key}: {value}"
            )


def make_learner(spec: str | Mapping[str, Any] | LearnerSpec) -> Learner:
    """Make a learner, ours or another package's, from its name and options.

    Raises:
        ConfigError: There is none, its package is not installed, an option is unknown or out of
            its range, or what was found is no learner.
    """
    given = spec if isinstance(spec, LearnerSpec) else LearnerSpec.model_validate(spec)
    factory = _load(given.name)
    learner = factory(**_options(factory, given))
    if not isinstance(learner, Learner):
        raise _broken(given.name, "is no subclass of alsweep.model.learner.Learner")
    if unknown := sorted({*learner.heeds} - {*TrainingConfig.model_fields}):
        raise _broken(given.name, f"heeds '{unknown[0]}', which training does not have")
    return learner


def _load(name: str) -> Callable[..., Any]:
    point = _point(name)
    if name in _EXTRAS and find_spec(name) is None:
        mend = f"pip install 'alsweep[{_EXTRAS[name]}]'"
        raise ConfigError(f"{_PLACE}: {name} is not installed; {mend}")
    try:
        factory: Callable[..., Any] = point.load()
    except (ImportError, AttributeError) as error:
        raise _broken(name, f"cannot be loaded from {point.value} ({error})") from error
    return factory


def _broken(name: str, why: str) -> ConfigError:
    return ConfigError(f"{_PLACE}: '{name}' {why}; mend the package that brings it")


@dataclass(frozen=True)
class _NoOptions:
    """The options of a learner that has none."""


def _options(factory: Callable[..., Any], given: LearnerSpec) -> dict[str, Any]:
    owner = factory if isinstance(factory, type) and is_dataclass(factory) else _NoOptions
    for field in fields(owner):
        if field.name in RESERVED:
            raise _broken(given.name, f"has an option called '{field.name}', a name that is taken")
    neutral = neutral_values(owner) if given.stored else {}
    try:
        return checked(owner, {**neutral, **given.options}, f"{_PLACE}: '{given.name}'")
    except StrategyError as error:
        raise ConfigError(str(error)) from error


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
    raise ConfigError(f"{_PLACE}: unknown learner '{name}'; {mend}")
