"""The steps of a loop: train, evaluate, query. Each can be repeated and then gives the same."""

import logging
import time
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from torch import nn

from alsweep.config.base import fingerprint
from alsweep.config.sweep import ResourcesConfig
from alsweep.config.trajectory import TrajectoryConfig
from alsweep.data.annotator import Oracle, ReferenceLabels
from alsweep.data.case import Dataset
from alsweep.data.label_store import PartialLabels
from alsweep.data.patches import PatchSampler
from alsweep.geometry import Patch, Triple
from alsweep.model.checkpoint import ModelStore
from alsweep.model.device import Compute, resolve_compute, set_threads
from alsweep.model.evaluation import case_dice, mean_dice
from alsweep.model.folds import make_folds
from alsweep.model.inference import predict
from alsweep.model.network import build_network, training_patch
from alsweep.model.trainer import fit, mirror_axes
from alsweep.query.base import Embedding, Prediction, Streams, make_strategy
from alsweep.results.loops import QueriedPatch
from alsweep.rng import stream, torch_seed
from alsweep.trajectory.budget import request_for, settle
from alsweep.trajectory.pool import DatasetPool
from alsweep.trajectory.precomputed import replayed
from alsweep.trajectory.progress import OnProgress, Phase, Progress

NUMERICS = 1
"""Part of every member's key: raised when equal configs would give other weights than before."""

_GIB = 1 << 30
_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Member:
    """A trained member.

    Attributes:
        key: Its content address.
        network: On the compute device.
        seconds: What its training took; 0 where another trajectory did it.
        cached: Whether another trajectory trained it.
    """

    key: str
    network: nn.Module
    seconds: float
    cached: bool


@dataclass(frozen=True)
class Evaluation:
    """Dice of an ensemble on the validation cases; None where undefined."""

    mean_dice: float | None
    dice: dict[str, float | None]
    case_dice: dict[str, dict[str, float | None]]
    seconds: float


@dataclass(frozen=True)
class Steps:
    """What the steps of one trajectory need.

    Attributes:
        owner: Who trains; stored beside members, so that "cached" means "by somebody else", also
            after a crash.
        workers: Cases of the pool that are scored at the same time.
    """

    config: TrajectoryConfig
    dataset: Dataset
    store: ModelStore
    compute: Compute
    owner: str
    on_progress: OnProgress
    workers: int = 1

    @classmethod
    def make(
        cls,
        config: TrajectoryConfig,
        dataset: Dataset,
        models: Path,
        resources: ResourcesConfig,
        owner: str,
        on_progress: OnProgress | None,
    ) -> "Steps":
        """Set up this process's threads and device for a trajectory.

        Raises:
            ConfigError: The device or precision asked for is not to be had.
        """
        set_threads(resources.threads)
        compute = resolve_compute(resources.device, config.training.precision)
        store = ModelStore(models, int(resources.models_gib * _GIB))
        tell = on_progress or (lambda progress: None)
        return cls(config, dataset, store, compute, owner, tell, resources.threads)

    @property
    def window(self) -> Triple:
        """Input size of the networks."""
        return training_patch(self.config.training, self.dataset)

    @property
    def axes(self) -> tuple[int, ...]:
        """Axes that may be mirrored."""
        return mirror_axes(self.config.training, self.dataset.classes)

    def labels(self, patches: Sequence[Patch]) -> PartialLabels:
        """The labels inside ``patches``, as the oracle reveals them."""
        shapes = {case: self.dataset.cases[case].shape for case in self.dataset.pool}
        oracle, free = Oracle(self.dataset), self.dataset.free
        return PartialLabels(shapes, len(self.dataset.classes), oracle, patches, free=free)

    def train(self, loop: int, patches: Sequence[Patch], parents: Sequence[Member]) -> list[Member]:
        """Train the members on ``patches``, or load those that are stored already.

        Args:
            loop: For progress only.
            patches: All annotated patches.
            parents: The members of the loop before; used by ``training.warm_start`` alone.
        """
        # Sorted: equal sets of patches must give equal members, in whatever order they were
        # queried.
        labels = self.labels(sorted(patches))
        held_out = self._folds(labels)
        count = self.config.training.members
        members = []
        for index in range(count):
            fold = None if held_out is None else index % len(held_out)
            cases = [c for c in labels.cases if held_out is None or c not in held_out[fold or 0]]
            parent = parents[index] if parents and self.config.training.warm_start else None
            members.append(self._member(loop, labels, cases, fold, index, parent))
        return members

    def _folds(self, labels: PartialLabels) -> list[list[str]] | None:
        """Held-out cases per fold; None where all members train on all annotated cases."""
        wanted = self.config.training.folds
        if wanted == 1:
            return None
        classes_of = {
            case: frozenset(np.flatnonzero(labels.class_voxels(case)).tolist())
            for case in labels.cases
        }
        folds = make_folds(classes_of, wanted)
        if folds is None:
            _log.info(
                "%s: folds are not possible; members train on all annotated cases", self.owner
            )
        return folds

    def _member(
        self,
        loop: int,
        labels: PartialLabels,
        cases: Sequence[str],
        fold: int | None,
        index: int,
        parent: Member | None,
    ) -> Member:
        key = self.member_key(labels.patches, fold, index, parent)
        network = build_network(
            self.config.training,
            self.window,
            len(self.dataset.channels),
            len(self.dataset.classes),
            torch_seed(self.config.seed, "init", index),
        ).to(self.compute.device)
        meta, weights = self.store.meta(key), self.store.weights(key)
        if meta is None or weights is None:
            if parent is not None:
                network.load_state_dict(parent.network.state_dict())
            self._fit(loop, network, labels, cases, index, key)
            # Read back: where somebody else was faster, theirs is the one that counts.
            meta, weights = self.store.meta(key), self.store.weights(key)
        if meta is not None and weights is not None:
            network.load_state_dict(weights)
        mine = meta is None or meta["owner"] == self.owner
        return Member(key, network.eval(), meta["seconds"] if meta and mine else 0.0, not mine)

    def _fit(
        self,
        loop: int,
        network: nn.Module,
        labels: PartialLabels,
        cases: Sequence[str],
        index: int,
        key: str,
    ) -> None:
        training = self.config.training
        began = time.monotonic()
        sampler = PatchSampler(
            self.dataset,
            labels,
            cases,
            self.window,
            training.foreground_share,
            case_sampling=training.case_sampling,
        )
        total = training.members * training.epochs
        done = index * training.epochs
        self._tell(loop, "train", done, total)
        loss = fit(
            network,
            sampler,
            training,
            self.axes,
            self.compute,
            (self.config.seed, index),
            lambda epochs: self._tell(loop, "train", done + epochs, total),
        )
        meta = {"owner": self.owner, "seconds": time.monotonic() - began, "loss": loss}
        self.store.publish(key, meta, network.state_dict())

    def member_key(
        self, patches: Sequence[Patch], fold: int | None, index: int, parent: Member | None
    ) -> str:
        """Content address of a member: everything that changes its weights, and nothing else."""
        training = self.config.training.plain()
        ignored = {"members", "mirror_axes", "precision", "preset"}
        return fingerprint(
            {
                "kind": "member",
                "numerics": NUMERICS,
                "dataset": self.dataset.fingerprint,
                "patches": [[p.case, p.start, p.size] for p in sorted(patches)],
                "training": {k: v for k, v in training.items() if k not in ignored},
                "window": self.window,
                "axes": self.axes,
                "precision": self.compute.precision,
                "fold": fold,
                "member": index,
                "seed": self.config.seed,
                "parent": None if parent is None else parent.key,
            }
        )

    def evaluate(self, loop: int, members: Sequence[Member]) -> Evaluation:
        """Dice of the ensemble on the validation cases; stored under the members' keys."""
        key = fingerprint(
            {
                "kind": "evaluation",
                "members": [member.key for member in members],
                "protocol": self.config.evaluation.plain(),
            }
        )
        meta = self.store.meta(key)
        if meta is None:
            made = self._evaluate(loop, members)
            self.store.publish(key, made)
            # Read back: the first to publish counts. Somebody short of room may have removed it.
            meta = self.store.meta(key) or made
        seconds = meta["seconds"] if meta["owner"] == self.owner else 0.0
        return Evaluation(meta["mean_dice"], meta["dice"], meta["case_dice"], seconds)

    def _evaluate(self, loop: int, members: Sequence[Member]) -> dict[str, Any]:
        began = time.monotonic()
        reference = ReferenceLabels(self.dataset)
        protocol = self.config.evaluation
        names = self.dataset.classes[1:]
        by_case: dict[str, list[float | None]] = {}
        for done, case in enumerate(self.dataset.validation):
            self._tell(loop, "evaluate", done, len(self.dataset.validation))
            probs = self.predict(members, case, protocol.step, protocol.tta).mean_probs
            predicted = probs.argmax(dim=0).to("cpu").numpy().astype(np.uint8)
            by_case[case] = case_dice(predicted, reference.volume(case), len(self.dataset.classes))
        mean, per_class = mean_dice(by_case)
        return {
            "owner": self.owner,
            "seconds": time.monotonic() - began,
            "mean_dice": mean,
            "dice": dict(zip(names, per_class, strict=True)),
            "case_dice": {c: dict(zip(names, d, strict=True)) for c, d in by_case.items()},
        }

    def predict(
        self,
        members: Sequence[Member],
        case: str,
        step: float,
        tta: bool,
        needs: Collection[str] = ("probs",),
    ) -> Prediction:
        """What the ensemble says of a case, and no more of it than is needed."""
        folded = predict(
            [member.network for member in members],
            self.dataset.image(case),
            self.window,
            step,
            self.axes if tta else (),
            self.compute,
            needs,
        )
        embedding = None
        if folded.features is not None and folded.cell is not None:
            embedding = Embedding(folded.features, folded.cell)
        return Prediction(folded.probs, folded.mean_entropy, embedding, folded.members)

    def query(
        self, loop: int, members: Sequence[Member], taken: Sequence[Patch]
    ) -> list[QueriedPatch]:
        """Let the strategy choose the next patches, with the networks of ``loop``.

        Raises:
            PoolExhaustedError: Fewer fit than are wanted, and the config says to stop then.
        """
        chosen = make_strategy(self.config.strategy)
        inference = self.config.inference
        pool = DatasetPool(
            self.dataset,
            taken,
            predict=lambda case: self.predict(
                members, case, inference.step, inference.tta, chosen.needs
            ),
            oracle=ReferenceLabels(self.dataset) if chosen.uses_oracle else None,
            replay=partial(replayed, self.config, taken, loop),
            workers=self.workers,
            on_case=lambda done: self._tell(loop, "query", done, len(self.dataset.pool)),
        )
        rng: Streams = partial(stream, self.config.seed, "query", loop)
        request = request_for(self.config, loop)
        choices = chosen.query(pool, request, rng)
        return settle(choices, pool, request, rng, self.config.query.on_shortfall)

    def _tell(self, loop: int, phase: Phase, done: int, total: int) -> None:
        self.on_progress(Progress(loop, phase, done, total))
