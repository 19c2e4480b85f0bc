"""What a strategy is given and what it gives back: request, pool, predictions, queried patches."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from alsweep.geometry import Patch, QueriedPatch, Triple

if TYPE_CHECKING:
    import numpy as np
    import torch
    from jaxtyping import Float, Int64
    from torch import Tensor

    from alsweep.config.trajectory import TrajectoryConfig
    from alsweep.types import LabelMap, Probs, ScoreMap, Volume

Streams = Callable[..., "np.random.Generator"]
"""Called with what the draws are for (``"noise", case``); returns their generator."""


@dataclass(frozen=True)
class Request:
    """What is asked of a strategy.

    Attributes:
        patches: How many patches.
        patch_size: ``(z, y, x)`` in voxels, before it is clipped to a case.
        strides: Voxels between candidate starts, per axis.
        overlap: Share of a patch that may be annotated already.
        per_case: Most patches of one case.
        loop: The loop whose networks predict, from 0.
        loops: Trainings of the trajectory; it has ``loops - 1`` queries.
        free_label_share: Most of a patch that may have a label at no cost.
    """

    patches: int
    patch_size: Triple
    strides: Triple
    overlap: float
    per_case: int
    loop: int
    loops: int
    free_label_share: float = 0.4


@dataclass(frozen=True)
class PoolCase:
    """A case of the pool.

    Attributes:
        case: Its id.
        shape: Voxels of the resampled grid, ``(z, y, x)``.
        taken: The patches annotated in it.
        free: Labels that cost nothing, ``IGNORE`` elsewhere; None where the case has none.
    """

    case: str
    shape: Triple
    taken: tuple[Patch, ...]
    free: "LabelMap | None" = None


@dataclass(frozen=True)
class Embedding:
    """Features of one case on a coarse grid: what the encoders see in their second-deepest stage.

    Attributes:
        features: ``(feature, z, y, x)``, float16 or float32; members concatenated over ``feature``.
        cell: Voxels per grid cell, ``(z, y, x)``.
    """

    features: "Float[Tensor, 'feature z y x']"
    cell: tuple[float, float, float]


@dataclass(frozen=True)
class Prediction:
    """What the ensemble says of one case, folded over members; never on disk.

    Where the device has not the room for all of a case, it is one whose tensors are made when they
    are read: by :meth:`part` and :meth:`box` no more of them than is asked for.

    Attributes:
        mean_probs: Mean probability, ``(class, z, y, x)``; sums to 1 over ``class`` unless
            ``regions``.
        mean_entropy: Mean over members of each member's entropy, ``(z, y, x)``, nats; given to
            strategies that need ``"mean_entropy"``.
        embedding: Encoder features; given to strategies that need ``"embedding"``.
        members: Each member's probabilities, ``(class, z, y, x)``, float16 or float32; given to
            strategies that need ``"members"``. Only for statistics that cannot be folded: it
            costs memory for every member.
        gradient: Gradients of the loss of the first member by its last layer, on a coarse grid:
            ``(class * feature, z, y, x)``, float32, the mean over each cell of what it says less
            the ensemble's likeliest class, times its features; given to strategies that need
            ``"gradient"``.
        soft_gradient: The same against the ensemble's mean probability, for ``"soft_gradient"``. Of
            one member without test-time augmentation there is no other mean than itself, and the
            likeliest class takes its place.
        regions: Whether the channels are overlapping regions, each a sigmoid and all of them
            foreground, instead of classes of which channel 0 is background.
    """

    mean_probs: "Probs"
    mean_entropy: "ScoreMap | None" = None
    embedding: Embedding | None = None
    members: "tuple[Probs, ...]" = ()
    gradient: Embedding | None = None
    soft_gradient: Embedding | None = None
    regions: bool = False

    @property
    def shape(self) -> Triple:
        """Voxels of the case, ``(z, y, x)``."""
        _, z, y, x = self.mean_probs.shape
        return z, y, x

    @property
    def device(self) -> "torch.device":
        """Where the tensors are."""
        return self.mean_probs.device

    @property
    def slabs(self) -> Sequence[slice]:
        """Planes along z that are best read together: all, where all of the case is there."""
        return (slice(0, self.shape[0]),)

    @property
    def foreground(self) -> "Probs":
        """Mean probabilities of the foreground: every class but 0, or every region."""
        return self.mean_probs if self.regions else self.mean_probs[1:]

    @property
    def channels(self) -> int:
        """How many there are: classes, or regions."""
        return self.mean_probs.shape[0]

    @property
    def foreground_channels(self) -> int:
        """How many channels are foreground."""
        return self.channels if self.regions else self.channels - 1

    def part(self, planes: slice, rows: slice) -> "Prediction":
        """The voxelwise part of the prediction for some planes along z and rows along y."""
        return self.box((planes, rows, slice(None)))

    def box(self, place: tuple[slice, slice, slice]) -> "Prediction":
        """The voxelwise part of the prediction in a box ``(z, y, x)``, such as a patch."""
        entropy = None if self.mean_entropy is None else self.mean_entropy[place]
        return Prediction(self.mean_probs[:, *place], entropy, regions=self.regions)


class Facts(Protocol):
    """What is known of a dataset, and of other trajectories, before anything runs."""

    @property
    def classes(self) -> tuple[str, ...]:
        """Class names; the index is the label, 0 is background."""

    @property
    def foreground(self) -> int:
        """Channels of a prediction that are foreground: all classes but one, or the regions."""

    def cases_with(self, label: int) -> Sequence[str]:
        """Cases of the pool whose ground truth holds the class."""

    def trajectory(self, folder: str) -> "TrajectoryConfig":
        """Config of another trajectory; raises a StrategyError where the folder is none's."""

    def source_in(
        self, run: str, strategy: str, config: "TrajectoryConfig", *, start: bool = False
    ) -> str:
        """Folder of the trajectory of a run that has the seed of ``config``, to be replayed.

        Raises a StrategyError unless there is just one of that strategy's label that would do; of
        any strategy, for a start that all of them share.
        """


class Pool(Protocol):
    """What a strategy sees of the dataset."""

    @property
    def cases(self) -> Sequence[PoolCase]:
        """All cases of the pool, by id."""

    @property
    def classes(self) -> tuple[str, ...]:
        """Class names; the index is the label, 0 is background."""

    @property
    def foreground(self) -> int:
        """Channels of a prediction that are foreground: all classes but one, or the regions."""

    @property
    def workers(self) -> int:
        """Cases that may be scored at the same time; never changes a query."""

    def predictions(self) -> Iterator[tuple[PoolCase, Prediction]]:
        """The ensemble's prediction of each case, one at a time, in the order of ``cases``."""

    def image(self, case: str) -> "Volume":
        """Intensities of a case, ``(channel, z, y, x)``; refused without ``images``.

        That is for strategies whose ``needs`` name them.
        """

    def pretrained(self, case: str) -> Embedding:
        """What the encoder of ``training.pretraining`` makes of a case; refused without the need.

        That is ``pretrained``. No label taught the encoder.
        """

    def reference(self, case: str) -> "LabelMap":
        """Ground truth of a case; refused unless the strategy declares ``uses_oracle``."""

    def annotated_classes(self, patch: Patch) -> "Int64[np.ndarray, ' label']":
        """Voxels of each label in an annotated patch; refused without ``annotated_labels``.

        That is for strategies whose ``needs`` name it.
        """

    def replayed(self, source: str, strategy: str = "") -> Sequence[QueriedPatch]:
        """What another trajectory queried in this loop.

        It is the one in the folder ``source``; or, where that is a run's, the one in it of the same
        seed and of the strategy with this label.
        """
