"""Expected Dice: disagreement of the members, measured on whole windows instead of voxels."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from alsweep.errors import StrategyError
from alsweep.query.maps import MAPS, WindowMap
from alsweep.query.stage import stage
from alsweep.query.windows import box_mean

if TYPE_CHECKING:
    from jaxtyping import Float
    from torch import Tensor

    from alsweep.query.pool import Prediction
    from alsweep.query.windows import Windows
    from alsweep.types import PatchScores


@stage(MAPS, "expected_dice")
@dataclass(frozen=True)
class ExpectedDiceMap(WindowMap):
    """One minus the mean soft Dice of each member with the ensemble, over the classes in a window.

    A class is in a window where the ensemble predicts it for at least one voxel; a window of
    background alone scores 0. A mean over members of a ratio of window sums cannot be folded while
    members arrive one by one, so this map alone asks for all of them.

    Source: Luth et al. 2025 (nnActive), Expected Dice; which classes count as present is ours.
    """

    needs: ClassVar[tuple[str, ...]] = ("probs", "members")
    least_members: ClassVar[int] = 2

    def windows(self, prediction: "Prediction", windows: "Windows") -> "PatchScores":
        """Score every window, in ``[0, 1]``; 0 where all members are certain and agree.

        Raises:
            StrategyError: The prediction does not hold the members.
        """
        if not prediction.members:
            raise StrategyError(
                "expected_dice needs each member's probabilities, which the prediction does not "
                "hold; let the strategy's needs name 'members'"
            )
        first = 0 if prediction.regions else 1
        dice = weight = None
        for label in range(first, prediction.mean_probs.shape[0]):
            present = _present(prediction, label, windows)
            agreement = self._class_dice(prediction, label, windows) * present
            dice = agreement if dice is None else dice + agreement
            weight = present if weight is None else weight + present
        if dice is None or weight is None:
            raise StrategyError("expected_dice needs a dataset with at least one foreground class")
        return (weight - dice) / weight.clamp_min(1)

    def _class_dice(
        self, prediction: "Prediction", label: int, windows: "Windows"
    ) -> "Float[Tensor, 'z_start y_start x_start']":
        """Mean over members of the soft Dice with the ensemble."""
        mean = prediction.mean_probs[label]
        own = box_mean(mean, windows.size, windows.strides)
        total = own.new_zeros(own.shape)
        for member in prediction.members:
            probs = member[label].to(mean.dtype)
            both = box_mean(probs * mean, windows.size, windows.strides)
            other = box_mean(probs, windows.size, windows.strides)
            total += 2 * both / (own + other).clamp_min(1e-12)
        return total / len(prediction.members)


def _present(
    prediction: "Prediction", label: int, windows: "Windows"
) -> "Float[Tensor, 'z_start y_start x_start']":
    """1 where the ensemble predicts the class in the window, else 0."""
    probs = prediction.mean_probs
    predicted = probs[label] > 0.5 if prediction.regions else probs.argmax(dim=0) == label
    share = box_mean(predicted.to(probs.dtype), windows.size, windows.strides)
    # One voxel of the largest window is far above what rounding makes of none.
    return (share > 0.5 / windows.voxels).to(share.dtype)
