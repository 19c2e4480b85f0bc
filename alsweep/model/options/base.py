"""What a training option is, and how one is found by its kind."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import fields
from difflib import get_close_matches
from functools import cache
from importlib.metadata import EntryPoint, entry_points
from typing import TYPE_CHECKING, Any

from alsweep.config.option import OptionSpec
from alsweep.config.trajectory import TrainingConfig
from alsweep.errors import ConfigError, StrategyError
from alsweep.model.learner import Setup
from alsweep.query.parameters import checked, neutral_values, telling

if TYPE_CHECKING:
    from torch import nn

    from alsweep.model.loading import Unlabelled
    from alsweep.model.objective import Objective

    Encoder = Callable[[nn.Module], nn.Module]

_OWN = {
    "semi_supervised": {
        "none": "supervised:Supervised",
        "mean_teacher": "mean_teacher:MeanTeacher",
        "augment_and_criticize": "augment_and_criticize:AugmentAndCriticize",
        "open_set_weights": "open_set_weights:OpenSetWeights",
        "self_training": "self_training:SelfTraining",
    },
    "pretraining": {
        "none": "supervised:FromScratch",
        "positional_contrastive": "positional_contrastive:PositionalContrastive",
    },
}
"""Field of ``training`` to kind to where its class is: what is not asked for is not imported."""


class SemiSupervised(ABC):
    """A way to learn from images without labels beside those that have some.

    A frozen dataclass, whose fields are its parameters. Entry-point group
    ``alsweep.semi_supervised``; each entry names such a class.
    """

    @abstractmethod
    def objective(self, setup: Setup, network: "nn.Module", encoder: "Encoder") -> "Objective":
        """What is minimised.

        Args:
            setup: Of the training.
            network: With the weights that the training starts from.
            encoder: See :meth:`alsweep.model.learner.Learner.encoder`.
        """

    @abstractmethod
    def unlabelled(self, setup: Setup) -> "Sequence[Unlabelled]":
        """What each batch holds for it beside annotated patches."""


def make_option(training: TrainingConfig, field: str) -> Any:
    """The option that a field of ``training`` names, with its parameters.

    Raises:
        ConfigError: There is none of that kind, or a parameter is unknown or out of its range.
    """
    spec: OptionSpec = getattr(training, field)
    place = f"base.training.{field}: '{spec.kind}'"
    owner = _found(field, spec.kind)
    neutral = neutral_values(owner) if spec.stored else {}
    try:
        return owner(**checked(owner, {**neutral, **spec.parameters}, place))
    except StrategyError as error:
        raise ConfigError(str(error)) from error


def resolve_options(training: TrainingConfig) -> TrainingConfig:
    """Write out the parameters of all options.

    Raises:
        ConfigError: As :func:`make_option`.
    """
    written = {}
    for field in _OWN:
        made, spec = make_option(training, field), getattr(training, field)
        told = telling(made) if fields(made) else {}
        written[field] = OptionSpec(kind=spec.kind, parameters=told, stored=True)
    return training.model_copy(update=written)


def kinds(field: str) -> tuple[str, ...]:
    """All kinds of an option, by name."""
    return tuple(sorted(_points(field)))


@cache
def _points(field: str) -> dict[str, EntryPoint]:
    group = f"alsweep.{field}"
    own = {
        kind: EntryPoint(kind, f"alsweep.model.options.{place}", group)
        for kind, place in _OWN[field].items()
    }
    return {point.name: point for point in entry_points(group=group)} | own


def _found(field: str, kind: str) -> type[Any]:
    points = _points(field)
    if kind not in points:
        near = get_close_matches(kind, points, n=1)
        mend = f"did you mean '{near[0]}'?" if near else f"known: {', '.join(sorted(points))}"
        raise ConfigError(f"base.training.{field}: unknown kind '{kind}'; {mend}")
    try:
        owner: type[Any] = points[kind].load()
    except (ImportError, AttributeError) as error:
        raise ConfigError(
            f"base.training.{field}: '{kind}' cannot be loaded from {points[kind].value} "
            f"({error}); mend the package that brings it"
        ) from error
    return owner
