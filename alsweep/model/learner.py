"""The protocol of a learner: what makes networks and trains them on partial labels."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Protocol

from alsweep.config.reveal import Reveal
from alsweep.config.trajectory import TrainingConfig
from alsweep.data.case import Dataset
from alsweep.data.ingest.network_plan import plans_batch_dice
from alsweep.model.mirroring import mirror_axes
from alsweep.model.topology import Topology, make_topology

if TYPE_CHECKING:
    # A config is checked without torch, which takes a second to import, and MONAI seconds.
    from torch import nn

    from alsweep.data.label_store import PartialLabels
    from alsweep.model.device import Compute

FRAME = frozenset(
    {
        "preset",
        "epochs",
        "learner",
        "members",
        "ensemble",
        "folds",
        "mirror_axes",
        "patch_size",
        "warm_start",
    }
)
"""Fields of ``training`` that hold for every learner: what a setup and training data need."""

OnEpoch = Callable[[int], None]
"""Called with the number of finished epochs."""


@dataclass(frozen=True)
class Setup:
    """What all members of a trajectory have in common.

    Attributes:
        dataset: Gives the images; there is no way from it to the ground truth.
        training: The recipe.
        topology: Levels of the network; its window is also that of the sliding window.
        axes: Spatial axes (0 = z) that may be mirrored.
        compute: Device and precision.
        seed: Of the trajectory.
        reveal: What the annotator tells of a patch.
    """

    dataset: Dataset
    training: TrainingConfig
    topology: Topology
    axes: tuple[int, ...]
    compute: "Compute"
    seed: int
    reveal: Reveal = "dense"

    @classmethod
    def make(
        cls,
        dataset: Dataset,
        training: TrainingConfig,
        compute: "Compute",
        seed: int,
        reveal: Reveal = "dense",
    ) -> "Setup":
        """Work out what follows from dataset and recipe."""
        names = (*dataset.classes, *(target.name for target in dataset.targets))
        axes = mirror_axes(training, names)
        topology = make_topology(training, dataset)
        return cls(dataset, training, topology, axes, compute, seed, reveal)

    @property
    def outputs(self) -> int:
        """Channels of the logits: the classes, or the regions."""
        return len(self.dataset.manifest.regions or self.dataset.classes)

    @property
    def batch_dice(self) -> bool:
        """Whether the loss sums overlaps over the batch before it takes Dice."""
        asked, manifest = self.training.batch_dice, self.dataset.manifest
        if asked == "plan":
            return plans_batch_dice(manifest.plan, manifest.spacing, self.outputs)
        return asked

    @property
    def regions(self) -> bool:
        """Whether each output is a region by itself, through a sigmoid."""
        return bool(self.dataset.manifest.regions)


@dataclass(frozen=True)
class TrainingData:
    """What one member learns from.

    Attributes:
        member: Its index; with the seed it addresses all draws.
        labels: All that is annotated.
        cases: The annotated cases that this member may see.
        continues: Whether the network comes with the weights of a parent, not with those that the
            learner gave it: what goes before a training, such as pretraining, was done for those.
    """

    member: int
    labels: "PartialLabels"
    cases: Sequence[str]
    continues: bool = False


class Checkpoint(Protocol):
    """Keeps how far a training has come, so that one which is killed need not begin anew."""

    def load(self) -> dict[str, Any] | None:
        """The state that was saved last, tensors on the CPU; None where there is none."""
        ...

    def due(self) -> bool:
        """Whether the last state is old enough; ask after each epoch but the last."""
        ...

    def save(self, state: Mapping[str, Any]) -> None:
        """Replace what is kept: tensors and plain values, from which the training goes on."""
        ...


class Learner(ABC):
    """Makes networks and trains them on partial labels. Has no state of its own, but for options.

    Members are shared by their content: a member must be a function of setup, training data,
    options and the weights that it starts from, also where its training was broken off and resumed.
    A learner sees the images of the pool, annotated or not, and no others; labels only those of its
    training data. It can be pickled.

    Entry-point group ``alsweep.learners``; each entry is called with the options. These are the
    fields of the learner, where it is a frozen dataclass, declared by
    :func:`alsweep.query.searchable`: ``training.learner: {name: NAME, OPTION: VALUE}``.

    Attributes:
        heeds: The fields of ``training`` that it goes by, beside those of :data:`FRAME`. To change
            any other is refused.
        heeds_boxes: Whether it also heeds labels that leave two classes open, see
            :func:`alsweep.label_codes.boxed`; where not, ``annotator.reveal: box`` is refused.
        own_preset: The preset whose values stand for its own way in what it does not heed; None for
            that of the config.
    """

    heeds: ClassVar[Collection[str]] = ()
    heeds_boxes: ClassVar[bool] = False
    own_preset: ClassVar[str | None] = None

    @abstractmethod
    def network(self, setup: Setup, member: int) -> "nn.Module":
        """An untrained network on ``setup.compute.device``.

        In ``eval`` mode it takes ``(batch, channel, z, y, x)`` of the size of the window and gives
        logits ``(batch, output, z, y, x)``: of the classes for a softmax, or of the regions for a
        sigmoid each. The weights of any member can be loaded into it.
        """

    @abstractmethod
    def fit(
        self,
        network: "nn.Module",
        setup: Setup,
        training_data: TrainingData,
        on_epoch: OnEpoch,
        checkpoint: Checkpoint,
    ) -> float:
        """Train ``network`` in place, from the checkpoint's state or else the weights it has.

        Args:
            network: From :meth:`network`.
            setup: With the epochs of this very training.
            training_data: What to learn from.
            on_epoch: To be called after each epoch.
            checkpoint: To be saved to where that is due.

        Returns:
            Mean loss of the last epoch.

        Raises:
            TrajectoryFailedError: The training cannot go on; the message names the mend.
        """

    def encoder(self, network: "nn.Module") -> "nn.Module":
        """The part of a network whose output tells windows apart, for strategies that embed.

        It runs once a forward pass and gives ``(window, feature, z, y, x)``, on a grid of cells
        that covers the window evenly. With a learner that does not override this, such strategies
        are refused.
        """
        raise NotImplementedError(f"{type(self).__name__} has no encoder to take features from")

    def head(self, network: "nn.Module") -> "nn.Module":
        """The last layer of a network, for strategies that take gradients by it.

        It is linear at each voxel, runs once a forward pass and is given
        ``(window, feature, z, y, x)`` at full resolution. With a learner that does not override
        this, such strategies are refused.
        """
        raise NotImplementedError(f"{type(self).__name__} has no head to take gradients by")
