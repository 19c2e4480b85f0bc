"""A grid that replays a whole run: one line stands for each strategy that the run has."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from alsweep.errors import ConfigError, StrategyError
from alsweep.query.base import strategy_name
from alsweep.storage.place import resolved
from alsweep.trajectory.replay import begun_in

if TYPE_CHECKING:
    from collections.abc import Iterator

    from alsweep.config.sweep import SweepConfig

_KEY, _NAME = "strategy", "replay"


def with_each_replayed(sweep: SweepConfig) -> SweepConfig:
    """The sweep with every ``{name: replay, run: RUN}`` written once for each strategy of RUN.

    A label becomes that of the first part: ``{..., label: long}`` gives ``long[power_bald]``.

    Raises:
        ConfigError: A folder is no run's, or nothing in it has begun.
    """
    grid, base = dict(sweep.grid), dict(sweep.base)
    if _KEY not in grid and _replays_all(base.get(_KEY)):
        grid = {_KEY: (base.pop(_KEY),), **grid}
    if not any(map(_replays_all, grid.get(_KEY, ()))):
        return sweep
    grid[_KEY] = tuple(each for value in grid[_KEY] for each in _each(value))
    return sweep.model_copy(update={"grid": grid, "base": base})


def _replays_all(value: Any) -> bool:
    if not isinstance(value, dict) or not value.get("run") or value.get(_KEY):
        return False
    try:
        return strategy_name(str(value.get("name"))) == _NAME
    except StrategyError:  # planning says what is wrong with it
        return False


def _each(value: Any) -> Iterator[Any]:
    if not _replays_all(value):
        yield value
        return
    try:
        begun = begun_in(Path(resolved(str(value["run"]))))
    except StrategyError as error:
        raise ConfigError(f"grid.{_KEY}: {error}") from error
    labels = dict.fromkeys(config.strategy.shown for config in begun.values())
    if not labels:
        raise ConfigError(f"grid.{_KEY}: run: nothing in {value['run']} has begun; resume it first")
    for label in labels:
        own = {"label": f"{value['label']}[{label}]"} if "label" in value else {}
        yield {**value, _KEY: label, **own}
