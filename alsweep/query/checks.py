"""What a config must leave room for, so that a strategy can query in it."""

from collections.abc import Collection

from alsweep.config.trajectory import TrajectoryConfig
from alsweep.errors import ConfigError, StrategyError
from alsweep.query.maps import ScoreMapStage
from alsweep.query.pool import Facts

PER_CLASS = 2
"""Patches per class of a strategy that guarantees all classes, so that each can be in two folds."""


def check_map(score_map: ScoreMapStage, config: TrajectoryConfig, dataset: Facts) -> None:
    """Refuse fewer members or classes than a map asks for.

    Raises:
        ConfigError: Names the key.
    """
    if config.training.members < score_map.least_members:
        raise ConfigError(
            f"base.training.members: {config.training.members} is too few for strategy "
            f"'{config.strategy.label}', whose map '{score_map.name}' measures how members "
            f"disagree; write at least {score_map.least_members}"
        )
    if dataset.foreground + 1 < score_map.least_classes:
        raise ConfigError(
            f"base.strategy: map '{score_map.name}' asks for class {score_map.least_classes - 1}, "
            f"but the dataset has the classes 0 to {dataset.foreground}"
        )


def check_pretrained(needs: Collection[str], config: TrajectoryConfig) -> None:
    """Refuse features of a pretrained encoder where nothing is pretrained.

    Raises:
        StrategyError: Names the key and the mend.
    """
    if "pretrained" in needs and config.training.pretraining.kind == "none":
        raise StrategyError(
            "features: pretrained are those of an encoder that training.pretraining gives, which "
            "is none; write training.pretraining: positional_contrastive, or features: texture"
        )


def guaranteed(dataset: Facts) -> int:
    """Patches of a strategy that guarantees all classes which are placed for that."""
    return PER_CLASS * len(dataset.classes)


def check_classes(name: str, config: TrajectoryConfig, dataset: Facts) -> None:
    """Refuse a start too small for its guaranteed patches, and a class in fewer than two cases.

    Raises:
        ConfigError: The start is too small.
        StrategyError: Names the class.
    """
    needed, patches = guaranteed(dataset), config.start.patches or 0
    if patches < needed:
        raise ConfigError(
            f"base.starting_budget.patches: {patches} are too few: {PER_CLASS} "
            f"patches for each of {len(dataset.classes)} classes are guaranteed; "
            f"write at least {needed}"
        )
    for label, class_name in enumerate(dataset.classes):
        cases = dataset.cases_with(label)
        if len(cases) < PER_CLASS:
            where = f"only in case {cases[0]}" if cases else "in no case"
            raise StrategyError(
                f"{name}: class '{class_name}' is {where} of the pool, but is needed in "
                f"{PER_CLASS}; use a start without _all_classes or add cases"
            )
