"""How much is left to compute of a plan, and how much records tell of: steps and windows."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from alsweep.config.base import fingerprint
from alsweep.model.mirroring import mirror_axes
from alsweep.model.topology import make_topology
from alsweep.query.base import make_strategy
from alsweep.query.parameters import reads_predictions
from alsweep.sweep.missing import loops_done, missing_starts, unfinished
from alsweep.sweep.plan import opened
from alsweep.sweep.throughputs import pretraining_steps

if TYPE_CHECKING:
    from pathlib import Path

    from alsweep.config.strategy import StrategySpec
    from alsweep.config.trajectory import TrainingConfig, TrajectoryConfig
    from alsweep.data.case import Dataset
    from alsweep.sweep.missing import Snapshot
    from alsweep.sweep.plan import Plan, Planned

_OF_THE_COUNT = {
    "preset",
    "epochs",
    "iterations_per_epoch",
    "members",
    "ensemble",
    "folds",
    "warm_start",
    "learning_rate",
    "weight_decay",
    "momentum",
    "gradient_clip",
    "mirror_axes",
}
"""Fields of ``training`` that say how many steps there are, or that no step is longer for."""


_OF_A_PRETRAINING = ("pretraining", "features", "patch_size", "blocks", "mirror_axes", "precision")
"""Fields of ``training`` that say whether two trajectories share what goes before."""


@dataclass(frozen=True)
class Amount:
    """Training steps, and windows that a member's network is run on.

    Attributes:
        steps: Of all members.
        judged: Windows of validation and test cases, mirrored ones too, over all members.
        queried: The same of the pool.
    """

    steps: float = 0
    judged: float = 0
    queried: float = 0

    def __add__(self, other: Amount) -> Amount:
        return Amount(
            self.steps + other.steps, self.judged + other.judged, self.queried + other.queried
        )


@dataclass(frozen=True)
class Recipe:
    """Trajectories whose networks take equally long for a step, and for a window.

    Attributes:
        config: Of one of them.
        dataset: That they are on.
    """

    config: TrajectoryConfig
    dataset: Dataset

    @cached_property
    def _window(self) -> np.ndarray:
        return np.array(make_topology(self.config.training, self.dataset).window)

    def windows(self, cases: Iterable[str], step: float, training: TrainingConfig | None) -> int:
        """Windows of some cases.

        Args:
            cases: Ids.
            step: Distance of windows as a share of their edge.
            training: Whose axes are mirrored; None where nothing is.
        """
        shapes = np.array([self.dataset.cases[case].shape for case in cases]).reshape(-1, 3)
        # As MONAI lays them.
        strides = np.maximum(1, (self._window * step).astype(int))
        over = np.maximum(0, shapes - self._window)
        count = int((-(-over // strides) + 1).prod(axis=1).sum())
        return count if training is None else count << len(self._mirrored(training))

    def _mirrored(self, training: TrainingConfig) -> tuple[int, ...]:
        targets = (target.name for target in self.dataset.targets)
        return mirror_axes(training, (*self.dataset.classes, *targets))


def recipe_key(planned: Planned) -> str:
    """Equal for all trajectories of a recipe."""
    training = planned.config.training.identity()
    pace = {key: value for key, value in training.items() if key not in _OF_THE_COUNT}
    return fingerprint([planned.dataset_fingerprint, pace])


def predicts(spec: StrategySpec) -> bool:
    """Whether a strategy looks at predictions of the pool."""
    return reads_predictions(make_strategy(spec).needs)


@dataclass
class Measure:
    """Steps and windows of a plan's trajectories; each distinct question is answered once.

    Attributes:
        recipes: By key, those of the trajectories.
        keys: Trajectory to the key of its recipe.
    """

    recipes: dict[str, Recipe]
    keys: dict[str, str]
    _windows: dict[object, int] = field(default_factory=dict)
    _predicts: dict[str, bool] = field(default_factory=dict)

    @classmethod
    def of(cls, plan: Plan) -> Measure:
        """Of all trajectories of a plan."""
        datasets = {dataset.fingerprint: dataset for dataset in opened(plan)}
        keys = {planned.id: recipe_key(planned) for planned in plan.trajectories}
        recipes: dict[str, Recipe] = {}
        for one in plan.trajectories:
            dataset = datasets[one.dataset_fingerprint]
            recipes.setdefault(keys[one.id], Recipe(one.config, dataset))
        return cls(recipes, keys)

    def trained(self, planned: Planned, members: float | None = None) -> Amount:
        """The training of a loop; of so many members, or of all."""
        training = planned.config.training
        share = 1 if members is None else members / training.members
        return Amount(steps=share * training.all_epochs * training.iterations_per_epoch)

    def pretrained(self, planned: Planned) -> Amount:
        """What goes before the first training of a setting."""
        cases = len(self._dataset(planned).pool)
        return Amount(steps=pretraining_steps(planned.config.training, cases))

    def judged(self, planned: Planned) -> Amount:
        """The evaluation of a loop."""
        how, dataset = planned.config.evaluation, self._dataset(planned)
        cases = (*dataset.validation, *(dataset.test if how.test else ()))
        count = self._count(planned, "judged", cases, how.step, how.tta)
        return Amount(judged=planned.config.training.members * count)

    def queried(self, planned: Planned) -> Amount:
        """A query; nothing where the strategy looks at no prediction."""
        if not self.predicts(planned):
            return Amount()
        how, dataset = planned.config.inference, self._dataset(planned)
        count = self._count(planned, "queried", dataset.pool, how.step, how.tta)
        return Amount(queried=planned.config.training.members * count)

    def predicts(self, planned: Planned) -> bool:
        """Whether a trajectory's strategy looks at predictions."""
        if planned.label not in self._predicts:
            self._predicts[planned.label] = predicts(planned.config.strategy)
        return self._predicts[planned.label]

    def _dataset(self, planned: Planned) -> Dataset:
        return self.recipes[self.keys[planned.id]].dataset

    def _count(
        self, planned: Planned, part: str, cases: tuple[str, ...], step: float, tta: bool
    ) -> int:
        training = planned.config.training
        key = (self.keys[planned.id], part, len(cases), step, tta and training.mirror_axes)
        if key not in self._windows:
            recipe = self.recipes[self.keys[planned.id]]
            self._windows[key] = recipe.windows(cases, step, training if tta else None)
        return self._windows[key]


def left_to_do(
    run: Path | Snapshot, plan: Plan, measure: Measure, stored: Mapping[str, int]
) -> dict[str, Amount]:
    """What is left of each recipe: loops that lack, each start once, less what is stored.

    Args:
        run: The run folder, or what was looked up in it.
        plan: What to make.
        measure: Of the plan.
        stored: Trajectory to the members of its next loop that are stored already; a start is told
            under the first trajectory that waits for it.
    """
    left: dict[str, Amount] = {}

    def add(planned: Planned, *amounts: Amount) -> None:
        key = measure.keys[planned.id]
        left[key] = sum(amounts, left.get(key, Amount()))

    for planned in _missing_pretrainings(run, plan):
        add(planned, measure.pretrained(planned))
    for start in missing_starts(run, plan):
        add(start.example, measure.trained(start.example), measure.judged(start.example))
    for planned in unfinished(run, plan):
        done, loops = loops_done(run, planned), planned.config.query.loops
        own = range(max(done, 1), loops)
        add(planned, *(measure.trained(planned) + measure.judged(planned) for _ in own))
        add(planned, *(measure.queried(planned) for _ in range(done + 1, loops)))
        if members := stored.get(planned.id):
            add(planned, Amount(steps=-measure.trained(planned, members).steps))
    return left


def _missing_pretrainings(run: Path | Snapshot, plan: Plan) -> list[Planned]:
    """One trajectory for each pretraining that none of those that share it has begun with yet."""
    sharers: dict[str, list[Planned]] = {}
    for planned in plan.trajectories:
        training = planned.config.training
        if training.pretraining.kind != "none":
            plain = training.plain()
            shared = {key: plain[key] for key in _OF_A_PRETRAINING}
            key = fingerprint([planned.dataset_fingerprint, shared])
            sharers.setdefault(key, []).append(planned)
    fresh = (own for own in sharers.values() if not any(loops_done(run, one) for one in own))
    return [own[0] for own in fresh]
