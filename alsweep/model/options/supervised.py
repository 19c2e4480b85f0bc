"""No option: annotated patches alone, from random weights."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from alsweep.model.learner import Setup
from alsweep.model.options.base import SemiSupervised

if TYPE_CHECKING:
    from torch import nn

    from alsweep.model.loading import Unlabelled
    from alsweep.model.objective import Objective
    from alsweep.model.options.base import Encoder


@dataclass(frozen=True)
class Supervised(SemiSupervised):
    """Images without labels are not looked at."""

    def objective(self, setup: Setup, network: "nn.Module", encoder: "Encoder") -> "Objective":
        """See :class:`SemiSupervised`."""
        from alsweep.model.objective import Objective

        return Objective(setup)

    def unlabelled(self, setup: Setup) -> "Sequence[Unlabelled]":
        """Nothing."""
        return ()


@dataclass(frozen=True)
class FromScratch:
    """Members begin with weights of their seed."""
