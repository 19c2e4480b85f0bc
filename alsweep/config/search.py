"""A search: which configurations there are, what makes one better, and how many are tried."""

from collections.abc import Iterator, Mapping
from typing import Annotated, Any, Literal

from pydantic import (
    Field,
    NonNegativeInt,
    PositiveFloat,
    PositiveInt,
    field_validator,
    model_validator,
)

from alsweep.config.base import Frozen
from alsweep.config.distributions import Choices, distribution, is_distribution
from alsweep.config.expansion import STRATEGY_KEYS, partial

AUTO = "auto"
"""Of a parameter of a strategy: the range that the strategy declares."""

Cost = Literal["foreground_voxels", "train_seconds", "gpu_hours"]
Objective = Literal["aubc", "final_dice", "fg_eff"] | Cost
Direction = Literal["max", "min"]

BETTER: dict[Objective, Direction] = {
    "aubc": "max",
    "final_dice": "max",
    "fg_eff": "max",
    "foreground_voxels": "min",
    "train_seconds": "min",
    "gpu_hours": "min",
}
"""Which way each objective is better."""

_AREA: dict[Objective, Direction] = {"aubc": "max"}

_IMPLIES = ("training.preset", "evaluation", "training")
"""A search sets single values: what these imply would not be among them."""


class SearchConfig(Frozen):
    """Configurations that are suggested one after the other, each run on all seeds as one block.

    Attributes:
        over: Dotted key to a distribution, see :mod:`alsweep.config.distributions`; ``strategy`` is
            a list of strategies, whose parameters may be distributions or ``auto``.
        objectives: What is optimised, the mean over seeds, and which way it is better.
        constraints: Costs to how much a configuration may take, summed over its seeds.
        configurations: How many are told with a value, repeats included.
        storage: Optuna's URL of a database; None is RUN/search/journal.log.
        seed: Of the suggestions; not of trajectories.
    """

    over: dict[str, Any]
    objectives: Annotated[dict[Objective, Direction], Field(min_length=1)] = Field(
        default_factory=lambda: _AREA
    )
    constraints: dict[Cost, PositiveFloat] = Field(default_factory=dict)
    configurations: PositiveInt = 30
    storage: str | None = None
    seed: NonNegativeInt = 0

    @field_validator("over")
    @classmethod
    def _can_be_suggested(cls, over: dict[str, Any]) -> dict[str, Any]:
        if not over:
            raise ValueError("is empty; write at least one key and what is suggested for it")
        flat = partial(over)
        for key, value in flat.items():
            try:
                _check_strategies(value) if key in STRATEGY_KEYS else _check(key, value)
            except ValueError as error:
                raise ValueError(f"{key}: {error}") from None
        return flat

    @model_validator(mode="after")
    def _objectives_point_the_right_way(self) -> "SearchConfig":
        for name, direction in self.objectives.items():
            if direction != BETTER[name]:
                raise ValueError(f"objectives.{name}: write {name}: {BETTER[name]}")
        return self

    @property
    def directions(self) -> list[Literal["maximize", "minimize"]]:
        """Of the objectives, as Optuna calls them."""
        return ["maximize" if way == "max" else "minimize" for way in self.objectives.values()]


def _check(key: str, value: Any) -> None:
    if key in _IMPLIES:
        raise ValueError(
            "cannot be searched, since other values follow from it; search over single keys, or "
            "write settings"
        )
    if value == AUTO:
        raise ValueError(
            "only a parameter of a strategy declares a range; write {low: .., high: ..}"
        )
    _refuse_twins(found := distribution(value))
    if isinstance(found, Choices) and any(isinstance(one, Mapping) for one in found.choices):
        raise ValueError("choices: write single values, and keys of sections with dots")


def _check_strategies(value: Any) -> None:
    entries = list(strategy_entries(value))
    if not entries:
        raise ValueError("write a list of strategies")
    for entry in entries:
        _check_inside(entry)
    keyed(value)


def _check_inside(entry: Any) -> None:
    """Refuse a distribution within the entry of a strategy that nothing can be suggested from."""
    for key, value in entry.items() if isinstance(entry, Mapping) else ():
        try:
            if is_distribution(value):
                _refuse_twins(distribution(value))
            else:
                _check_inside(value)
        except ValueError as error:
            raise ValueError(f"{key}: {error}") from None


def _refuse_twins(found: object) -> None:
    if isinstance(found, Choices):
        values = list(found.choices)
        twice = next((one for one in values if values.count(one) > 1), None)
        if twice is not None:
            raise ValueError(f"choices: {twice!r} is written twice; leave one of them out")


def strategy_entries(value: Any) -> Iterator[Any]:
    """The strategies of a key of :data:`STRATEGY_KEYS`: a list, or ``{choices: [...]}``.

    Raises:
        ValueError: It is neither.
    """
    found = distribution({"choices": value} if isinstance(value, list | tuple) else value)
    if not isinstance(found, Choices):
        raise ValueError("write a list of strategies")
    yield from found.choices


def keyed(value: Any) -> dict[str, Any]:
    """The strategies of a search by their label, or name.

    Raises:
        ValueError: Two have the same, so that their parameters could not be told apart.
    """
    found: dict[str, Any] = {}
    for entry in strategy_entries(value):
        key = _key(entry)
        if key in found:
            raise ValueError(f"'{key}' is there twice; give one of them a label")
        found[key] = entry
    return found


def _key(entry: Any) -> str:
    if isinstance(entry, Mapping):
        return str(entry.get("label") or entry.get("name") or "stages")
    return str(entry)
