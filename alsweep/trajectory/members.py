"""The members of an ensemble: trained once for their content, then found in the store."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property, partial
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import numpy as np
from torch import nn

from alsweep.config.base import fingerprint
from alsweep.config.sweep import ResourcesConfig
from alsweep.config.trajectory import TrainingConfig
from alsweep.data.label_store import PartialLabels
from alsweep.errors import TrajectoryFailedError
from alsweep.geometry import Patch
from alsweep.model.checkpoint import ModelStore
from alsweep.model.folds import Fold, make_folds
from alsweep.model.learner import Learner, Setup, TrainingData
from alsweep.model.learners import make_learner
from alsweep.trajectory.member_processes import MemberProcesses
from alsweep.trajectory.member_task import MemberTask, refuse_nan
from alsweep.trajectory.numerics import NUMERICS
from alsweep.trajectory.pretrained import Pretrained
from alsweep.trajectory.progress import OnProgress, Progress

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Member:
    """A trained member.

    Attributes:
        key: Its content address.
        network: On the compute device.
        seconds: What its training took, also in tries that were killed; 0 where another trajectory
            did it.
        cached: Whether another trajectory trained it.
    """

    key: str
    network: nn.Module
    seconds: float
    cached: bool


class Keyed(Protocol):
    """What a member's key needs to know of its parent."""

    @property
    def key(self) -> str:
        """The parent's own."""


class _Key(NamedTuple):
    """A member of which no more than the key is known."""

    key: str


@dataclass
class _Tally:
    """Finished epochs over all members of a loop, told as they grow."""

    loop: int
    total: int
    on_progress: OnProgress
    epochs: dict[int, int] = field(default_factory=dict)

    def __call__(self, member: int, epochs: int) -> None:
        self.epochs[member] = epochs
        self.on_progress(Progress(self.loop, "train", sum(self.epochs.values()), self.total))


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
        resources: How many train at once, and on how much.
    """

    setup: Setup
    learner: Learner
    store: ModelStore
    owner: str
    on_progress: OnProgress
    resources: ResourcesConfig

    @classmethod
    def looked_up(cls, setup: Setup, models: Path) -> "Members":
        """Those of which only keys are asked, and whether they are stored: nothing is trained."""
        learner, store = make_learner(setup.training.learner), ModelStore(models, 0)
        return cls(setup, learner, store, "", lambda progress: None, ResourcesConfig())

    @property
    def _training(self) -> TrainingConfig:
        return self.setup.training

    @cached_property
    def _identity(self) -> dict[str, Any]:
        return dict(self._training.identity())

    @property
    def at_once(self) -> int:
        """Members that are trained side by side; snapshots come one after the other."""
        if self._training.ensemble == "snapshots":
            return 1
        return min(self.resources.members_at_once, self._training.members)

    @property
    def threads(self) -> int:
        """Threads that a member is trained on."""
        return self.resources.training_threads(self.at_once)

    @property
    def loaders(self) -> int:
        """Processes that make batches for a member; a CPU has better things to do."""
        if self.resources.loaders is not None:
            return self.resources.loaders
        return self.threads if self.setup.compute.device.type == "cuda" else 0

    def train(self, loop: int, labels: PartialLabels, parents: Sequence[Member]) -> list[Member]:
        """Train the members on all that is annotated, or load those that are stored already.

        Args:
            loop: For progress only.
            labels: What is annotated.
            parents: The members of the loop before; used by ``training.warm_start`` alone.

        Raises:
            TrajectoryFailedError: A training cannot go on.
            LostError: The process of a member was killed again and again.
        """
        tally = _Tally(loop, self._training.all_epochs, self.on_progress)
        if not self._training.warm_start:
            parents = ()
        if self._training.ensemble == "snapshots":
            return self._snapshots(labels, parents[-1] if parents else None, tally)
        tasks, folds = [], self._folds(labels)
        if self._training.ensemble == "folds" and None in folds:
            _log.info(
                "%s: folds are not possible; members train on all annotated cases", self.owner
            )
        for index, fold in enumerate(folds):
            cases = [c for c in labels.cases if fold is None or c not in fold.cases]
            parent = parents[index] if parents else None
            tasks.append(self._task(TrainingData(index, labels, cases), fold, parent))
        return self._all(tasks, tally)

    def keys(self, labels: PartialLabels, parents: Sequence[str]) -> list[str]:
        """Keys of the members that :meth:`train` would give; nothing is trained.

        Args:
            labels: What is annotated.
            parents: Keys of the members of the loop before; none in loop 0.
        """
        before = [_Key(key) for key in parents] if self._training.warm_start else []
        patches, digest = labels.patches, labels.digest()
        if self._training.ensemble == "snapshots":
            chain = before[-1:]
            for index in range(self._training.members):
                parent = chain[-1] if chain else None
                chain.append(_Key(self.key(patches, None, index, parent, digest)))
            return [one.key for one in chain[-self._training.members :]]
        return [
            self.key(patches, fold, index, before[index] if before else None, digest)
            for index, fold in enumerate(self._folds(labels))
        ]

    def _snapshots(
        self, labels: PartialLabels, parent: Member | None, tally: _Tally
    ) -> list[Member]:
        """One training in cycles, each from where the one before it ended.

        Every cycle has the whole course of the learning rate, an optimiser of its own and draws of
        its own, so that a member follows from its parent's weights alone.

        Source: Huang et al. 2017, Snapshot Ensembles, arXiv:1704.00109; there the rate follows a
        cosine, here the recipe's own schedule.
        """
        members: list[Member] = []
        for index in range(self._training.members):
            task = self._task(TrainingData(index, labels, labels.cases), None, parent)
            members += self._all([task], tally)
            parent = members[-1]
        return members

    def stored(self, index: int, key: str) -> Member | None:
        """A member from the store; None where it is not there any more.

        Raises:
            TrajectoryFailedError: Its weights are not all finite.
        """
        meta, weights = self.store.meta(key), self.store.weights(key)
        if meta is None or weights is None:
            return None
        network = self.learner.network(self.setup, index)
        network.load_state_dict(weights)
        refuse_nan(network, f"member {index}: as {self.store.root / key} holds it")
        mine = meta["owner"] == self.owner
        return Member(key, network.eval(), meta["seconds"] if mine else 0.0, not mine)

    def key(
        self,
        patches: Sequence[Patch],
        fold: Fold | None,
        index: int,
        parent: Keyed | None,
        labels: str | None = None,
    ) -> str:
        """Content address of a member: everything that changes its weights, and nothing else.

        ``labels`` is the digest of those that do not follow from the dataset.
        """
        training = self._identity | {"epochs": self._training.member_epochs(index)}
        # Whether a member has a parent, and a fold, says what these mean for it.
        implied = {"ensemble", "folds", "warm_start"}
        ignored = {"members", "mirror_axes", "precision", "preset", *implied}
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
                "fold": None if fold is None else fold.address,
                "member": index,
                "seed": self.setup.seed,
                "parent": None if parent is None else parent.key,
                **({} if labels is None else {"labels": labels}),
            }
        )

    def _folds(self, labels: PartialLabels) -> list[Fold | None]:
        """What each member does without: nothing where all train on all annotated cases."""
        members = self._training.members
        if self._training.ensemble == "seeds":
            return [None] * members
        classes_of = {
            case: frozenset(np.flatnonzero(labels.class_voxels(case)).tolist())
            for case in labels.cases
        }
        folds = make_folds(classes_of, self._training.folds)
        if folds is None:
            return [None] * members
        return [folds[index % len(folds)] for index in range(members)]

    def _task(
        self, training_data: TrainingData, fold: Fold | None, parent: Member | None
    ) -> MemberTask:
        epochs = self._training.member_epochs(training_data.member)
        training = self._training.model_copy(update={"epochs": epochs})
        compute = replace(self.setup.compute, loaders=self.loaders)
        labels = training_data.labels
        start = None
        if parent is not None:
            start = {name: tensor.cpu() for name, tensor in parent.network.state_dict().items()}
        return MemberTask(
            setup=replace(self.setup, training=training, compute=compute),
            learner=self.learner,
            training_data=replace(training_data, continues=parent is not None),
            start=start,
            key=self.key(labels.patches, fold, training_data.member, parent, labels.digest()),
            store=self.store,
            owner=self.owner,
            checkpoint_minutes=self.resources.checkpoint_minutes,
        )

    @property
    def pretrained(self) -> Pretrained:
        """What members without a parent begin with, where anything was learnt before."""
        minutes = self.resources.checkpoint_minutes
        return Pretrained(self.setup, self.learner, self.store, self.owner, minutes)

    def _all(self, tasks: Sequence[MemberTask], tally: _Tally) -> list[Member]:
        """A member for each task: stored already, or trained."""
        members: dict[int, Member] = {}
        missing = []
        for task in tasks:
            found = self.stored(task.member, task.key)
            if found is None:
                missing.append(self._prepared(task))
            else:
                members[task.member] = found
                tally.epochs[task.member] = task.setup.training.epochs
        if missing:
            tally(missing[0].member, 0)
        if self.at_once == 1:
            members |= {task.member: self._here(task, tally) for task in missing}
        else:
            members |= self._beside(missing, tally)
        return [members[task.member] for task in tasks]

    def _prepared(self, task: MemberTask) -> MemberTask:
        """The task with weights to begin with, where any were learnt before for all members."""
        if task.start is not None or not self.pretrained.asked_for:
            return task
        return replace(task, start=self.pretrained.start(task.member))

    def _here(self, task: MemberTask, tally: _Tally) -> Member:
        """Train a member in this process."""
        network = task.train(partial(tally, task.member))
        # Read back: where somebody else was faster, theirs is the one that counts. Somebody short
        # of room may have removed it.
        return self.stored(task.member, task.key) or Member(task.key, network.eval(), 0.0, False)

    def _beside(self, tasks: Sequence[MemberTask], tally: _Tally) -> dict[int, Member]:
        """Train members in processes of their own; none are left of them afterwards."""
        members = {}

        def read_back(task: MemberTask) -> None:
            member = self.stored(task.member, task.key)
            if member is None:
                raise TrajectoryFailedError(
                    f"member {task.member} was trained, but {self.store.root} has no room to keep "
                    f"it; raise resources.models_gib"
                )
            members[task.member] = member

        MemberProcesses(tasks, self.at_once, self.threads).train(tally, read_back)
        return members
