"""A search space: base, seeds and grid, and the trajectories that they mean."""

import re
from collections.abc import Container, Iterator, Mapping
from itertools import product
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import (
    Field,
    NonNegativeFloat,
    NonNegativeInt,
    PositiveFloat,
    PositiveInt,
    field_validator,
)

from alsweep.config.base import Frozen, added
from alsweep.config.trajectory import Seed, TrajectoryConfig
from alsweep.config.validation import validated
from alsweep.errors import ConfigError
from alsweep.files import canonical_json

SCHEMA_VERSION = 2
"""Of RUN/sweep.yaml; an older one means for ever what it meant. 2: what presets imply is written
out where the grid varies them."""

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")


class ResourcesConfig(Frozen):
    """What one trajectory gets; never part of a result's identity."""

    cpus: PositiveFloat = Field(1, description="logical CPUs; threads = max(1, cpus)")
    gpus: NonNegativeFloat = Field(0, description="GPUs; fractions share one")
    device: Literal["auto", "cpu", "cuda", "mps"] = "auto"
    members_at_once: PositiveInt = Field(
        1, description="members trained side by side, each on its share of the CPUs"
    )
    loaders: NonNegativeInt | None = Field(
        None,
        description="processes that make batches for each training of learner monai; default: "
        "on CUDA one a thread, else none",
    )
    checkpoint_minutes: NonNegativeFloat = Field(
        5, description="between checkpoints inside a training; 0 is after each epoch"
    )
    models_gib: PositiveFloat = Field(20, description="most disk space for stored members")
    retries: NonNegativeInt = Field(3, description="new tries after a worker or node is lost")

    @property
    def threads(self) -> int:
        """Threads that torch may use."""
        return max(1, int(self.cpus))

    def training_threads(self, at_once: int) -> int:
        """Threads that torch may use for each of the members that are trained at once."""
        return max(1, self.threads // at_once)


class WandbConfig(Frozen):
    """Where metrics are mirrored to."""

    mode: Literal["offline", "online", "disabled"] = "offline"
    project: str = "alsweep"
    entity: str | None = None


class Implied(Frozen):
    """What a point of the grid means beyond its own keys, such as all that a preset sets.

    Attributes:
        where: The point, without the strategy: dotted key to value.
        base: Dotted key to value.
    """

    where: dict[str, Any]
    base: dict[str, Any]


class Provenance(Frozen):
    """Where a resolved sweep comes from; written into RUN/sweep.yaml by alsweep alone."""

    version: str
    schema_version: int = added(SCHEMA_VERSION, neutral=1)
    dataset_fingerprint: str
    trajectories: tuple[str, ...] = Field(description="ids, in grid order")
    implied: tuple[Implied, ...] = added((), neutral=())


class SweepConfig(Frozen):
    """A set of trajectories: the full product of ``grid`` over ``base``, once for each seed."""

    name: str
    dataset: Path
    base: dict[str, Any] = Field(default_factory=dict)
    seeds: Annotated[tuple[Seed, ...], Field(min_length=1)] = (0,)
    grid: dict[str, Annotated[tuple[Any, ...], Field(min_length=1)]] = Field(default_factory=dict)
    plugins: tuple[Path, ...] = Field((), description="files with strategies of one's own")
    resources: ResourcesConfig = ResourcesConfig()
    wandb: WandbConfig = WandbConfig()
    provenance: Provenance | None = None

    @field_validator("name")
    @classmethod
    def _name_can_be_a_folder(cls, name: str) -> str:
        if not _NAME.fullmatch(name):
            raise ValueError(
                "write 1 to 64 of the letters a to z and A to Z, digits, '.', '_' and '-', "
                "beginning with a letter or a digit"
            )
        return name

    @field_validator("seeds")
    @classmethod
    def _seeds_differ(cls, seeds: tuple[int, ...]) -> tuple[int, ...]:
        if len(set(seeds)) != len(seeds):
            raise ValueError("a seed is named twice; paired seeds must differ")
        return seeds

    @field_validator("base")
    @classmethod
    def _base_leaves_dataset_and_seed(cls, base: dict[str, Any]) -> dict[str, Any]:
        _refuse_top_level(base)
        return base

    @field_validator("grid")
    @classmethod
    def _grid_leaves_dataset_and_seed(
        cls, grid: dict[str, tuple[Any, ...]]
    ) -> dict[str, tuple[Any, ...]]:
        _refuse_top_level(grid)
        return grid

    def cells(self) -> Iterator[dict[str, Any]]:
        """Each point of the grid, as a mapping from dotted key to value."""
        for values in product(*self.grid.values()):
            yield dict(zip(self.grid, values, strict=True))

    def raw_trajectories(self) -> Iterator[tuple[dict[str, Any], dict[str, Any]]]:
        """Yield (grid cell, unvalidated trajectory config) for each point and seed.

        Raises:
            ConfigError: A dotted key runs through something that is not a mapping.
        """
        for cell in self.cells():
            base = _copy(self.base)
            implied = self._implied(cell)
            inside = {k: v for k, v in implied.items() if any(k.startswith(f"{g}.") for g in cell)}
            for values in (implied, cell, inside):
                for key, value in values.items():
                    _assign(base, key, _copy(value))
            for seed in self.seeds:
                yield cell, {**base, "dataset": str(self.dataset), "seed": seed}

    def trajectories(self) -> list[TrajectoryConfig]:
        """All trajectories, in grid order, seeds innermost.

        Raises:
            ConfigError: A cell does not make a valid TrajectoryConfig; names the key.
        """
        configs = []
        for cell, raw in self.raw_trajectories():
            places, stored = _locator(cell), self.provenance is not None
            configs.append(validated(TrajectoryConfig, raw, places, "base.", stored=stored))
        return configs

    def _implied(self, cell: Mapping[str, Any]) -> Mapping[str, Any]:
        """What a stored sweep says of a point of its grid beside the grid's own keys."""
        implied = () if self.provenance is None else self.provenance.implied
        where = canonical_json(without_strategy(cell))
        return next((one.base for one in implied if canonical_json(one.where) == where), {})


def without_strategy(cell: Mapping[str, Any]) -> dict[str, Any]:
    """A point of the grid less what is the strategy's: no other key's value follows from that."""
    return {key: value for key, value in cell.items() if key.split(".")[0] != "strategy"}


def _refuse_top_level(keys: Container[str]) -> None:
    """Refuse what the top level would overwrite without a word."""
    for key, home in (("dataset", "dataset"), ("seed", "seeds")):
        if key in keys:
            raise ValueError(f"'{key}' belongs to the top level, as '{home}'")


def _locator(cell: dict[str, Any]) -> dict[str, str]:
    """Where each dotted key of a trajectory stands in the YAML: in the grid or in base."""
    return {"dataset": "dataset", "seed": "seeds"} | {key: f"grid.{key}" for key in cell}


def _copy(value: Any) -> Any:
    return {k: _copy(v) for k, v in value.items()} if isinstance(value, dict) else value


def _assign(target: dict[str, Any], dotted: str, value: Any) -> None:
    """Set ``target[a][b] = value`` for the key ``a.b``, making mappings on the way."""
    *parents, last = dotted.split(".")
    for parent in parents:
        inner = target.setdefault(parent, {})
        if not isinstance(inner, dict):
            raise ConfigError(
                f"grid.{dotted}: '{parent}' is not a mapping in base; write it as one"
            )
        target = inner
    target[last] = value
