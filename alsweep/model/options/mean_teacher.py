"""A teacher that is the running mean of the student labels what nobody has labelled."""

from collections.abc import Sequence
from copy import deepcopy
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import nn

from alsweep.model.learner import Setup
from alsweep.model.options.labelling import PseudoLabelling
from alsweep.model.options.objective import SemiObjective
from alsweep.model.options.pseudo import believed_pieces, pseudo
from alsweep.model.options.windows import Views
from alsweep.query.parameters import searchable

if TYPE_CHECKING:
    from alsweep.model.options.base import Encoder


@dataclass(frozen=True)
class MeanTeacher(PseudoLabelling):
    """Learn from the confident part of what the student's running mean predicts.

    The teacher sees a window as it is and mirrored; voxels that it is sure of, and whose piece both
    predictions agree on, are pseudo labels for the student, who sees other intensities, mirrored.

    Departs from the source, which detects objects: a voxel's confidence stands for the class's, the
    agreement of the two predictions for a predicted IoU. As there, both networks first learn from
    labels alone; ``{begin: 0.0, ramp: 0.3}`` is the way without that.

    Source: Wang et al. 2021 (3DIoUMatch), arXiv:2012.04355; Tarvainen & Valpola 2017,
    arXiv:1703.01780.
    """

    weight: float = searchable(
        2.0, low=0.0, high=100.0, help="of the loss over pseudo labels, once it has risen"
    )
    decay: float = searchable(0.999, low=0.0, high=1.0, help="of the running mean, at most")
    confidence: float = searchable(0.9, low=0.0, high=1.0, help="of a voxel, at least")
    quality: float = searchable(0.25, low=0.0, high=1.0, help="of a piece, above which it counts")

    def objective(self, setup: Setup, network: nn.Module, encoder: "Encoder") -> "TeacherObjective":
        """See :class:`~alsweep.model.options.base.SemiSupervised`."""
        return TeacherObjective(setup, network, self)


class TeacherObjective(SemiObjective):
    """What a student minimises.

    Args:
        setup: Of the training.
        network: Whose copy is the teacher.
        option: How.
    """

    def __init__(self, setup: Setup, network: nn.Module, option: MeanTeacher) -> None:
        super().__init__(setup, option.weight, option.begin, option.ramp)
        self._option = option
        self.teacher = deepcopy(network).requires_grad_(False).eval()

    def unsupervised(
        self, network: nn.Module, views: Views, supervised: torch.Tensor
    ) -> torch.Tensor:
        """See :class:`SemiObjective`."""
        labels = self.pseudo_labels(views.weak)
        outputs = self.outputs(network, views.mirrored(views.strong))
        return self._loss(outputs, views.mirrored(labels))

    def pseudo_labels(self, windows: torch.Tensor) -> torch.Tensor:
        """``(window, z, y, x)``: IGNORE where the teacher is not to be believed."""
        axes = [axis - 3 for axis in self.setup.axes]
        seen = [
            self.predicted(self.teacher, windows),
            self.predicted(self.teacher, windows.flip(axes)).flip(axes),
        ]
        mean = pseudo(self.setup, torch.stack(seen).mean(dim=0))
        sure = mean.confidence >= self._option.confidence
        maps = [pseudo(self.setup, probs).labels.cpu().numpy() for probs in seen]
        believed = self._believed(maps, mean.labels.cpu().numpy())
        return mean.where(sure & torch.from_numpy(believed).to(sure.device))

    def _believed(self, maps: Sequence[np.ndarray], labels: np.ndarray) -> np.ndarray:
        """Which voxels lie in a piece of their class that is believed."""
        classes, found = len(self.setup.dataset.classes), []
        for own, *views in zip(labels, *maps, strict=True):
            pieces = believed_pieces(views, classes, self._option.quality)
            found.append(np.take_along_axis(pieces, own[None].astype(np.int64), axis=0)[0])
        return np.stack(found)

    def begin(self, network: nn.Module) -> None:
        """Take the student's weights, buffers included."""
        self.teacher.load_state_dict(network.state_dict())

    def after_step(self, network: nn.Module) -> None:
        """Move the teacher's parameters towards the student's; buffers stay as they are."""
        if self.since >= 0:
            follow(self.teacher, network, momentum(self.since, self._option.decay))
        super().after_step(network)


def follow(teacher: nn.Module, student: nn.Module, keep: float) -> None:
    """Make each parameter of the teacher ``keep`` of itself, and the student's for the rest."""
    with torch.no_grad():
        for mine, new in zip(teacher.parameters(), student.parameters(), strict=True):
            mine.lerp_(new, 1 - keep)


def momentum(step: int, decay: float) -> float:
    """What a running mean keeps of itself, so that it is a plain mean to begin with.

    >>> [momentum(step, 0.9) for step in (0, 1, 99)]
    [0.0, 0.5, 0.9]
    """
    return min(decay, 1 - 1 / (step + 1))
