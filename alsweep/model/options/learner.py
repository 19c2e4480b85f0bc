"""alsweep's own learner with its training options."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from alsweep.model.learner import Setup
from alsweep.model.monai_learner import MonaiLearner
from alsweep.model.options.base import SemiSupervised, make_option

if TYPE_CHECKING:
    from torch import nn

    from alsweep.model.loading import Unlabelled
    from alsweep.model.objective import Objective


class OwnLearner(MonaiLearner):
    """The learner ``monai``. Others that subclass :class:`MonaiLearner` have ways of their own."""

    heeds = (*MonaiLearner.heeds, "semi_supervised", "pretraining")

    def objective(self, setup: Setup, network: "nn.Module") -> "Objective":
        """That of the option."""
        return self._option(setup).objective(setup, network, self.encoder)

    def unlabelled(self, setup: Setup) -> "Sequence[Unlabelled]":
        """What the option asks for."""
        return self._option(setup).unlabelled(setup)

    def _option(self, setup: Setup) -> SemiSupervised:
        option: SemiSupervised = make_option(setup.training, "semi_supervised")
        return option
