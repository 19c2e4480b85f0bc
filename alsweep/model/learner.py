"""The protocol of a learner: what makes networks and trains them on partial labels."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from torch import nn

from alsweep.config.trajectory import TrainingConfig
from alsweep.data.case import Dataset
from alsweep.model.device import Compute
from alsweep.model.mirroring import mirror_axes
from alsweep.model.topology import Topology, make_topology

if TYPE_CHECKING:
    from alsweep.data.label_store import PartialLabels

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
    """

    dataset: Dataset
    training: TrainingConfig
    topology: Topology
    axes: tuple[int, ...]
    compute: Compute
    seed: int

    @classmethod
    def make(
        cls, dataset: Dataset, training: TrainingConfig, compute: Compute, seed: int
    ) -> "Setup":
        """Work out what follows from dataset and recipe."""
        names = (*dataset.classes, *(target.name for target in dataset.targets))
        axes = mirror_axes(training, names)
        return cls(dataset, training, make_topology(training, dataset), axes, compute, seed)

    @property
    def outputs(self) -> int:
        """Channels of the logits: the classes, or the regions."""
        return len(self.dataset.manifest.regions or self.dataset.classes)

    @property
    def regions(self) -> bool:
        """Whether each output is a region by itself, through a sigmoid."""
        return bool(self.dataset.manifest.regions)


@dataclass(frozen=True)
class Lesson:
    """What one member learns from.

    Attributes:
        member: Its index; with the seed it addresses all draws.
        labels: All that is annotated.
        cases: The annotated cases that this member may see.
    """

    member: int
    labels: "PartialLabels"
    cases: Sequence[str]


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


class Learner(Protocol):
    """Makes networks and trains them on partial labels. Has no state of its own.

    Members are shared by their content: a member must be a function of setup, lesson and the
    weights that it starts from, also where its training was broken off and resumed. Entry-point
    group ``alsweep.learners``; each entry is called without arguments. A learner can be pickled.
    """

    def network(self, setup: Setup, member: int) -> nn.Module:
        """An untrained network on ``setup.compute.device``.

        In ``eval`` mode it takes ``(batch, channel, z, y, x)`` of the size of the window and gives
        logits ``(batch, output, z, y, x)``: of the classes for a softmax, or of the regions for a
        sigmoid each. The weights of any member can be loaded into it.
        """
        ...

    def fit(
        self,
        network: nn.Module,
        setup: Setup,
        lesson: Lesson,
        on_epoch: OnEpoch,
        checkpoint: Checkpoint,
    ) -> float:
        """Train ``network`` in place, from the checkpoint's state or else the weights it has.

        Args:
            network: From :meth:`network`.
            setup: With the epochs of this very training.
            lesson: What to learn from.
            on_epoch: To be called after each epoch.
            checkpoint: To be saved to where that is due.

        Returns:
            Mean loss of the last epoch.

        Raises:
            TrajectoryFailedError: The training cannot go on; the message names the mend.
        """
        ...
