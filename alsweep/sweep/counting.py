"""How much a search space asks for; no dataset is needed to say that."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from alsweep.config.expansion import where_it_stands
from alsweep.errors import ConfigError
from alsweep.query.plugin_files import load_files
from alsweep.sweep.replays import with_each_replayed
from alsweep.sweep.search_space import example_cells, with_search_spelled_out
from alsweep.trajectory.resolving import written_out
from alsweep.trajectory.start import start_key_on

if TYPE_CHECKING:
    from alsweep.config.expansion import Cell
    from alsweep.config.sweep import SweepConfig
    from alsweep.config.trajectory import TrajectoryConfig


@dataclass(frozen=True)
class Counted:
    """What a search space asks for.

    Attributes:
        trajectories: How many.
        starts: Distinct loops 0.
        trainings: Networks to be trained, each loop 0 once for all that share it.
        unshared_trainings: How many it would be if each trajectory trained its own loop 0.
    """

    trajectories: int
    starts: int
    trainings: int
    unshared_trainings: int


def count(sweep: SweepConfig) -> Counted:
    """Count trajectories and trainings; datasets are told apart by their places.

    Raises:
        ConfigError: A trajectory cannot work on any dataset; names the place in the search space.
        StrategyError: A plug-in file cannot be loaded.
    """
    load_files(sweep.plugins)
    configs = [_written_out(cell, config) for cell, config in _replayed(sweep).expanded()]
    members = {start_key_on(one, str(one.dataset)): one.training.members for one in configs}
    unshared = sum(one.query.loops * one.training.members for one in configs)
    saved = sum(one.training.members for one in configs) - sum(members.values())
    return Counted(len(configs), len(members), unshared - saved, unshared)


def examples_of(sweep: SweepConfig) -> list[TrajectoryConfig]:
    """What a search may suggest, each with the first seed in each setting.

    Raises:
        ConfigError: One cannot work on any dataset.
        StrategyError: A plug-in file cannot be loaded.
    """
    load_files(sweep.plugins)
    sweep = with_search_spelled_out(sweep)
    return [_written_out(cell, sweep.of_cell(cell)[0]) for cell in example_cells(sweep)]


def _replayed(sweep: SweepConfig) -> SweepConfig:
    """With each strategy of a run that is replayed; as one where that run is not here, either."""
    try:
        return with_each_replayed(sweep)
    except ConfigError:
        return sweep


def _written_out(cell: Cell, config: TrajectoryConfig) -> TrajectoryConfig:
    try:
        return written_out(config)
    except ConfigError as error:
        raise ConfigError(where_it_stands(str(error), cell)) from error
