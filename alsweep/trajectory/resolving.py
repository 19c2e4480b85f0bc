"""Before anything runs: write a trajectory's defaults out, and refuse what cannot work."""

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np

from alsweep.config.strategy import StrategySpec
from alsweep.config.trajectory import TrajectoryConfig
from alsweep.data.case import Dataset
from alsweep.errors import ConfigError, StrategyError
from alsweep.label_codes import MOST_BOXED_CLASSES
from alsweep.model.learners import make_learner, resolve_learner
from alsweep.query.base import label_of, make_strategy, parameters, plugins_of, strategy_name
from alsweep.trajectory.pool import DatasetFacts


def resolve(config: TrajectoryConfig, dataset: Dataset) -> TrajectoryConfig:
    """Write out strategy parameters, label and starting patches, and check the config.

    Resolving twice changes nothing, so a folder's config.json resolves to itself.

    Raises:
        ConfigError: The config cannot work on this dataset; names the key and the mend.
    """
    resolved = written_out(config).model_copy(update={"dataset": dataset.path})
    _check_annotator(resolved, dataset)
    _check_references(resolved, dataset)
    _check_boxes(resolved, dataset)
    _check_grid(resolved, dataset)
    _check_strategies(resolved, dataset)
    _check_room(resolved, dataset)
    return resolved


def written_out(config: TrajectoryConfig) -> TrajectoryConfig:
    """Write out strategy, start and learner; nothing is held against a dataset.

    Raises:
        ConfigError: A strategy or learner, or a parameter of it, is unknown or wrong.
    """
    start = config.start
    resolved = config.model_copy(
        update={
            "strategy": _resolve_strategy(config.strategy, "base.strategy", labelled=True),
            "starting_budget": start.model_copy(
                update={
                    "strategy": _resolve_strategy(start.strategy, "base.starting_budget.strategy")
                }
            ),
        }
    )
    training = resolve_learner(resolved.training, _needs(resolved))
    return resolved.model_copy(update={"training": training})


def _needs(config: TrajectoryConfig) -> set[str]:
    """Of the strategy and of that of the start."""
    with _placed("base.strategy"):
        needs = {*make_strategy(config.strategy).needs}
    with _placed("base.starting_budget.strategy"):
        return needs | {*make_strategy(config.starting_budget.strategy).needs}


def _check_annotator(config: TrajectoryConfig, dataset: Dataset) -> None:
    if config.annotator.mistaken and len(dataset.classes) < 3:
        raise ConfigError(
            "base.annotator.mistaken: nothing can be mistaken for another class where there is "
            f"but one, {dataset.classes[-1]}; write missed"
        )


def _check_references(config: TrajectoryConfig, dataset: Dataset) -> None:
    """Who looks at reference labels needs them of the whole pool."""
    lacking = [case for case in dataset.pool if not dataset.cases[case].has_reference]
    if not lacking:
        return
    kind = config.annotator.kind
    looking = [f"base.annotator.kind: {kind}"] if kind != "human" else []
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


def _check_boxes(config: TrajectoryConfig, dataset: Dataset) -> None:
    """Boxes leave two classes open, for which labels need codes and the learner a loss."""
    if config.annotator.reveal != "box":
        return
    if config.annotator.kind == "human":
        raise ConfigError(
            "base.annotator.reveal: box is simulated from reference labels, and a person saves "
            "voxels; write reveal: dense, points or scribbles"
        )
    learner, classes = config.training.learner, len(dataset.classes)
    if not make_learner(learner).heeds_boxes:
        raise ConfigError(
            f"base.annotator.reveal: learner {learner.name} has no loss for boxes; write reveal: "
            "dense, points or scribbles, or learner: monai"
        )
    if classes > MOST_BOXED_CLASSES:
        raise ConfigError(
            f"base.annotator.reveal: there are codes for boxes round up to {MOST_BOXED_CLASSES} "
            f"classes, but {dataset.path} has {classes}; write reveal: dense, points or scribbles"
        )


def _check_grid(config: TrajectoryConfig, dataset: Dataset) -> None:
    """Predictions are held against labels on the grid of the source only where those are kept."""
    if config.evaluation.grid == "resampled":
        return
    judged = (*dataset.validation, *(dataset.test if config.evaluation.test else ()))
    lacking = [case for case in judged if not dataset.cases[case].has_original]
    if lacking:
        raise ConfigError(
            f"base.evaluation.grid: original, which preset nnunet means too, needs labels on the "
            f"grid of the source, but {dataset.path} has none of case '{lacking[0]}', as it was "
            "ingested by an older alsweep; ingest it again, or write grid: resampled"
        )


def _check_strategies(config: TrajectoryConfig, dataset: Dataset) -> None:
    """Let the strategy, and that of the start, say whether they can work here."""
    start, facts = config.starting_budget.strategy, DatasetFacts(dataset)
    with _placed("base.strategy"):
        make_strategy(config.strategy).check(config, facts)
    with _placed("base.starting_budget.strategy"):
        make_strategy(start).check_start(config, facts)


@contextmanager
def _placed(place: str) -> Iterator[None]:
    """Say which strategy of a config is at fault."""
    try:
        yield
    except StrategyError as error:
        raise ConfigError(f"{place}: {error}") from error


def _resolve_strategy(spec: StrategySpec, place: str, *, labelled: bool = False) -> StrategySpec:
    with _placed(place):
        made = make_strategy(spec).resolved()
        label = label_of(spec) if labelled else spec.label
        plugins = plugins_of(made)
    return StrategySpec(
        name=strategy_name(spec.name),
        label=label,
        plugins=plugins,
        parameters=parameters(made),
        stored=True,
    )


def _check_room(config: TrajectoryConfig, dataset: Dataset) -> None:
    """Refuse budgets that cannot fit whatever is chosen; querying finds tighter limits."""
    shapes, whole = dataset.pool_shapes, config.starting_budget.whole_cases
    if whole > len(shapes):
        raise ConfigError(
            f"base.starting_budget.whole_cases: {whole} are more than the {len(shapes)} cases of "
            "the pool; write fewer"
        )
    if config.query.overlap or config.query.on_shortfall == "take_all":
        return
    wanted = config.patches_at(config.query.loops - 1) - whole
    room = np.sort((shapes // np.minimum(shapes, config.query.box)).prod(axis=1))
    # Which cases are annotated whole is drawn later: the smallest, if all goes well.
    most = int(room[whole:].sum())
    if wanted > most:
        beside = f" beside {whole} whole cases" if whole else ""
        fewer = ", starting_budget.whole_cases" if whole else ""
        raise ConfigError(
            f"base.query.patches: {wanted} patches over all loops are more than the {most} that "
            f"the pool has room for{beside}; lower query.patches, query.loops{fewer} or "
            "query.patch_size"
        )
