"""The members of an ensemble: trained once for their content, then found in the store."""

import logging
import time
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from torch import nn

from alsweep.config.base import fingerprint
from alsweep.config.trajectory import TrainingConfig
from alsweep.data.label_store import PartialLabels
from alsweep.geometry import Patch
from alsweep.model.checkpoint import ModelStore
from alsweep.model.folds import make_folds
from alsweep.model.learner import Learner, Lesson, Setup
from alsweep.trajectory.progress import OnProgress, Progress

NUMERICS = 3
"""Part of every member's key: raised when equal configs would give other weights than before.

2: biased transposed convolutions, lower scales supervised at their own resolution, levels by
spacing. 3: regions through sigmoids.
"""

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
class Members:
    """Trains members, or takes them from the store.

    Attributes:
        setup: What they have in common.
        learner: Makes and trains their networks.
        store: Where they lie, by content.
        owner: Who trains; stored beside members, so that "cached" means "by somebody else", also
            after a crash.
        on_progress: Called after each epoch.
    """

    setup: Setup
    learner: Learner
    store: ModelStore
    owner: str
    on_progress: OnProgress

    @property
    def _training(self) -> TrainingConfig:
        return self.setup.training

    def train(self, loop: int, labels: PartialLabels, parents: Sequence[Member]) -> list[Member]:
        """Train the members on all that is annotated, or load those that are stored already.

        Args:
            loop: For progress only.
            labels: What is annotated.
            parents: The members of the loop before; used by ``training.warm_start`` alone.
        """
        held_out = self._folds(labels)
        members = []
        for index in range(self._training.members):
            fold = None if held_out is None else index % len(held_out)
            cases = [c for c in labels.cases if held_out is None or c not in held_out[fold or 0]]
            parent = parents[index] if parents and self._training.warm_start else None
            members.append(self._member(loop, Lesson(index, labels, cases), fold, parent))
        return members

    def stored(self, index: int, key: str) -> Member | None:
        """A member from the store; None where it is not there any more."""
        weights = self.store.weights(key)
        if weights is None:
            return None
        network = self.learner.network(self.setup, index)
        network.load_state_dict(weights)
        return Member(key, network.eval(), 0.0, True)

    def key(
        self, patches: Sequence[Patch], fold: int | None, index: int, parent: Member | None
    ) -> str:
        """Content address of a member: everything that changes its weights, and nothing else."""
        training = self._training.plain()
        ignored = {"members", "mirror_axes", "precision", "preset"}
        return fingerprint(
            {
                "kind": "member",
                "numerics": NUMERICS,
                "dataset": self.setup.dataset.fingerprint,
                "patches": [[p.case, p.start, p.size] for p in sorted(patches)],
                "training": {k: v for k, v in training.items() if k not in ignored},
                "window": self.setup.topology.window,
                "axes": self.setup.axes,
                "precision": self.setup.compute.precision,
                "fold": fold,
                "member": index,
                "seed": self.setup.seed,
                "parent": None if parent is None else parent.key,
            }
        )

    def _folds(self, labels: PartialLabels) -> list[list[str]] | None:
        """Held-out cases per fold; None where all members train on all annotated cases."""
        wanted = self._training.folds
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

    def _member(self, loop: int, lesson: Lesson, fold: int | None, parent: Member | None) -> Member:
        key = self.key(lesson.labels.patches, fold, lesson.member, parent)
        network = self.learner.network(self.setup, lesson.member)
        meta, weights = self.store.meta(key), self.store.weights(key)
        if meta is None or weights is None:
            if parent is not None:
                network.load_state_dict(parent.network.state_dict())
            self._fit(loop, network, lesson, key)
            # Read back: where somebody else was faster, theirs is the one that counts.
            meta, weights = self.store.meta(key), self.store.weights(key)
        if meta is not None and weights is not None:
            network.load_state_dict(weights)
        mine = meta is None or meta["owner"] == self.owner
        return Member(key, network.eval(), meta["seconds"] if meta and mine else 0.0, not mine)

    def _fit(self, loop: int, network: nn.Module, lesson: Lesson, key: str) -> None:
        began = time.monotonic()
        epochs = self._training.epochs
        done, total = lesson.member * epochs, self._training.members * epochs

        def tell(finished: int) -> None:
            self.on_progress(Progress(loop, "train", done + finished, total))

        tell(0)
        loss = self.learner.fit(network, self.setup, lesson, tell)
        meta = {"owner": self.owner, "seconds": time.monotonic() - began, "loss": loss}
        self.store.publish(key, meta, network.state_dict())
