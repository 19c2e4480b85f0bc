"""A search: which configurations there are, what makes one better, and how many are tried."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    Field,
    NonNegativeInt,
    PositiveFloat,
    PositiveInt,
    field_validator,
    model_validator,
)

from alsweep.config.base import Frozen
from alsweep.config.distributions import Choices, distribution, is_distribution
from alsweep.config.expansion import STRATEGY_KEYS, partial, refuse_two_ways

AUTO = "auto"
"""Of a parameter of a strategy: the range that the strategy declares."""

Cost = Literal["foreground_voxels", "train_seconds", "gpu_hours"]
# All in one, so that a misspelt one is told of all that there are.
Objective = Literal[
    "aubc", "final_dice", "fg_eff", "foreground_voxels", "train_seconds", "gpu_hours"
]
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


class PruneConfig(Frozen):
    """When a configuration is given up before all its seeds are run.

    Attributes:
        p_threshold: Of a one-sided Wilcoxon test of its seeds against the same ones of the best.
        n_startup_steps: Seeds before which none is given up.
    """

    p_threshold: Annotated[float, Field(gt=0, lt=1)] = 0.1
    n_startup_steps: PositiveInt = 2

    @property
    def first_look(self) -> int:
        """Seeds from which on the test can reject: all worse has a chance of a half each."""
        least = 1
        while 0.5**least >= self.p_threshold:
            least += 1
        return max(2, self.n_startup_steps, least)

    @property
    def fewest_seeds(self) -> int:
        """Seeds of a search in which anything can be given up before its end."""
        return self.first_look + 1


class StopConfig(Frozen):
    """When a search ends before all its configurations are told.

    Attributes:
        patience: Different configurations in which the best has to rise by more than its noise.
    """

    patience: Annotated[int, Field(ge=2)] = 10


def _rising(rungs: tuple[float, float]) -> tuple[float, float]:
    if not rungs[0] < rungs[1]:
        raise ValueError("write a low and a higher value, such as [2, 8]")
    # What was written as a whole number is one.
    low, high = (int(one) if one == int(one) else one for one in rungs)
    return low, high


def _each_once(seeds: tuple[int, ...]) -> tuple[int, ...]:
    if len(set(seeds)) < len(seeds):
        raise ValueError("a seed is written twice; leave one of them out")
    return seeds


class SearchConfig(Frozen):
    """Configurations that are suggested one after the other, each run on all seeds as one block.

    Attributes:
        over: Dotted key to a distribution, see :mod:`alsweep.config.distributions`; ``strategy`` is
            a list of strategies, whose parameters may be distributions or ``auto``.
        objectives: What is optimised, the mean over seeds, and which way it is better.
        constraints: Costs to how much a configuration may take, summed over its seeds.
        configurations: How many are told with a value, repeats included.
        confirm_seeds: On which the best are run again once all are told; none of the sweep's.
        fidelity: Dotted key to a low and a high value: all are tried with the low ones, and the
            best third again with the high ones.
        prune: Whether what is worse than the best so far is given up before all seeds are run.
        stop: Whether the search ends once the best rises by no more than the noise of seeds.
        storage: Optuna's URL of a database; None is RUN/search/journal.log.
        seed: Of the suggestions; not of trajectories.
    """

    over: dict[str, Any]
    objectives: Annotated[dict[Objective, Direction], Field(min_length=1)] = Field(
        default_factory=lambda: _AREA
    )
    constraints: dict[Cost, PositiveFloat] = Field(default_factory=dict)
    configurations: PositiveInt = 30
    confirm_seeds: Annotated[tuple[NonNegativeInt, ...], AfterValidator(_each_once)] = ()
    fidelity: dict[str, Annotated[tuple[float, float], AfterValidator(_rising)]] = Field(
        default_factory=dict
    )
    prune: bool | PruneConfig = False
    stop: bool | StopConfig = False
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

    @model_validator(mode="after")
    def _what_is_pruned_has_one_value_a_seed(self) -> "SearchConfig":
        if self.prune and (len(self.objectives) > 1 or "fg_eff" in self.objectives):
            raise ValueError(
                "prune: compares one objective seed by seed; leave it out with several objectives "
                "and with fg_eff, which is a fit over all seeds"
            )
        return self

    @model_validator(mode="after")
    def _rungs_are_not_searched(self) -> "SearchConfig":
        refuse_two_ways({"over": list(self.over), "fidelity": list(self.fidelity)})
        if self.fidelity and "fg_eff" in self.objectives:
            raise ValueError("fidelity: fg_eff has a reference at one rung alone; leave one out")
        return self

    @property
    def low(self) -> dict[str, float]:
        """What the searcher's values are told with."""
        return {key: rungs[0] for key, rungs in self.fidelity.items()}

    @property
    def high(self) -> dict[str, float]:
        """What the best are run again with."""
        return {key: rungs[1] for key, rungs in self.fidelity.items()}

    @model_validator(mode="after")
    def _what_stops_has_one_objective(self) -> "SearchConfig":
        if self.stop and len(self.objectives) > 1:
            raise ValueError("stop: watches the best in one objective; leave it or the others out")
        return self

    def check_seeds(self, seeds: Sequence[int]) -> None:
        """Refuse seeds of a sweep with which this search cannot do what it is asked to.

        Raises:
            ValueError: Names the key, and the mend.
        """
        known = [seed for seed in self.confirm_seeds if seed in seeds]
        if known:
            raise ValueError(
                f"search.confirm_seeds: {known[0]} is one of seeds, with which the best is found; "
                "write others"
            )
        if self.stop and len(seeds) < 2:
            raise ValueError(
                "search.stop: needs two seeds or more, which tell how large noise is; write more "
                "seeds, or leave it out"
            )

    @property
    def stopping(self) -> StopConfig | None:
        """The rule; None where all configurations are told."""
        return StopConfig() if self.stop is True else self.stop or None

    @property
    def pruning(self) -> PruneConfig | None:
        """The rule; None where nothing is given up."""
        return PruneConfig() if self.prune is True else self.prune or None

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
    for entry in strategy_entries(value):
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
    entries = value.get("choices") if isinstance(value, Mapping) and len(value) == 1 else value
    if not isinstance(entries, list | tuple) or not entries:
        raise ValueError(
            "write a list of strategies, such as [random, {name: power_bald, beta: auto}]"
        )
    yield from entries


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
