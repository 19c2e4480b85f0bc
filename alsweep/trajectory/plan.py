"""Before anything runs: write a trajectory's defaults out, and refuse what cannot work."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np

from alsweep.config.trajectory import StrategySpec, TrajectoryConfig
from alsweep.data.case import Dataset
from alsweep.errors import ConfigError, StrategyError
from alsweep.model.learners import resolve_learner
from alsweep.query.base import label_of, make_strategy, parameters, strategy_name
from alsweep.query.placement import PER_CLASS
from alsweep.query.presets.replay import Replay
from alsweep.trajectory.precomputed import check_source, check_start_source


def resolve(config: TrajectoryConfig, dataset: Dataset) -> TrajectoryConfig:
    """Write out strategy parameters, label and starting patches, and check the config.

    Resolving twice changes nothing, so a folder's config.json resolves to itself.

    Raises:
        ConfigError: The config cannot work on this dataset; names the key and the mend.
    """
    start = config.starting_budget
    resolved = config.model_copy(
        update={
            "dataset": dataset.path,
            "strategy": _resolve_strategy(config.strategy, "base.strategy", labelled=True),
            "starting_budget": start.model_copy(
                update={
                    "strategy": _resolve_strategy(start.strategy, "base.starting_budget.strategy"),
                    "patches": config.starting_patches,
                }
            ),
        }
    )
    needs = make_strategy(resolved.strategy).needs
    training = resolve_learner(resolved.training, needs)
    resolved = resolved.model_copy(update={"training": training})
    _check_references(resolved, dataset)
    _check_strategy(resolved, dataset)
    _check_start(resolved, dataset)
    _check_patch_size(resolved, dataset)
    _check_room(resolved, dataset)
    return resolved


def _check_references(config: TrajectoryConfig, dataset: Dataset) -> None:
    """Who looks at reference labels needs them of the whole pool."""
    lacking = [case for case in dataset.pool if not dataset.cases[case].has_reference]
    if not lacking:
        return
    looking = ["base.annotator.kind: oracle"] if config.annotator.kind == "oracle" else []
    for place, spec in (
        ("base.starting_budget.strategy", config.starting_budget.strategy),
        ("base.strategy", config.strategy),
    ):
        looking += [f"{place}: {spec.name}"] if make_strategy(spec).uses_oracle else []
    if looking:
        more = f" and {len(lacking) - 1} more" if len(lacking) > 1 else ""
        raise ConfigError(
            f"{looking[0]} looks at reference labels, but case '{lacking[0]}'{more} of the pool "
            "has none; choose one that does not, or ingest the labels"
        )


def _check_strategy(config: TrajectoryConfig, dataset: Dataset) -> None:
    """A strategy may ask for more members or classes than there are, or for another trajectory."""
    made = make_strategy(config.strategy)
    if isinstance(made, Replay):
        _check_replay(check_source, config, made, "base.strategy")
    if made.composition is None:
        return
    score_map = made.composition.map
    if config.training.members < score_map.least_members:
        raise ConfigError(
            f"base.training.members: {config.training.members} is too few for strategy "
            f"'{config.strategy.label}', whose map '{score_map.name}' measures how members "
            f"disagree; write at least {score_map.least_members}"
        )
    if len(dataset.targets) + 1 < score_map.least_classes:
        raise ConfigError(
            f"base.strategy: map '{score_map.name}' asks for class {score_map.least_classes - 1}, "
            f"but the dataset has the classes 0 to {len(dataset.targets)}"
        )


def _check_replay(
    check: Callable[[TrajectoryConfig, Path], None],
    config: TrajectoryConfig,
    replay: Replay,
    place: str,
) -> None:
    try:
        check(config, Path(replay.source))
    except StrategyError as error:
        raise ConfigError(f"{place}: {error}") from error


def _resolve_strategy(spec: StrategySpec, place: str, *, labelled: bool = False) -> StrategySpec:
    try:
        made = make_strategy(spec)
        if isinstance(made, Replay):
            # A worker's working directory is not the user's.
            made = replace(made, source=str(Path(made.source).resolve()))
        label = label_of(spec) if labelled else spec.label
    except StrategyError as error:
        raise ConfigError(f"{place}: {error}") from error
    name, written = strategy_name(spec.name), parameters(made)
    return StrategySpec(name=name, label=label, parameters=written, stored=True)


def _check_start(config: TrajectoryConfig, dataset: Dataset) -> None:
    """An all_classes start needs room for its guaranteed patches, and every class in two cases."""
    place = f"base.starting_budget.strategy: {config.starting_budget.strategy.name}"
    start = make_strategy(config.starting_budget.strategy)
    if isinstance(start, Replay):
        _check_replay(check_start_source, config, start, "base.starting_budget.strategy")
    if start.needs:
        raise ConfigError(f"{place} needs a trained network; choose a random start")
    if not config.starting_budget.strategy.name.endswith("_all_classes"):
        return
    needed = PER_CLASS * len(dataset.classes)
    if config.starting_patches < needed:
        raise ConfigError(
            f"base.starting_budget.patches: {config.starting_patches} are too few: {PER_CLASS} "
            f"patches for each of {len(dataset.classes)} classes are guaranteed; "
            f"write at least {needed}"
        )
    for label, name in enumerate(dataset.classes):
        cases = [case for case in dataset.pool if dataset.cases[case].class_voxels[label]]
        if len(cases) < PER_CLASS:
            where = f"only in case {cases[0]}" if cases else "in no case"
            raise ConfigError(
                f"{place}: class '{name}' is {where} of the pool, but is needed in {PER_CLASS}; "
                f"use a start without _all_classes or add cases"
            )


def _check_patch_size(config: TrajectoryConfig, dataset: Dataset) -> None:
    if config.query.patch_size == "whole":
        return
    largest = dataset.pool_shapes.max(axis=0)
    for axis, size, limit in zip("zyx", config.query.box, largest, strict=True):
        if size > limit:
            raise ConfigError(
                f"base.query.patch_size: {size} voxels along {axis} are more than the "
                f"largest pool case has ({'x'.join(map(str, largest))}); "
                f"write at most {limit}, or patch_size: whole"
            )


def _check_room(config: TrajectoryConfig, dataset: Dataset) -> None:
    """Refuse budgets that cannot fit whatever is chosen; querying finds tighter limits."""
    if config.query.overlap or config.query.on_shortfall == "take_all":
        return
    wanted = config.patches_at(config.query.loops - 1)
    shapes = dataset.pool_shapes
    most = int((shapes // np.minimum(shapes, config.query.box)).prod(axis=1).sum())
    if wanted > most:
        raise ConfigError(
            f"base.query.patches: {wanted} patches over all loops are more than the {most} that "
            f"the pool has room for; lower query.patches, query.loops or query.patch_size"
        )
