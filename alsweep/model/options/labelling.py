"""What options that learn from pseudo labels share: when, how strongly, and of which windows."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from alsweep.model.learner import Setup
from alsweep.model.options.base import SemiSupervised
from alsweep.model.options.windows import UnlabelledViews
from alsweep.query.parameters import searchable

if TYPE_CHECKING:
    from alsweep.model.loading import Unlabelled


@dataclass(frozen=True)
class PseudoLabelling(SemiSupervised):
    """Learn from pseudo labels of windows from anywhere, once the network has learnt from labels.

    Attributes:
        weight: Of the loss over pseudo labels.
        begin: Share of the training.
        ramp: Share of the training.
        windows: In each step.
    """

    weight: float = searchable(
        1.0, low=0.0, high=100.0, help="of the loss over pseudo labels, once it has risen"
    )
    begin: float = searchable(
        0.5, low=0.0, high=1.0, help="share of the training that is on labels alone, before"
    )
    ramp: float = searchable(
        0.0, low=0.0, high=1.0, help="share of the training that the weight then rises in"
    )
    windows: int = searchable(2, low=1, high=64, help="windows without labels a step")

    def unlabelled(self, setup: Setup) -> "Sequence[Unlabelled]":
        """See :class:`SemiSupervised`."""
        return (UnlabelledViews(setup, self.windows),)


@dataclass(frozen=True)
class PlaceLabelling(PseudoLabelling):
    """The same with windows of a fixed set of places, so that something can be kept of each.

    Attributes:
        places: How many.
    """

    places: int = searchable(64, low=64, high=4096, help="places that the windows are drawn from")

    def unlabelled(self, setup: Setup) -> "Sequence[Unlabelled]":
        """See :class:`SemiSupervised`."""
        return (UnlabelledViews(setup, self.windows, self.places),)
