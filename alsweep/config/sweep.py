"""A search space: base, seeds and grid, and the trajectories that they mean."""

import re
import shlex
from collections.abc import Container, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import (
    BeforeValidator,
    Field,
    NonNegativeFloat,
    NonNegativeInt,
    PositiveFloat,
    PositiveInt,
    ValidationInfo,
    field_validator,
    model_validator,
)

from alsweep.config.assigning import assign_all, copied, with_rest
from alsweep.config.base import Frozen, Place, added, is_stored
from alsweep.config.caps import CapsConfig
from alsweep.config.expansion import (
    SEARCHED,
    Cell,
    SampleConfig,
    SettingConfig,
    expand,
    partial,
    refuse_two_ways,
)
from alsweep.config.provenance import Provenance
from alsweep.config.report import ReportConfig
from alsweep.config.schedule import ScheduleConfig
from alsweep.config.search import SearchConfig
from alsweep.config.trajectory import Seed, TrajectoryConfig
from alsweep.config.validation import validated
from alsweep.files import canonical_json

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")


def _words(command: Any) -> Any:
    """A command as a shell would split it; no shell ever sees it."""
    if not isinstance(command, str):
        return command
    try:
        return shlex.split(command)
    except ValueError as error:
        raise ValueError(f"cannot be split into words ({error}); write a list of words") from None


Command = Annotated[tuple[str, ...], BeforeValidator(_words), Field(min_length=1)]
"""A program and its arguments, given as a list or as one line."""


def _number(value: Any) -> Any:
    """Of cards: ``auto`` was replaced before; any other word is none that is known."""
    if isinstance(value, str):
        try:
            return float(value)
        except ValueError:
            raise ValueError(f"{value!r} is no number; write one, or auto") from None
    return value


class ResourcesConfig(Frozen):
    """What one trajectory gets; never part of a result's identity."""

    cpus: PositiveFloat = Field(1, description="logical CPUs; threads = max(1, cpus)")
    gpus: Annotated[NonNegativeFloat, BeforeValidator(_number)] = Field(
        0,
        description="GPUs; fractions share one; auto: as small a fraction as a short calibration "
        "on this machine finds room for",
    )
    gpus_to_find: bool = added(
        False, neutral=False, description="what gpus: auto sets, until the fraction is known"
    )
    device: Literal["auto", "cpu", "cuda", "mps"] = "auto"
    gpu_memory_gib: PositiveFloat | None = added(
        None,
        neutral=None,
        description="most memory of the device that a worker holds while it predicts; cases that "
        "need more are cut in slabs; default: gpus' share of the card, on a CPU all",
    )
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
    keep: Literal["last", "all", "none"] | None = added(
        None,
        neutral=None,
        description="networks that stay once a sweep is done, as 'alsweep gc --keep' has it; "
        "default: all, as far as models_gib goes",
    )
    retries: NonNegativeInt = Field(
        1,
        description="new tries after the same error in the same phase of a loop; what is lost "
        "without one, as a worker or a node, is replaced without limit",
    )
    stuck_minutes: PositiveFloat | None = added(
        240,
        neutral=None,
        description="without a sign of life after which a worker counts as lost; more than the "
        "longest epoch takes",
    )
    price_per_gpu_hour: PositiveFloat | None = added(
        None, neutral=None, description="what an hour of a GPU costs"
    )

    @model_validator(mode="before")
    @classmethod
    def _find_gpus(cls, value: Any) -> Any:
        """Calibrated alone on a card, and with a number from then on."""
        if isinstance(value, dict) and value.get("gpus") == "auto":
            return {**value, "gpus": 1.0, "gpus_to_find": True}
        return value

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


class SweepConfig(Frozen):
    """A set of trajectories: each setting with each point of the space, once for each seed."""

    name: str
    dataset: Place | None = Field(None, description="of all settings that name none of their own")
    base: dict[str, Any] = Field(default_factory=dict)
    seeds: Annotated[tuple[Seed, ...], Field(min_length=1)] = (0,)
    settings: Annotated[tuple[SettingConfig, ...], Field(min_length=1)] | None = None
    grid: dict[str, Annotated[tuple[Any, ...], Field(min_length=1)]] = Field(default_factory=dict)
    points: Annotated[tuple[dict[str, Any], ...], Field(min_length=1)] | None = None
    sample: SampleConfig | None = None
    search: SearchConfig | None = added(None, neutral=None)
    plugins: tuple[Path, ...] = Field((), description="files with strategies of one's own")
    resources: ResourcesConfig = ResourcesConfig()
    wandb: WandbConfig = WandbConfig()
    sinks: tuple[str, ...] = added((), neutral=(), description="mirrors beside W&B, by name")
    report: ReportConfig = added(ReportConfig(), neutral=ReportConfig())
    schedule: ScheduleConfig = added(ScheduleConfig(), neutral=ScheduleConfig())
    caps: CapsConfig = added(CapsConfig(), neutral=CapsConfig())
    on_event: Command | None = added(None, neutral=None)
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

    @field_validator("settings")
    @classmethod
    def _names_differ(
        cls, settings: tuple[SettingConfig, ...] | None
    ) -> tuple[SettingConfig, ...] | None:
        names = [setting.name for setting in settings or ()]
        twice = next((name for name in names if names.count(name) > 1), None)
        if twice is not None:
            first = names.index(twice)
            second = names.index(twice, first + 1)
            raise ValueError(
                f"{first} and {second} (counted from 0) both bear the name '{twice}'; give one of "
                "them another"
            )
        return settings

    @field_validator("points", mode="after")
    @classmethod
    def _points_in_dotted_keys(
        cls, points: tuple[dict[str, Any], ...] | None
    ) -> tuple[dict[str, Any], ...] | None:
        return None if points is None else tuple(_partials(points))

    @model_validator(mode="after")
    def _every_setting_has_one_dataset(self, info: ValidationInfo) -> Self:
        lacking = [one.name for one in self.settings or () if one.dataset is None]
        if self.dataset is None and self.settings is None:
            raise ValueError("dataset: is required")
        if self.dataset is None and lacking:
            raise ValueError(
                f"settings.{lacking[0]}.dataset: is required, unless the top level has a 'dataset'"
            )
        if self.dataset is not None and self.settings and not lacking and not is_stored(info):
            raise ValueError(
                "dataset: does nothing, since every setting names its own; leave it out"
            )
        return self

    @model_validator(mode="after")
    def _money_has_a_price(self) -> Self:
        if self.caps.money is not None and self.resources.price_per_gpu_hour is None:
            raise ValueError(
                "caps.money: needs resources.price_per_gpu_hour, what an hour of a GPU costs; "
                "write both, or cap gpu_hours"
            )
        return self

    @model_validator(mode="after")
    def _a_search_and_a_schedule_do_not_mix(self) -> Self:
        if self.search is not None and self.schedule.decides:
            raise ValueError(
                f"schedule.kind: {self.schedule.kind} would cut short what a search is told of, "
                "which is whole blocks of seeds; leave out schedule or search"
            )
        return self

    @model_validator(mode="after")
    def _a_search_can_use_the_seeds(self) -> Self:
        if self.search:
            self.search.check_seeds(self.seeds)
        return self

    @model_validator(mode="after")
    def _each_key_is_set_once(self) -> Self:
        homes = {f"settings.{one.name}": list(one.values) for one in self.settings or ()}
        homes |= {"grid": list(self.grid)}
        homes |= {f"points.{index}": list(one) for index, one in enumerate(self.points or ())}
        homes |= {"sample.over": list(self.sample.over) if self.sample else []}
        refuse_two_ways(homes)
        searched = () if self.search is None else (*self.search.over, *self.search.fidelity)
        # It is crossed with settings alone.
        named = {home: keys for home, keys in homes.items() if home.startswith("settings.")}
        refuse_two_ways({**named, SEARCHED: list(searched)})
        return self

    @property
    def decides(self) -> bool:
        """Whether anything may stop trajectories before their last loop."""
        return self.schedule.decides or bool(self.search and self.search.prune)

    def cells(self) -> Iterator[Cell]:
        """Each setting with each point of the space: all that the trajectories of a seed are.

        Raises:
            ConfigError: The sample has too few draws.
        """
        if self.search and not (self.grid or self.points or self.sample):
            return iter(())  # it is all searched
        known = () if self.provenance is None else self.provenance.draws
        draws = () if self.sample is None else self.sample.draws(known)
        return expand(self.settings or (), self.grid, self.points or (), draws)

    def expanded(self) -> list[tuple[Cell, TrajectoryConfig]]:
        """All trajectories with their cells: settings, points, draws, and seeds innermost.

        Raises:
            ConfigError: A cell does not make a valid TrajectoryConfig; names the key.
        """
        implied = self._implied()
        return [made for cell in self.cells() for made in self._of_cell(cell, implied)]

    def of_cell(self, cell: Cell) -> list[TrajectoryConfig]:
        """The trajectories of a cell, one a seed.

        Raises:
            ConfigError: They are not valid; names the key.
        """
        return [config for _, config in self._of_cell(cell, self._implied())]

    def trajectories(self) -> list[TrajectoryConfig]:
        """The same without their cells."""
        return [config for _, config in self.expanded()]

    def base_with(self, values: Mapping[str, Any]) -> dict[str, Any]:
        """What base would be with dotted keys set in it."""
        base: dict[str, Any] = copied(self.base)
        assign_all(base, values)
        return base

    def dataset_of(self, setting: str | None) -> Path:
        """Where the dataset of a setting lies, as it was written."""
        own = next((one.dataset for one in self.settings or () if one.name == setting), None)
        found = own or self.dataset
        assert found is not None, "checked by _every_setting_has_one_dataset"
        return found

    def _implied(self) -> dict[str, dict[str, Any]]:
        found = () if self.provenance is None else self.provenance.implied
        return {canonical_json(one.where): one.base for one in found}

    def _of_cell(
        self, cell: Cell, implied: Mapping[str, dict[str, Any]]
    ) -> Iterator[tuple[Cell, TrajectoryConfig]]:
        base = copied(self.base)
        # A stored value is written out in full, and base is that of the cells without it.
        values = cell.values if self.provenance else with_rest(cell.values, base)
        assign_all(base, values, cell.places)
        # What is implied has keys of its own, some of them inside mappings of the cell.
        assign_all(base, implied.get(canonical_json(cell.where), {}))
        first = self._trajectory(cell, base, self.seeds[0])
        for seed in self.seeds:
            # The seeds are valid already, and nothing else of a config follows from its seed.
            yield cell, first.model_copy(update={"seed": seed})

    def _trajectory(self, cell: Cell, base: dict[str, Any], seed: int) -> TrajectoryConfig:
        raw = {**base, "dataset": str(cell.dataset or self.dataset), "seed": seed}
        places = {"dataset": "dataset", "seed": "seeds", **cell.places}
        stored = self.provenance is not None
        return validated(TrajectoryConfig, raw, places, "base.", stored=stored)


def _partials(points: Sequence[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    for index, point in enumerate(points):
        try:
            yield partial(point)
        except ValueError as error:
            raise ValueError(f"{index}: {error}") from None


def _refuse_top_level(keys: Container[str]) -> None:
    """Refuse what the top level would overwrite without a word."""
    for key, home in (("dataset", "dataset', or into a setting"), ("seed", "seeds'")):
        if key in keys:
            raise ValueError(f"'{key}' belongs to the top level, as '{home}")
