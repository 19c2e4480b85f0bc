"""A query once more: the networks that it was made with, from the store, asked by any strategy."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from torch import nn

from alsweep.config.strategy import StrategySpec
from alsweep.config.sweep import ResourcesConfig
from alsweep.config.trajectory import InferenceConfig, TrainingConfig
from alsweep.data.annotator import ReferenceLabels
from alsweep.data.case import Dataset
from alsweep.errors import ConfigError, RunFolderError
from alsweep.geometry import Patch, QueriedPatch, by_case, union_voxels
from alsweep.layout import space_path
from alsweep.model.device import resolve_compute
from alsweep.model.learner import Setup
from alsweep.model.outputs import predicted_labels
from alsweep.query.base import make_strategy
from alsweep.query.maps import PredictiveEntropyMap, VoxelMap
from alsweep.results.loops import LoopRecord
from alsweep.results.mix import ClassMix, class_mix
from alsweep.results.records import TrajectoryFolder
from alsweep.trajectory.annotator import make_annotator
from alsweep.trajectory.members import Member
from alsweep.trajectory.progress import OnProgress
from alsweep.trajectory.query_log import QueryLog
from alsweep.trajectory.resolving import resolve
from alsweep.trajectory.steps import Steps

if TYPE_CHECKING:
    from alsweep.query.pool import Prediction
    from alsweep.types import LabelMap, Probs, ScoreMap, Volume


def voxel_map(strategy: StrategySpec) -> VoxelMap:
    """What a strategy scores voxels with; predictive entropy where it scores none."""
    composition = make_strategy(strategy).composition
    if composition is not None and isinstance(composition.map, VoxelMap):
        return composition.map
    return PredictiveEntropyMap()


@dataclass(frozen=True)
class Agreement:
    """How far two queries agree.

    Attributes:
        same: Patches of the one that the other has, too.
        touching: Patches of the one that share a voxel with a patch of the other.
        iou: Voxels in both over voxels in either, 0..1.
    """

    same: int
    touching: int
    iou: float


def agreement(one: Sequence[Patch], other: Sequence[Patch]) -> Agreement:
    """Compare two queries patch by patch and voxel by voxel."""
    both = _voxels(one) + _voxels(other) - (either := _voxels([*one, *other]))
    return Agreement(
        same=len(set(one) & set(other)),
        touching=sum(any(patch.intersects(p) for p in other) for patch in one),
        iou=both / either if either else 0.0,
    )


def _voxels(patches: Iterable[Patch]) -> int:
    return sum(union_voxels([(p.start, p.size) for p in own]) for own in by_case(patches).values())


def _as_then(
    record: LoopRecord, training: TrainingConfig
) -> tuple[ResourcesConfig, TrainingConfig]:
    """Threads, device and precision of a loop: sums in another order could turn a near-tie.

    Where there is no such device, the one that this machine would train on.
    """
    then = {"device": record.device, "precision": record.precision}
    try:
        resolve_compute(**then)
    except ConfigError:
        then = {"device": "auto", "precision": training.precision}
    resources = ResourcesConfig.model_validate({"cpus": record.threads, "device": then["device"]})
    return resources, training.model_copy(update={"precision": then["precision"]})


class StoredNetworks:
    """The networks that a trajectory made one of its queries with.

    Nothing is trained and nothing is written.

    Args:
        trajectory: It has come to ``loop``.
        loop: The query's patches are annotated just before this training; 1 or later.
        dataset: What the trajectory ran on.
        models: The run's model store.
        on_progress: Called for each case that is predicted.

    Raises:
        ConfigError: The starting budget was asked for, which no network chose, or the device that
            the config asks for is not to be had.
        RunFolderError: A network is not stored any more.
    """

    def __init__(
        self,
        trajectory: TrajectoryFolder,
        loop: int,
        *,
        dataset: Dataset,
        models: Path,
        on_progress: OnProgress | None = None,
    ) -> None:
        if loop == 0:
            raise ConfigError("--loop 0: no network chose the starting budget; ask for 1 or later")
        assert trajectory.config is not None
        self._record = trajectory.records[loop - 1]
        self._log = QueryLog(trajectory.folder)
        resources, training = _as_then(self._record, trajectory.config.training)
        changes = {"dataset": dataset.path, "training": training}
        config = trajectory.config.model_copy(update=changes)
        annotator = make_annotator(config, dataset, trajectory.folder)
        self._steps = Steps.make(config, dataset, models, resources, "try", on_progress, annotator)
        self._members = self._stored()

    @property
    def setup(self) -> Setup:
        """What the networks have in common."""
        return self._steps.members.setup

    @property
    def networks(self) -> list[nn.Module]:
        """The members."""
        return [member.network for member in self._members]

    def ask(self, strategy: StrategySpec) -> list[QueriedPatch]:
        """What ``strategy`` queries with these networks, beside the patches annotated then.

        Raises:
            ConfigError: The strategy is unknown, or cannot work in this trajectory.
            PoolExhaustedError: Fewer patches fit than the trajectory queries.
        """
        steps = self._asking(strategy)
        taken = self._log.patches(self._record.loop)
        return steps.query(self._record.loop, self._members, taken)

    def mix(self, queried: Sequence[QueriedPatch]) -> ClassMix:
        """Classes in the reference labels of a query."""
        dataset = self._steps.dataset
        reference = ReferenceLabels(dataset)
        crops = (reference.volume(one.patch.case)[one.patch.slices] for one in queried)
        return class_mix(crops, len(dataset.classes))

    def scored(self, case: str, score: VoxelMap) -> "tuple[LabelMap, NDArray[np.floating[Any]]]":
        """Predicted labels and voxel scores of a pool case, as the query saw them."""
        inference = self._steps.config.inference
        prediction = self._steps.predict(self._members, case, inference, score.needs)
        order = self._steps.dataset.manifest.regions_class_order
        labels = predicted_labels(prediction, order)
        parts = (prediction.part(planes, slice(None)) for planes in prediction.slabs)
        return labels, np.concatenate([score(part).float().to("cpu").numpy() for part in parts])

    def probabilities(self, case: str, score: VoxelMap) -> "tuple[Probs, ScoreMap]":
        """Mean probabilities and voxel scores of a pool case, as the query saw them."""
        inference = self._steps.config.inference
        prediction = self._steps.predict(self._members, case, inference, score.needs)
        return prediction.mean_probs, score(prediction).float()

    def of_image(self, image: "Volume") -> "Prediction":
        """What the ensemble says of an image, by the protocol that Dice is measured with."""
        config = self._steps.config.evaluation
        how = InferenceConfig(tta=config.tta, step=config.step)
        return self._steps.predict_image(self._members, image, how)

    def _asking(self, strategy: StrategySpec) -> Steps:
        config = self._steps.config.model_copy(update={"strategy": strategy})
        return replace(self._steps, config=resolve(config, self._steps.dataset))

    def _stored(self) -> list[Member]:
        members = self._steps.members
        kept = [members.stored(index, key) for index, key in enumerate(self._record.members)]
        found = [member for member in kept if member is not None]
        if len(found) < len(kept):
            store = members.store.root
            raise RunFolderError(
                f"{store}: {len(kept) - len(found)} of the {len(kept)} networks of loop "
                f"{self._record.loop} are not stored any more; train them again with 'alsweep run "
                f"{space_path(store.parent)} --out NEW', and raise resources.models_gib there"
            )
        return found
