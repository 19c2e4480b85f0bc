"""A semi-supervised learner as another package would bring it."""

from copy import deepcopy
from dataclasses import dataclass

import torch

from alsweep.data.patches import UnlabelledWindows
from alsweep.model.monai_learner import MonaiLearner
from alsweep.model.objective import Objective
from alsweep.query import searchable

_KEPT = 0.9


class _Consistency(Objective):
    """The usual loss, and how far the student is from its own running mean on unlabelled windows.

    The student sees the windows mirrored along x, the teacher as they are.
    """

    def __init__(self, setup, network, weight):
        super().__init__(setup)
        self.weight = weight
        self.teacher = deepcopy(network).requires_grad_(False).eval()

    def forward(self, network, *batch):
        *annotated, windows = batch
        with self.setup.compute.autocast():
            outputs = network(windows.flip(-1))
            expected = self.teacher(windows)
        student = outputs[0] if isinstance(outputs, tuple) else outputs
        difference = student.float().softmax(1).flip(-1) - expected.float().softmax(1)
        return super().forward(network, *annotated) + self.weight * difference.square().mean()

    def after_step(self, network):
        with torch.no_grad():
            mine = self.teacher.parameters()
            for kept, new in zip(mine, network.parameters(), strict=True):
                kept.lerp_(new, 1 - _KEPT)


@dataclass(frozen=True)
class MeanTeacher(MonaiLearner):
    """Mean teacher.

    Source: Tarvainen & Valpola 2017, arXiv:1703.01780; here with mirrored windows.
    """

    consistency_weight: float = searchable(
        1.0, low=0.0, high=100.0, help="of the consistency beside the supervised loss"
    )
    windows: int = searchable(2, low=1, high=64, help="unlabelled windows a step")

    def objective(self, setup, network):
        return _Consistency(setup, network, self.consistency_weight)

    def unlabelled(self, setup):
        return [UnlabelledWindows(setup.dataset, setup.topology.window, self.windows)]
